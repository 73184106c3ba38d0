"""What a source sends in another shape than its connector was built to read, told as that.

Belongs here: turning what goes wrong in any connector over a stranger's record into a reason that names the record. Does not belong here:
what a record means (each connector), what it must be (`landing/judge.py`).

A connector reads records as their vendor documents them. One that lacks a field, or has a list where a text belongs, ends in an error
of Python's, which tells a person nothing: the same for every connector, so it is told here and in none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from types import TracebackType

import pyarrow as pa

from dagster_project.contract import Dataset
from dagster_project.sources import Delivery, Source, SourceError
from dagster_project.words import shown

_OF_A_SHAPE = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError)
"""What Python raises where a value is not of the kind that it was taken for, or one more was asked for than there are."""

_LONGEST = 1_000
"""Characters of a reason."""

_CALLED = re.compile(r"(?i)(\w+_)?(id|name|number|code)|\w+(Id|ID|Number)|docno")
"""Fields by which a vendor calls a record."""


class Understood:
    """A source all of whose faults are reasons."""

    def __init__(self, source: Source, name: str):
        self.source, self._name = source, name

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        """As `Source`."""
        with understood(self._name, dataset.name):
            delivery = self.source.fetch(dataset, since)
        return delivery and replace(delivery, pages=self._pages(delivery.pages, dataset.name))

    def _pages(self, pages: Iterator[pa.Table], what: str) -> Iterator[pa.Table]:
        with understood(self._name, what):
            yield from pages


@contextmanager
def understood(name: str, what: str) -> Iterator[None]:
    """Whatever of the source `name` is asked for within.

    Raises:
        SourceError: as whatever is asked raises it, in one line without what cannot be seen, for it may repeat what a stranger wrote; or
            something came that is not of the shape it should be. The message names the record and what is wrong, where that can
            be told.
    """
    try:
        yield
    except SourceError as told:
        if (line := shown(str(told), _LONGEST)) == str(told):
            raise
        raise type(told)(line) from told
    except _OF_A_SHAPE as foreign:
        record = _called(foreign.__traceback__)
        raise SourceError(
            f"{name} {what}: {record or 'what came'} is not of the shape that {name} is known to send: {_wrong(foreign)}. Nothing of it is "
            "used. Put it right there; if it is right, the connector does not know it, and the log has where it gave up"
        ) from foreign


def _wrong(foreign: Exception) -> str:
    """What is wrong, as far as the error tells."""
    match foreign:
        case KeyError() if foreign.args:
            return f"it has no «{shown(str(foreign.args[0]), 60)}»"
        case RecursionError():
            return "it is nested too deeply"
        case ArithmeticError():
            return "a number in it is larger than any amount"
        case ValueError() if quoted := re.search(r"['\"](.*)['\"]", str(foreign)):
            return f"«{shown(quoted[1], 60)}» is not what should stand there"
    return "something in it is of another kind than it should be"


def _called(trace: TracebackType | None) -> str:
    """The record that a connector was at when it gave up, as its vendor calls it: that of the innermost function that has one."""
    found = ""
    while trace:
        if trace.tb_frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
            for held in trace.tb_frame.f_locals.values():
                if isinstance(held, Mapping) and (told := _name_of(held)):
                    found = f"the record {told}"
        trace = trace.tb_next
    return found


def _name_of(record: Mapping[object, object]) -> str:
    for field, value in record.items():
        if isinstance(field, str) and _CALLED.fullmatch(field) and isinstance(value, (str, int)) and value != "":
            return f"{shown(field, 40)} {shown(str(value), 40)}"
    return ""
