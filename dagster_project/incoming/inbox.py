"""A filled workbook, read back: every answer checked, every bad cell with a sentence that says what to write instead.

Belongs here: whether a workbook is one of ours, what each cell says, which cells cannot be taken. Does not belong here: what an
answer means for the book (dbt), where files lie and when they are moved (`dagster_project/intake.py`).

People re-save workbooks with other programs, sort them, delete columns and paste things, so nothing is found by its place: sheets
and columns are known by their headers, rows by the id in their key column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
from python_calamine import CalamineSheet, CalamineWorkbook, SheetTypeEnum

from dagster_project import form, tables
from dagster_project.form import Question
from dagster_project.incoming.answers import answer_in, folded, text_in
from dagster_project.incoming.archive import MAX_CELLS, Archive, Refused, Unreadable

HEADER_ROWS: Final = 30
"""Headers are looked for in as many rows from the top."""

MANIFEST, ITEMS_FILE = "manifest.json", "worklist_items.csv"


@dataclass(frozen=True)
class Item:
    """A document as the list had it."""

    item_id: str
    invoice_id: str
    customer_id: str
    currency: str


@dataclass(frozen=True)
class Issued:
    """A morning's list as it left the house: who was on it, with which documents."""

    items: Mapping[str, Item]
    collectors: Mapping[str, str]
    currencies: Mapping[str, frozenset[str]]

    @cached_property
    def customer_ids(self) -> _Ids:
        return _Ids(self.collectors)

    @cached_property
    def item_ids(self) -> _Ids:
        return _Ids(self.items)

    @classmethod
    def of(cls, folder: Path) -> Issued | None:
        """Read the morning's folder; None where no list went out."""
        if not (folder / MANIFEST).exists():
            return None
        names = ("item_id", "invoice_id", "customer_id", "currency", "collector", "held_reason")
        asked = pa_csv.ConvertOptions(column_types={name: pa.string() for name in names}, include_columns=list(names))
        read = pa_csv.read_csv(
            folder / ITEMS_FILE, parse_options=pa_csv.ParseOptions(newlines_in_values=True), convert_options=asked
        )
        items: dict[str, Item] = {}
        collectors: dict[str, str] = {}
        currencies: dict[str, set[str]] = {}
        listed: dict[str, set[str]] = {}
        for row in zip(*(read.column(name).to_pylist() for name in names), strict=True):
            item_id, invoice_id, customer_id, currency, collector, held = map(tables.unguarded, row)
            items[item_id] = Item(item_id, invoice_id, customer_id, currency)
            collectors[customer_id] = collector
            currencies.setdefault(customer_id, set()).add(currency)
            if not held:
                listed.setdefault(customer_id, set()).add(currency)
        return cls(items, collectors, {name: frozenset(listed.get(name, found)) for name, found in currencies.items()})


@dataclass(frozen=True)
class Outcome:
    """What the collector found out: about a customer, or about one document of theirs. What was not filled in is None."""

    worklist_date: date
    policy: str
    collector: str | None
    customer_id: str
    item_id: str | None = None
    invoice_id: str | None = None
    contacted: str | None = None
    outcome: str | None = None
    promised_date: date | None = None
    promised_amount: Decimal | None = None
    dispute_reason: str | None = None
    disputed_amount: Decimal | None = None
    currency: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Rejected:
    """A cell that cannot be taken, as it goes back to the collector."""

    sheet: str
    cell: str
    customer_id: str
    header: str
    value: str
    message: str


@dataclass(frozen=True)
class Filled:
    """What a workbook says."""

    as_of: date
    outcomes: Sequence[Outcome]
    rejected: Sequence[Rejected]


