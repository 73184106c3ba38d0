"""From a vendor's records to a dataset's pages, and where they wait until every dataset that is made of them was asked for.

Belongs here: values as the text of the contract, amounts rounded to their currency, the spool. Does not belong here: asking (`http.py`),
what a record means (each connector).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dagster_project.contract import Dataset
from dagster_project.policy import EVERY_PACK, rows_in_force
from dagster_project.sources import SourceError, page_schema
from dagster_project.words import shown

PAGE_ROWS: Final = 20_000
RATE_DIGITS: Final = Decimal("1e-10")
EXACT: Final = Context(prec=50, rounding=ROUND_HALF_UP)
ZERO: Final = Decimal(0)
MOST_DIGITS: Final = 40
"""Of a number that somebody can mean; written out, 1e999999999 would take the memory there is."""

Record = Mapping[str, Any]


def pages(dataset: Dataset, records: Iterable[Record], size: int = PAGE_ROWS) -> Iterator[pa.Table]:
    """Records with values of any type as pages of text."""
    schema = page_schema(dataset)
    rows: list[dict[str, str | None]] = []
    for record in records:
        rows.append(
            {
                name: value if type(value) is str and value.isascii() and value else as_text(value)  # most are: no call for those
                for name, value in record.items()
                if value is not None
            }
        )
        if len(rows) >= size:
            yield pa.Table.from_pylist(rows, schema=schema)
            rows = []
    if rows:
        yield pa.Table.from_pylist(rows, schema=schema)


def as_text(value: Any) -> str | None:
    """A value as the contract writes it; a text that is empty is none. Half a character, written as an escape, becomes visible."""
    if isinstance(value, str):
        return (value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")) or None
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}" if abs(value.adjusted()) < MOST_DIGITS else str(value)
        case datetime():
            moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return f"{moment.isoformat(timespec='microseconds')}Z"
        case date():
            return value.isoformat()
    return str(value)


def number(value: Any, what: str) -> Decimal:
    """A number that came as one or as its digits; nothing is 0.

    Raises:
        SourceError: it is none; `what` says of which record.
    """
    try:
        exact = Decimal(str(value)) if value not in (None, "", False) else ZERO
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or abs(exact.adjusted()) >= MOST_DIGITS:
        raise SourceError(f"{what}: «{shown(str(value), 40)}» is not a number")
    return exact


def amount(value: Any, currency: str | None, what: str) -> Decimal:
    """An amount in its currency's digits, half up: what a vendor keeps as a binary number comes as 109.99999999999999.

    Raises:
        SourceError: it is no number; `what` says of which record.
    """
    return EXACT.quantize(number(value, what), _least(currency))


def inverse(rate: Decimal) -> Decimal:
    """What one is worth where `rate` of the other are."""
    return EXACT.quantize(EXACT.divide(Decimal(1), rate), RATE_DIGITS)


@cache
def _least(currency: str | None) -> Decimal:
    """The smallest amount of a currency."""
    return Decimal(1).scaleb(-digits().get(currency or "", 2))


@cache
def digits() -> Mapping[str, int]:
    return {row["currency"]: int(row["digits"]) for row in rows_in_force("currencies", EVERY_PACK, date.max)}


class Spool:
    """Records by kind and key, on disk, so that a server is asked for them once whatever is made of them. Without a path it is a file of
    this run alone, which nobody else sees and which is gone with it; with one, it is kept, for its owner only."""

    def __init__(self, path: Path | None = None):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._con = sqlite3.connect(path or "", check_same_thread=False, isolation_level=None, timeout=60)
        if not path:
            self._con.executescript("pragma journal_mode = off; pragma synchronous = off")
        self._con.execute(
            "create table if not exists records (kind text, key text, record text, primary key (kind, key)) without rowid"
        )

    def close(self) -> None:
        self._con.close()

    def put(self, kind: str, records: Iterable[tuple[str, Record]]) -> None:
        """Keep records by key, whole or not at all; the last of a key stays."""
        rows = [(kind, key, json.dumps(record, ensure_ascii=True)) for key, record in records]
        self._con.execute("begin immediate")
        self._con.executemany("insert or replace into records values (?, ?, ?)", rows)
        self._con.execute("commit")

    def get(self, kind: str, key: str) -> Record | None:
        found = self._con.execute("select record from records where kind = ? and key = ?", (kind, key)).fetchone()
        return json.loads(found[0]) if found else None

    def some(self, kind: str, keys: Iterable[str]) -> dict[str, Record]:
        """Those of a kind that are there, by key."""
        wanted, found = list(keys), dict[str, Record]()
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            asked = f"select key, record from records where kind = ? and key in ({', '.join('?' * len(part))})"
            found.update((key, json.loads(record)) for key, record in self._con.execute(asked, (kind, *part)))
        return found

    def all(self, kind: str) -> Iterator[Record]:
        """Every record of a kind by key. What is put meanwhile may or may not be among them."""
        last = ""
        while found := self._con.execute(
            "select key, record from records where kind = ? and key > ? order by key limit 1000", (kind, last)
        ).fetchall():
            yield from (json.loads(record) for _, record in found)
            last = found[-1][0]

    def keys(self, kind: str) -> set[str]:
        return {key for (key,) in self._con.execute("select key from records where kind = ?", (kind,))}

    def drop(self, kind: str, keys: Iterable[str] | None = None) -> None:
        """Forget records of a kind: those named, or all."""
        if keys is None:
            self._con.execute("delete from records where kind = ?", (kind,))
        else:
            self._con.executemany("delete from records where kind = ? and key = ?", [(kind, key) for key in keys])
