"""What comes after a page: one strategy a way in which servers cut long answers.

Belongs here: from an answer to the next question, and that pages end. Does not belong here: asking (`http.py`), what is on a page (the
connector).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from dagster_project.sources import SourceError
from dagster_project.sources.answers import Limits, without_password
from dagster_project.sources.http import Walk, checked
from dagster_project.words import shown


@dataclass(frozen=True)
class Question:
    """What a server is asked for a page."""

    address: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """What makes it the same question as another."""
        return self.address, frozenset(self.parameters.items())

    def with_(self, **parameters: str | int) -> Question:
        return Question(self.address, {**self.parameters, **{name: str(value) for name, value in parameters.items()}})


class Paging(Protocol):
    """One way of paging."""

    def following(self, asked: Question, answer: Any) -> Question | None:
        """The question after this answer; None after the last.

        Raises:
            SourceError: the answer names a page that is not to be asked for.
        """
        ...


@dataclass(frozen=True)
class NextLink:
    """The answer names the next address, in full or relative to its own, at `name` of its object."""

    name: str = "next"

    def following(self, asked: Question, answer: Any) -> Question | None:
        here, named = asked.address, answer.get(self.name)
        if not named:
            return None
        try:
            address = urljoin(here, str(named))
            same = urlsplit(address)[:2] == urlsplit(here)[:2]
        except ValueError:
            raise SourceError(f"{without_password(here)}: the next page «{shown(str(named))}» is not an address") from None
        if not same:
            raise SourceError(
                f"{without_password(here)}: the next page is on another server ({shown(without_password(address))}); "
                "the token is not sent there"
            )
        return Question(checked(address, f"{without_password(here)}: the next page"))


@dataclass(frozen=True)
class Numbered:
    """Pages are numbered in `parameter` and end with the first that holds fewer than `size` records."""

    parameter: str
    size: int
    count: Callable[[Any], int]
    first: int = 1

    def following(self, asked: Question, answer: Any) -> Question | None:
        if self.count(answer) < self.size:
            return None
        return asked.with_(**{self.parameter: int(asked.parameters.get(self.parameter, self.first)) + 1})


@dataclass(frozen=True)
class Cursor:
    """The answer holds a mark to go on from, which the next question brings along as `parameter`."""

    parameter: str
    mark: Callable[[Any], str | None]

    def following(self, asked: Question, answer: Any) -> Question | None:
        mark = self.mark(answer)
        return asked.with_(**{self.parameter: mark}) if mark else None


def walked(
    first: Question, ask: Callable[[Question], Any], paging: Paging, what: str, limits: Limits, answer: Any = None
) -> Iterator[Any]:
    """The answers from the first question on (whose answer may be at hand), each next one on its way while the one before is used.

    Raises:
        SourceError: pages vanish, lead in a circle, or take more than `limits`.
    """
    walk, seen = Walk(what, limits), {first.key}
    with ThreadPoolExecutor(max_workers=1) as ahead:
        asked, answer = first, ask(first) if answer is None else answer
        while True:
            walk.step()
            following = paging.following(asked, answer)
            if following and following.key in seen:
                raise SourceError(
                    f"{without_password(asked.address)}: the page {shown(without_password(following.address))} names "
                    "itself or an earlier page as the next one"
                )
            coming = ahead.submit(ask, following) if following else None
            yield answer
            if following is None or coming is None:
                return
            seen.add(following.key)
            asked, answer = following, coming.result()
            if answer is None:
                raise SourceError(f"{without_password(asked.address)}: 404 in the middle of the pages of {what}")
