"""The demo's absolute time: days as ordinals, business days, stable chance.

Belongs here: what depends on a date and a seed alone. Nothing here knows the run's date, which is what makes the book of one day
a prefix of the next day's. Does not belong here: customers, documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from hashlib import blake2b
from random import Random
from typing import TypeVar

_T = TypeVar("_T")

CLOSED = {(1, 1), (5, 1), (12, 25), (12, 26)}
"""Month and day on which nobody works, in any entity. The pipeline has real calendars; the demo needs a plausible rhythm."""


def month_of(day: int) -> int:
    """The month a day is in, counted from year 0."""
    at = date.fromordinal(day)
    return at.year * 12 + at.month - 1


def first_day(month: int) -> int:
    return date(month // 12, month % 12 + 1, 1).toordinal()


class _Remembered(dict[int, _T]):
    """What a function says of a day, asked once."""

    def __init__(self, answer: Callable[[int], _T]):
        self.answer = answer

    def __missing__(self, day: int) -> _T:
        self[day] = answer = self.answer(day)
        return answer


def _works(day: int) -> bool:
    at = date.fromordinal(day)
    return at.weekday() < 5 and (at.month, at.day) not in CLOSED


class Calendar:
    """The ISO text of every day, and the business day on or after (`next`) and on or before (`previous`) it."""

    def __init__(self) -> None:
        self.text = _Remembered(lambda day: date.fromordinal(day).isoformat())
        self.next: Mapping[int, int] = _Remembered(lambda day: day if _works(day) else self.next[day + 1])
        self.previous: Mapping[int, int] = _Remembered(lambda day: day if _works(day) else self.previous[day - 1])

    def after(self, day: int, days: int) -> int:
        """The business day on or after `days` calendar days from a day."""
        return self.next[day + days]


def last_working_day(day: date) -> date:
    """The day itself, or the last one before it on which the demo's people work."""
    return date.fromordinal(Calendar().previous[day.toordinal()])


class Chance:
    """Dice that give the same numbers for the same question, whenever and in whatever order they are asked."""

    def __init__(self, seed: str):
        self.seed = seed

    def roll(self, *question: object) -> float:
        """A number in [0, 1)."""
        text = ":".join(map(str, (self.seed, *question)))
        return int.from_bytes(blake2b(text.encode(), digest_size=7).digest()) / (1 << 56)

    def dice(self, *question: object) -> Random:
        """A generator of its own for a longer story."""
        return Random(":".join(map(str, (self.seed, *question))))


def _clocks(first_hour: int, last_hour: int) -> tuple[str, ...]:
    seconds = range(first_hour * 3600 + 97, last_hour * 3600, (last_hour - first_hour) * 3600 // 251)
    return tuple(f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}Z" for s in seconds)


OPENING = (_clocks(7, 13), _clocks(13, 19), _clocks(5, 11))
"""Times of day (UTC) at which records are entered, by entity; changes to them come later in the day."""

CLOSING = (_clocks(13, 16), _clocks(19, 22), _clocks(11, 14))
