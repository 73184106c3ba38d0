"""Asking a server: its answer, or why there is none.

Belongs here: the session, retries and how long they wait, what a status means, and a vendor's limits. Does not belong here: who we are
(`auth.py`), reading one answer (`answers.py`), what comes after a page (`paging.py`), what an answer means (the connector).

What a server says of a fault is shown short, without control characters and without our own secrets, which some echo.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from dagster_project.sources import NotReachedError, PaidLostError, SourceError
from dagster_project.sources.answers import (
    CUT,
    LIMITS,
    Limits,
    LostError,
    PassingError,
    TooMuch,
    answered,
    exact_json,
    fault_of,
    is_certificate,
    is_html,
    never_sent,
    retry_after,
    title_of,
    without_password,
    words_in,
)
from dagster_project.sources.auth import Auth
from dagster_project.words import shown

log = logging.getLogger("arrears.sources")

T = TypeVar("T")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_ADDRESS = 8_000


class Throttle:
    """No more than `calls` in any `seconds`, as a vendor's limit has it: who is early waits."""

    def __init__(self, calls: int, seconds: float):
        self._calls, self._seconds = calls, seconds
        self._made: deque[float] = deque(maxlen=calls)
        self._turn = Lock()

    def keep(self) -> None:
        with self._turn:
            if len(self._made) == self._calls:
                time.sleep(max(0.0, self._made[0] + self._seconds - time.monotonic()))
            self._made.append(time.monotonic())


