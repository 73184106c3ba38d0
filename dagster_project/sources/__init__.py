"""Where records come from. Plain Python: a source knows how to ask, not what the answer means.

Belongs here: the interface every source has, and one module per kind of source. Does not belong here: typing, checking or storing
records — a source hands over every value as the text it received, and `landing.py` judges it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from dagster_project.contract import Dataset

EXTRA = "_extra"
"""Column of a page that keeps what the contract does not know, as JSON text, so that quarantine can show a record as received."""


class SourceError(Exception):
    """A source could not deliver. The message says what, where, and what to do; nothing of the dataset lands."""


@dataclass(frozen=True)
class Delivery:
    """What a source has for one dataset.

    `pages` are Arrow tables in which every column is text (`page_schema`), consumed once, in order. `full` says that a record
    that is not among them is gone. `total`, where the source told one, is how many records the pages must add up to.
    """

    pages: Iterator[pa.Table]
    full: bool
    origin: str


class Source(Protocol):
    """One system that datasets are pulled from."""

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        """The records of a dataset, changed since a time (UTC) where the source can tell, else all. None: it has no such dataset.

        Raises:
            SourceError: at the call or while pages are read; a required dataset that is absent is the caller's to refuse.
        """
        ...


def page_schema(dataset: Dataset) -> pa.Schema:
    """Every column of the dataset as text, and what else came with a record."""
    return pa.schema([(name, pa.string()) for name in (*dataset.column_names, EXTRA)])


def missing_columns(dataset: Dataset, present: Sequence[str]) -> list[str]:
    return [column.name for column in dataset.columns if column.required and column.name not in present]
