"""Books through the real pipeline, many at once, and what comes out beside what the reference says.

Belongs here: landing books as files, building the models, reading the marts, comparing, and finding the smallest book that still
differs. Does not belong here: what is right (`ledger.py`) and what a book looks like (`books.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from dagster_project.contract import DATASETS, Type
from dagster_project.landing import Landing
from dagster_project.sources.files import FilesSource
from tests import compiled
from tests.compiled import Built
from tests.grains import doubled

from . import books
from .books import Book, Setting
from .ledger import Ledger, snapshot_dates

MARTS = (
    *("open_items", "aging_by_customer", "aging_history", "roll_forward", "control_reconciliation"),
    *("days_beyond_terms_monthly", "payment_behaviour"),
)
BUILT = (*MARTS, "control_differences", "worklist_gates")  # the last two are read by a test of control_reconciliation
LAST_PLACE = Fraction(1, 20_000) + Fraction(1, 10**9)
"""A published ratio is the exact one, rounded to 4 places; a tie may go either way."""
SPREAD = Fraction(1, 1_000)
"""How far a figure may be off that is made of figures which are rounded already."""
OF_ROUNDED = ("dbt_slope", "dbt_stddev", "paydex_equivalent")

READ: Mapping[Type, Callable[[str], Any]] = {
    Type.DATE: date.fromisoformat,
    Type.INTEGER: int,
    **dict.fromkeys((Type.AMOUNT, Type.RATE, Type.NUMBER), Decimal),
}

Rows = Mapping[Any, Mapping[str, Any]]


@dataclass(frozen=True)
class Mismatch:
    """One figure on which the marts and the reference differ, and the book it is of (none where books share an entity)."""

    book: str
    mart: str
    key: Any
    column: str
    published: Any
    expected: Any

    def __str__(self) -> str:
        expected = float(self.expected) if isinstance(self.expected, Fraction) else self.expected
        return f"{self.mart} {self.key} {self.column}: the marts say {self.published}, the reference {expected}"


class Desk:
    """A store of its own in a folder, and any number of mornings built from it. `built` is the last one."""

    built: Built

    def __init__(self, folder: Path, reporting_currency: str = ""):
        self.folder = folder
        self.landing = Landing(folder / "landing", folder / "quarantine")
        self.reporting_currency = reporting_currency
        self._deliveries = 0

    def land(self, book: Book, as_of: date) -> None:
        """Deliver a book as files."""
        self._deliveries += 1
        delivery = self.folder / f"delivery-{self._deliveries}"
        write_files(book, delivery)
        self.land_files(delivery, as_of)

    def land_files(self, delivery: Path, as_of: date) -> None:
        """Deliver a folder of files: what they do not hold any more is gone."""
        source = FilesSource(delivery)
        for dataset in DATASETS.values():
            self.landing.land(dataset, source.fetch(dataset, None), as_of)

    def build(self, as_of: date, *, test: bool = True) -> dict[str, list[dict[str, Any]]]:
        """The rows of the morning's marts.

        Raises:
            BlockingTestFailed: what would keep the morning's outputs in the house.
        """
        nodes = compiled.needed_for(compiled.compiled(reporting_currency=self.reporting_currency), *BUILT)
        self.built = compiled.build(nodes, self.landing, as_of, known="now", test=test, source="files")
        twice, _ = doubled(self.built.con)
        assert twice == {}, "what should be there once is there twice, by model"
        return {mart: self.built.rows(mart) for mart in MARTS}


def write_files(book: Book, folder: Path) -> None:
    """One CSV a dataset, with every column of the contract; required datasets always."""
    folder.mkdir(parents=True)
    (folder / "files.toml").write_text('decimal = "."\n', "utf-8")  # 108.035 is asked about elsewhere
    for dataset in DATASETS.values():
        records = book.get(dataset.name, [])
        if records or dataset.required:
            with (folder / f"{dataset.name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, dataset.column_names, restval="")
                writer.writeheader()
                writer.writerows({name: "" if value is None else _text(value) for name, value in row.items()} for row in records)


def read_files(folder: Path) -> Book:
    """A folder of dataset files as a book."""
    book: Book = {}
    for path in sorted(folder.glob("*.csv")):
        if dataset := DATASETS.get(path.stem):
            kinds = {column.name: READ.get(column.type, str) for column in dataset.columns}
            with path.open(newline="", encoding="utf-8") as file:
                book[dataset.name] = [
                    {name: kinds[name](value) if value else None for name, value in row.items() if name in kinds}
                    for row in csv.DictReader(file)
                ]
    return book


def _text(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


# --- a batch of books -------------------------------------------------------------------------------------------------


def prove(setting: Setting, batch: Sequence[tuple[Book, Book]], folder: Path) -> list[Mismatch]:
    """Every figure of every book on which the marts and the reference differ."""
    names = [f"b{place:03}-" for place in range(len(batch))]
    shared: Book = {"companies": books.companies(setting), "exchange_rates": books.rates(setting)}

    def together(versions: Sequence[Book]) -> Book:
        apart = [books.prefixed(book, name, setting) for book, name in zip(versions, names, strict=True)]
        return books.merged([shared, *apart])

    whole = together([book for book, _ in batch])
    ledger = Ledger(whole, setting.as_of, setting.reporting_currency)
    whole["control_balances"] = [
        {"company_id": company, "as_of": setting.as_of, "balance": balance}
        for company, balance in ledger.subledger(setting.as_of).items()
    ]
    desk = Desk(folder, setting.reporting_currency)
    if setting.corrected:
        desk.land(together([draft or book for book, draft in batch]), setting.as_of)
    desk.land(whole, setting.as_of)
    marts = desk.build(setting.as_of)
    return list(differences(ledger, marts))


def differences(ledger: Ledger, marts: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Mismatch]:
    as_of = ledger.as_of
    yield from _compared("open_items", _by(marts["open_items"], "item_id"), ledger.open_items())
    history = {(day, *key): row for day in snapshot_dates(as_of) for key, row in ledger.aging(day).items()}
    published = _by(marts["aging_history"], "snapshot_date", "company_id", "customer_id", "currency")
    yield from _compared("aging_history", published, history)
    tonight = {key[1:]: row for key, row in history.items() if key[0] == as_of}
    yield from _compared("aging_by_customer", _by(marts["aging_by_customer"], "company_id", "customer_id", "currency"), tonight)
    subledger = [ledger.subledger(day) for day in snapshot_dates(as_of)]
    control = {company: {"subledger_balance": balance, "state": "tied"} for company, balance in subledger[-1].items()}
    yield from _compared("control_reconciliation", _by(marts["control_reconciliation"], "company_id"), control)
    rolled = {
        (company, day.replace(day=1)): {"opening": before[company], "closing": balance}
        for day, before, after in zip(snapshot_dates(as_of)[1:], subledger, subledger[1:], strict=False)
        for company, balance in after.items()
    }
    yield from _compared("roll_forward", _by(marts["roll_forward"], "company_id", "month"), rolled)
    months = {
        key: {column: value for column, value in row.items() if column not in ("weight", "weighed_days")}
        for key, row in ledger.months_beyond_terms().items()
    }
    # A month in which nothing but zero amounts moved may have a row or none.
    silent = {key for key, row in months.items() if not row["paid_amount"] and not row["past_due_amount"]}
    monthly = _by(marts["days_beyond_terms_monthly"], "customer_id", "month")
    silent |= {key for key, row in monthly.items() if not row["paid_amount"] and not row["past_due_amount"]}
    yield from _compared("days_beyond_terms_monthly", _but(monthly, silent), _but(months, silent))
    yield from _compared("payment_behaviour", _by(marts["payment_behaviour"], "customer_id"), ledger.behaviour())


def _by(rows: Sequence[Mapping[str, Any]], *key: str) -> Rows:
    found = {(row[key[0]] if len(key) == 1 else tuple(row[name] for name in key)): row for row in rows}
    assert len(found) == len(rows), f"{len(rows) - len(found)} rows too many by {', '.join(key)}"
    return found


def _but(rows: Rows, left_out: set[Any]) -> Rows:
    return {key: row for key, row in rows.items() if key not in left_out}


def _compared(mart: str, published: Rows, expected: Rows) -> Iterator[Mismatch]:
    for key in [*expected, *(key for key in published if key not in expected)]:
        book = next((found for part in (key if isinstance(key, tuple) else (key,)) if (found := _prefix(part))), "")
        if key not in published or key not in expected:
            row = published.get(key) or expected.get(key)
            found = {name: value for name, value in row.items() if value is not None}
            sides = (found, None) if key in published else (None, found)
            yield Mismatch(book, mart, key, "the row", *sides)
            continue
        for column, wanted in expected[key].items():
            got = published[key][column]
            if not _agree(column, got, wanted, expected[key]):
                yield Mismatch(book, mart, key, column, got, wanted)


def _prefix(value: Any) -> str | None:
    """The book an id belongs to."""
    text = value.removeprefix("payment/") if isinstance(value, str) else ""
    return text[:5] if len(text) > 5 and text[0] == "b" and text[4] == "-" else None


def _agree(column: str, got: Any, wanted: Any, row: Mapping[str, Any]) -> bool:
    if isinstance(wanted, Fraction | float) and got is not None:
        allowed = SPREAD if column in OF_ROUNDED else LAST_PLACE
        return abs(Fraction(got) - Fraction(wanted)) <= allowed
    if column == "direction" and got != wanted:
        return _on_the_edge(row)
    return bool(got == wanted)


def _on_the_edge(row: Mapping[str, Any]) -> bool:
    """Whether a figure stands on a threshold of the direction so exactly that its last place decides."""
    slope, deviation = row["dbt_slope"], row["dbt_stddev"]
    change = (row["dbt_days_recent"] or 0) - (row["dbt_days_prior"] or 0)
    return any(
        value is not None and abs(abs(Fraction(value)) - threshold) <= SPREAD
        for value, threshold in ((slope, 1), (deviation, 10), (change, 3))
    )


# --- the smallest book that still differs -----------------------------------------------------------------------------


def smallest(setting: Setting, book: Book, draft: Book, folder: Path, rounds: int = 12) -> tuple[Book, Book, list[Mismatch]]:
    """Take away records, many trials a build, for as long as the book goes on differing."""
    mismatches = prove(setting, [(book, draft)], folder / "whole")
    for turn in range(rounds):
        trials = list(_smaller(book, draft))
        found = prove(setting, trials, folder / f"round-{turn}") if trials else []
        failing = sorted({int(mismatch.book[1:4]) for mismatch in found if mismatch.book}, key=lambda place: _size(trials[place]))
        if not failing:
            break
        book, draft = trials[failing[0]]
        mismatches = [mismatch for mismatch in found if mismatch.book == f"b{failing[0]:03}-"]
    return book, draft, mismatches


def _smaller(book: Book, draft: Book) -> Iterator[tuple[Book, Book]]:
    """The book without halves, quarters, … and single ones of its records; without its past; with less in its records."""
    if draft:
        yield book, {}
    places = [(name, at) for name in book if name != "companies" for at in range(len(book[name]))]
    size = max(len(places) // 2, 1)
    while size:
        for start in range(0, len(places), size):
            gone = set(places[start : start + size])
            kept = {name: [row for at, row in enumerate(rows) if (name, at) not in gone] for name, rows in book.items()}
            yield books.without_orphans(kept), draft
        size //= 2


def _size(trial: tuple[Book, Book]) -> int:
    return sum(len(rows) for book in trial for rows in book.values())


def told(book: Book, draft: Book) -> str:
    """A book as one would paste it into a test."""
    lines = []
    for title, part in (("book", book), ("what the source had said before", draft)):
        lines += [f"--- {title}"] if part else []
        for dataset, rows in part.items():
            for row in rows:
                values = ", ".join(f"{name}={_text(value)}" for name, value in row.items() if value is not None)
                lines.append(f"{dataset}: {values}")
    return "\n".join(lines)