@dataclass(frozen=True)
class Refused:
    """An answer that is not 200, as a vendor's reading of it (`Http.reading`) sees it: what it says in full in `content`."""

    told: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The content, where it is JSON."""
        with suppress(ValueError, RecursionError, TooMuch):
            return exact_json(self.content)
        return None


@dataclass(frozen=True)
class _Asked:
    """One request: a POST of JSON where there is a body, else a GET. `is_paid`: the answer costs money."""

    address: str
    parameters: Mapping[str, str] | None
    headers: Mapping[str, str]
    body: bytes | None = None
    is_paid: bool = False


class Http:
    """A server and how it is asked. `setting` is the variable that holds its address, `credentials` what to check where it refuses us.
    `throttle` is the vendor's limit; `reading` is what it means by a refusal, where that is not what its status says: a `PassingError`, a
    `SourceError`, or None."""

    def __init__(
        self,
        address: str,
        auth: Auth | None = None,
        *,
        setting: str,
        credentials: str,
        limits: Limits = LIMITS,
        wait: float = 1.0,
        throttle: Throttle | None = None,
        reading: Callable[[Refused], Exception | None] | None = None,
    ):
        self.address = checked(address, setting)
        self.auth = auth
        self.throttle = throttle
        self.reading = reading
        self.credentials = credentials
        self.limits = limits
        self.session = requests.Session()
        if urlsplit(address).hostname in _LOOPBACK:
            self.session.trust_env = False  # a proxy of the environment cannot reach this machine's own servers
        self.session.auth = auth or _Nobody()  # else an entry in ~/.netrc would speak for us
        self._backoff = wait_exponential_jitter(initial=wait, max=limits.longest_wait, jitter=wait)

    def close(self) -> None:
        self.session.close()

    def json(
        self,
        address: str,
        parameters: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        number: Callable[[str], Any] = Decimal,
        whole: Callable[[str], Any] = int,
        paid: bool = False,
    ) -> Any:
        """The answer of a GET as JSON (of a POST where there is a `body`), numbers with a fraction made by `number`, others by
        `whole`; None where there is no such thing. Only questions are posted: one that fails on the way is asked again, but for one whose
        answer is `paid` for: it is asked again only where the server said that it did not answer.

        Raises:
            SourceError: it refuses, answers something else, or keeps failing.
        """
        sent = {
            "Accept": "application/json",
            **({"Content-Type": "application/json"} if body is not None else {}),
            **(headers or {}),
        }
        asked = _Asked(address, parameters, sent, None if body is None else json.dumps(body).encode(), paid)
        return self._asked(asked, lambda content: self._json(address, content, number, whole))

    def content(self, address: str, parameters: Mapping[str, str] | None = None, *, accept: str = "*/*") -> bytes | None:
        """The answer of a GET as it is; None where the server has no such thing.

        Raises:
            SourceError: as `json`.
        """
        return self._asked(_Asked(address, parameters, {"Accept": accept}), lambda content: content)

    def said(self, text: str) -> str:
        """A server's words as they may be shown: one short line, nothing of ours in it."""
        for secret in sorted(self.auth.secrets if self.auth else (), key=len, reverse=True):
            text = text.replace(secret, "***")
        return shown(text)

    def _asked(self, asked: _Asked, read: Callable[[bytes], T]) -> T | None:
        attempts = Retrying(
            stop=stop_after_attempt(self.limits.attempts),
            retry=retry_if_exception(
                lambda failed: isinstance(failed, PassingError) and not (asked.is_paid and isinstance(failed, LostError))
            ),
            wait=self._wait,
            before_sleep=lambda state: log.warning("%s; trying again", state.outcome and state.outcome.exception()),
            reraise=True,
        )
        try:
            return attempts(self._once, asked, read)
        except PassingError as failed:
            if asked.is_paid and isinstance(failed, LostError):
                raise PaidLostError(f"{failed}; it is not asked again, for it may have been answered and billed") from failed
            raise NotReachedError(
                f"{failed}; gave up after {self.limits.attempts} attempts. Is the server up and reachable?"
            ) from failed

    def _wait(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.retry_after if isinstance(failure, PassingError) else None
        return self._backoff(state) if asked is None else min(max(asked, 0.0), self.limits.longest_wait)

    def _once(self, asked: _Asked, read: Callable[[bytes], T], renewed: bool = False) -> T | None:
        here = without_password(asked.address)
        if self.throttle:
            self.throttle.keep()
        status, reason, headers, content = self._answer(asked)
        told = f"{here}: {status} {self.said(reason)}".rstrip()
        if status == 200:
            return read(content)
        if self.reading and (meant := self.reading(Refused(told, status, headers, content))):
            raise meant
        if status == 404:
            return None
        if status == 401 and self.auth and not renewed and self.auth.renewed():
            return self._once(asked, read, renewed=True)
        if status == 401:
            raise NotReachedError(
                f"{told}{self._words(content)}. The server does not take what we say who we are by: check {self.credentials}"
            )
        if status == 403:
            raise SourceError(
                f"{told}{self._words(content)}. The server knows us and does not let us read this: its administrator gives the right, to "
                f"the user of {self.credentials}"
            )
        if status in (408, 425, 429) or status >= 500:
            raise PassingError(told, retry_after(headers.get("Retry-After", "")))
        if 300 <= status < 400:
            raise SourceError(
                f"{told}. It sends us on to {self.said(headers.get('Location', 'nowhere'))}, "
                "which is not followed: set that address if it is the right one"
            )
        raise SourceError(f"{told}{self._words(content)}")

    def _answer(self, asked: _Asked) -> tuple[int, str, Mapping[str, str], bytes]:
        """Status, reason, headers and body."""
        here = without_password(asked.address)

        def ask() -> requests.Response:
            return self.session.request(
                "GET" if asked.body is None else "POST",
                asked.address,
                params=asked.parameters,
                data=asked.body,
                headers=asked.headers,
                timeout=(self.limits.connect_seconds, self.limits.silent_seconds),
                allow_redirects=False,
                stream=True,
            )

        try:
            return answered(ask, self.limits, here)
        except TooLate:
            raise LostError(
                f"{here}: the answer takes more than the {self.limits.answer_seconds:g} seconds it is given"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as lost:
            told = f"{here}: {self.said(fault_of(lost))}"
            if isinstance(lost, (requests.ConnectionError, requests.Timeout, *CUT)) and not is_certificate(lost):
                raise (PassingError if never_sent(lost) else LostError)(told) from lost
            raise NotReachedError(told) from lost

    def _json(self, address: str, content: bytes, number: Callable[[str], Any], whole: Callable[[str], Any]) -> Any:
        here = without_password(address)
        if is_html(content):
            raise SourceError(
                f"{here}: the answer is a web page{title_of(content)} and not JSON: this is not the address of the API, or a login or "
                "a proxy stands before it"
            )
        try:
            return exact_json(content, number=number, whole=whole)
        except UnicodeDecodeError as foreign:
            if foreign.end >= len(content) and "unexpected end" in foreign.reason:
                raise LostError(f"{here}: the answer is cut off in the middle of a character") from None
            near = shown(content[max(0, foreign.start - 20) : foreign.end + 20].decode("utf-8", "replace"))
            raise SourceError(
                f"{here}: the answer is not UTF-8, which JSON has to be: byte {foreign.start + 1:,}, near «{self.said(near)}»"
            ) from None
        except RecursionError:
            raise SourceError(f"{here}: the answer is nested too deeply to be read") from None
        except TooMuch as many:
            raise SourceError(
                f"{here}: the answer is too large: {many}. Ask for smaller pages, or look at what it sends"
            ) from None
        except ValueError as cut:
            raise LostError(
                f"{here}: the answer is not whole JSON ({self.said(str(cut)) if content.strip() else 'it is empty'})"
            ) from None

    def _words(self, content: bytes) -> str:
        """What a server says of its refusal, where it says it in words."""
        if is_html(content):
            return f": a web page{title_of(content)}"
        text = content[:50_000].decode("utf-8", "replace")
        with suppress(ValueError, RecursionError, TooMuch):
            text = words_in(exact_json(content)) or text
        return f": {self.said(text)}" if text.strip() else ""


class _Nobody(requests.auth.AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def checked(address: str, setting: str) -> str:
    """The address, if it is one.

    Raises:
        SourceError: it is not; the message names the setting and shows no password.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - which is where a bad one is refused
    except ValueError:
        raise SourceError(f"{setting}: {without_password(address)!r} is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceError(f"{setting}: {without_password(address)!r} is not an http or https address")
    if re.search(r"[\x00-\x20\x7f]", address) or len(address) > _LONGEST_ADDRESS:
        raise SourceError(
            f"{setting}: {shown(without_password(address))!r} has blanks or control characters in it, or is too long for an address"
        )
    if parts.username or parts.password:
        raise SourceError(
            f"{setting}: the address has a password in it, which would stand in logs. Leave it out: the token has a setting of its own"
        )
    return address


class Walk:
    """What one dataset may take on a server, from its first page to its last.

    Raises:
        SourceError: from `step`, when it is more than that.
    """

    def __init__(self, what: str, limits: Limits):
        self._what, self._limits = what, limits
        self._began, self._pages = time.monotonic(), 0

    def step(self) -> None:
        self._pages += 1
        if self._pages > self._limits.pages:
            raise SourceError(
                f"{self._what}: more than {self._limits.pages:,} pages; a server that never ends is not read to the end"
            )
        if time.monotonic() - self._began > self._limits.dataset_seconds:
            raise SourceError(
                f"{self._what}: not all there after {self._limits.dataset_seconds / 3600:.1f} hours and "
                f"{self._pages:,} pages. Is the server slow tonight?"
            )