def read(path: Path, issued_on: Callable[[date], Issued | None], *, morning: date, max_age_days: int) -> Filled:
    """Read a filled workbook. `issued_on` finds the list of a date; `morning` is the one the answers are for.

    Raises:
        Refused: the file is none of ours, or too old, too large or broken.
    """
    if path.suffix.lower() != ".xlsx":
        raise Refused(
            f"{path.suffix or 'a file without an ending'} cannot be read here: save the workbook as .xlsx and drop it again"
        )
    try:
        archive = Archive.of(path)
        with CalamineWorkbook.from_path(str(path)) as book:
            return _read(book, archive, issued_on, morning, max_age_days)
    except Refused:
        raise
    except BaseException as broken:  # the library is another language's: what goes wrong in it need not be an Exception
        if isinstance(broken, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise Unreadable(f"the workbook cannot be read: {broken}. Open it, save it again as .xlsx and drop it again") from broken


def write_rejected(path: Path, rejected: Sequence[Rejected]) -> None:
    """Write what cannot be taken where the collector finds it."""
    names = tuple(Rejected.__dataclass_fields__)
    columns = [pa.array([getattr(cell, name) for cell in rejected], pa.string()) for name in names]
    tables.write_csv(path, pa.table(columns, names=list(names)))


def _read(
    book: CalamineWorkbook,
    archive: Archive,
    issued_on: Callable[[date], Issued | None],
    morning: date,
    max_age_days: int,
) -> Filled:
    as_of, policy, preferred = _identity(book)
    if as_of > morning:
        raise Refused(f"it is the worklist of {as_of}, which is later than this morning, {morning}")
    if as_of < morning - timedelta(days=max_age_days):
        raise Refused(
            f"it is the worklist of {as_of}, more than {max_age_days} days before this morning: what it says is out of date. Fill in a "
            "newer list"
        )
    issued = issued_on(as_of)
    if issued is None:
        raise Refused(f"no worklist of {as_of} was ever issued here, so that nobody can say whom its rows are about")
    call_list = _table(book, archive, preferred, form.KEY_HEADER, form.QUESTIONS)
    if call_list is None:
        raise Refused(
            f"no sheet has a column {form.KEY_HEADER} and columns to fill in: take the list as it was issued and fill it in again"
        )
    rejected: list[Rejected] = [*call_list.faults]
    outcomes = [*_customers(call_list, issued, as_of, policy, rejected)]
    try:
        items = _table(book, archive, form.ITEM_LIST, form.ITEM_KEY_HEADER, form.ITEM_QUESTIONS)
    except Refused as too_large:
        items = None
        rejected.append(Rejected(form.ITEM_LIST, "", "", "", "", f"nothing on it was read: {too_large}"))
    if items:
        rejected += items.faults
        outcomes += _documents(items, issued, as_of, policy, rejected)
    return Filled(as_of, outcomes, rejected)


def _identity(book: CalamineWorkbook) -> tuple[date, str, str]:
    """The morning, the policy, and what the call list was called."""
    if form.IDENTITY_SHEET not in book.sheet_names:
        raise Refused("it is not a worklist of this system: only workbooks from the worklists folder are read back")
    rows = book.get_sheet_by_name(form.IDENTITY_SHEET).to_python(skip_empty_area=False)
    identity = {text_in(row[0]): row[1] for row in rows if len(row) > 1}
    version = text_in(identity.get("schema_version"))
    if not version.isdigit():
        raise Refused("it does not say which version of the worklist it is")
    if int(version) > form.SCHEMA_VERSION:
        raise Refused(
            f"it is of version {version} of the worklist and this system reads up to {form.SCHEMA_VERSION}: update it first"
        )
    as_of = identity.get("as_of")
    try:
        day = as_of if isinstance(as_of, date) else date.fromisoformat(text_in(as_of))
    except ValueError:
        raise Refused(f"it does not say which morning's list it is: {text_in(as_of)!r} is no date") from None
    if not text_in(identity.get("policy")):
        raise Refused("it does not say under which policy it was issued")
    return day.date() if isinstance(day, datetime) else day, text_in(identity["policy"]), text_in(identity.get("sheet"))


# ---- a sheet of answers


@dataclass
class _Row:
    """A row with something filled in. `number` is the sheet's own."""

    number: int
    key: Any
    cells: Mapping[str, Any]


@dataclass
class _Table:
    """A sheet whose headers were found. `places`: the column of each question that is there."""

    sheet: str
    key: int
    places: Mapping[str, int]
    questions: Sequence[Question]
    rows: Sequence[_Row]
    faults: Sequence[Rejected]

    def reject(self, row: _Row, question: Question, customer_id: str, message: str) -> Rejected:
        place = self.places.get(question.name)
        return self._rejected(
            row, place, customer_id, question.header, "" if place is None else row.cells.get(question.name), message
        )

    def reject_row(self, row: _Row, customer_id: str, header: str, message: str) -> Rejected:
        return self._rejected(row, self.key, customer_id, header, row.key, message)

    def _rejected(self, row: _Row, place: int | None, customer_id: str, header: str, value: Any, message: str) -> Rejected:
        cell = "" if place is None else f"{_letter(place)}{row.number}"
        return Rejected(self.sheet, cell, customer_id, header, text_in(value), message)


def _table(book: CalamineWorkbook, archive: Archive, preferred: str, key: str, questions: Sequence[Question]) -> _Table | None:
    """The sheet that has the key and at least one of the questions; the one that has the list's own name first."""
    sheets = [sheet.name for sheet in book.sheets_metadata if sheet.typ is SheetTypeEnum.WorkSheet]
    for name in sorted((name for name in sheets if name != form.IDENTITY_SHEET), key=lambda name: name != preferred):
        if (cells := archive.cells(name)) > MAX_CELLS:
            if name == preferred:
                raise Refused(
                    f"the sheet {name} reaches out to {cells:,} cells: delete what stands far to the right of the list or below it"
                )
            continue
        sheet = book.get_sheet_by_name(name)
        if found := _headers(sheet, key, questions):
            return _filled(sheet, *found, key, questions)
    return None


def _headers(
    sheet: CalamineSheet, key: str, questions: Sequence[Question]
) -> tuple[list[list[Any]], int, dict[str, list[int]]] | None:
    wanted = {folded(header): header for header in (key, *(question.header for question in questions))}
    rows = sheet.to_python(skip_empty_area=False)
    for number, row in enumerate(rows[:HEADER_ROWS]):
        places: dict[str, list[int]] = {}
        for place, cell in enumerate(row):
            if isinstance(cell, str) and (header := wanted.get(folded(cell))):
                places.setdefault(header, []).append(place)
        if key in places and len(places) > 1:
            return rows, number, places
    return None


def _filled(
    sheet: CalamineSheet, rows: list[list[Any]], head: int, found: dict[str, list[int]], key: str, questions: Sequence[Question]
) -> _Table:
    """The rows in which anything is filled in, and what is wrong with the sheet as a whole."""
    places = {question.name: found[question.header][0] for question in questions if question.header in found}
    faults = [
        Rejected(sheet.name, "", "", question.header, "", f"the column {question.header} is gone, so that nothing in it was read")
        for question in questions
        if question.name not in places
    ]
    faults += [
        Rejected(
            sheet.name,
            f"{_letter(column)}{head + 1}",
            "",
            header,
            "",
            f"there is another column {header}; only the first was read",
        )
        for header, columns in found.items()
        for column in columns[1:]
    ]
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        if top > head and bottom > top and any(left <= place <= right for place in places.values()) and text_in(rows[top][left]):
            faults.append(
                Rejected(
                    sheet.name,
                    f"{_letter(left)}{top + 1}",
                    "",
                    text_in(rows[head][left]),
                    text_in(rows[top][left]),
                    f"the cell is merged over rows {top + 1} to {bottom + 1} and counts for the first: fill in each row by itself",
                )
            )
    place = found[key][0]
    filled = []
    for number, row in enumerate(rows[head + 1 :], head + 2):
        cells = {name: row[column] for name, column in places.items() if text_in(row[column])}
        if cells:
            filled.append(_Row(number, row[place], cells))
    return _Table(sheet.name, place, places, questions, filled, faults)


def _customers(table: _Table, issued: Issued, as_of: date, policy: str, rejected: list[Rejected]) -> Iterator[Outcome]:
    for row, customer_id in _known(table, issued.customer_ids, form.KEY_HEADER, "on the list", rejected):
        currencies = issued.currencies[customer_id]
        answers = _answers(table, row, customer_id, as_of, currencies, rejected)
        asked = {question.name: question for question in table.questions}
        when, how_much = answers.pop("promised_date", None), answers.pop("promised_amount", None)
        given = [name for name in ("promised_date", "promised_amount") if name in row.cells]
        if when and how_much:
            answers |= {"promised_date": when, "promised_amount": how_much[0], "currency": how_much[1]}
        elif given or answers.get("outcome") == "promised":
            for name in ("promised_date", "promised_amount"):
                if name not in given:
                    what = "the day" if name == "promised_date" else "the amount"
                    rejected.append(
                        table.reject(
                            row, asked[name], customer_id, f"a promise needs both the day and the amount: fill in {what} as well"
                        )
                    )
        if answers:
            yield Outcome(as_of, policy, issued.collectors[customer_id] or None, customer_id, **answers)


def _documents(table: _Table, issued: Issued, as_of: date, policy: str, rejected: list[Rejected]) -> Iterator[Outcome]:
    for row, item_id in _known(table, issued.item_ids, form.ITEM_KEY_HEADER, "of the list", rejected):
        item = issued.items[item_id]
        answers = _answers(table, row, item.customer_id, as_of, frozenset({item.currency}), rejected)
        how_much = answers.pop("disputed_amount", None)
        if how_much:
            answers |= {"disputed_amount": how_much[0], "currency": how_much[1]}
        if answers:
            collector = issued.collectors[item.customer_id] or None
            yield Outcome(as_of, policy, collector, item.customer_id, item.item_id, item.invoice_id, **answers)


def _known(table: _Table, ids: _Ids, header: str, where: str, rejected: list[Rejected]) -> Iterator[tuple[_Row, str]]:
    """The rows whose key is one of the list's, each key once."""
    seen: dict[str, int] = {}
    for row in table.rows:
        found = ids.find(row.key)
        if not text_in(row.key):
            said = f"the row has answers and no {header}: put them into the row they belong to"
            rejected.append(table.reject_row(row, "", header, said))
        elif found is None:
            said = f"{text_in(row.key)} is not {where}: put the answers into the row they belong to"
            rejected.append(table.reject_row(row, text_in(row.key), header, said))
        elif found in seen:
            said = f"{found} is filled in twice; row {seen[found]} was read and this one was not"
            rejected.append(table.reject_row(row, found, header, said))
        else:
            seen[found] = row.number
            yield row, found


def _answers(
    table: _Table, row: _Row, customer_id: str, as_of: date, currencies: frozenset[str], rejected: list[Rejected]
) -> dict[str, Any]:
    """What the row's cells say; those that cannot be taken are rejected, the others count."""
    answers = {}
    for question in table.questions:
        if question.name in row.cells:
            try:
                value = answer_in(question, row.cells[question.name], as_of, currencies)
            except ValueError as wrong:
                rejected.append(table.reject(row, question, customer_id, str(wrong)))
            else:
                if value is not None:
                    answers[question.name] = value
    return answers


class _Ids:
    """Ids as the list has them, found again although a spreadsheet took them for numbers."""

    def __init__(self, ids: Mapping[str, Any]):
        self.exact = {tables.excel_text(name).strip(): name for name in ids}
        self.without_zeros: dict[str, list[str]] = {}
        for name in ids:
            self.without_zeros.setdefault(name.lstrip("0"), []).append(name)

    def find(self, cell: Any) -> str | None:
        text = text_in(cell)
        if text in self.exact:
            return self.exact[text]
        alike = self.without_zeros.get(text.lstrip("0"), []) if text else []
        return alike[0] if len(alike) == 1 else None


def _letter(column: int) -> str:
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
