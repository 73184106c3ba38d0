"""A workbook that was handed in, as plain values: which sheets are ours, and what is filled in on them.

Belongs here: everything that touches the foreign file. It runs where strangers' bytes are read (`bounded.py`) and gives back no more
than the rows that have something filled in. Does not belong here: whose rows they are and whether an answer can be taken (`inbox.py`).

People re-save workbooks with other programs, sort them, delete columns and paste things, so nothing is found by its place: sheets
and columns are known by their headers, rows by the id in their key column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from python_calamine import CalamineSheet, CalamineWorkbook, SheetTypeEnum

from dagster_project import form, tables
from dagster_project.form import Question
from dagster_project.incoming.answers import folded, text_in
from dagster_project.incoming.archive import MAX_CELLS, Archive, Refused, Unreadable
from dagster_project.words import printable

HEADER_ROWS: Final = 30
"""Headers are looked for in as many rows from the top."""

MAX_FILLED: Final = 250_000
"""Rows of one sheet with something filled in: more than any list has customers."""

MAX_FAULTS: Final = 1_000
"""Of a sheet and of a file: more nobody mends one by one."""

MAX_TEXT: Final = 64 * 2**20
"""Characters that are taken out of one sheet."""


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
class Row:
    """A row with something filled in. `number` is the sheet's own; `seal` is empty where there is none."""

    number: int
    key: Any
    seal: str
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A sheet whose headers were found. `key`: the column of the ids; `places`: the column of each question that is there."""

    sheet: str
    key: int
    places: Mapping[str, int]
    rows: Sequence[Row]
    faults: Sequence[Rejected]

    def reject(self, row: Row, question: Question, customer_id: str, message: str) -> Rejected:
        place = self.places.get(question.name)
        value = "" if place is None else row.cells.get(question.name)
        return self._rejected(row, place, customer_id, question.header, value, message)

    def reject_row(self, row: Row, customer_id: str, header: str, message: str) -> Rejected:
        return self._rejected(row, self.key, customer_id, header, row.key, message)

    def _rejected(self, row: Row, place: int | None, customer_id: str, header: str, value: Any, message: str) -> Rejected:
        cell = "" if place is None else f"{letter(place)}{row.number}"
        return Rejected(self.sheet, cell, customer_id, header, text_in(value), message)


@dataclass(frozen=True)
class Handed:
    """What a workbook holds. `identity`: what it says of itself; None of a sheet: it is not there; `faults`: of the workbook."""

    identity: Mapping[str, Any]
    calls: Table | None
    items: Table | None
    faults: Sequence[Rejected]


def opened(path: Path) -> Handed:
    """Read a workbook as far as something is filled in.

    Raises:
        Refused: it is none of ours, too large or broken.
    """
    if path.is_symlink():
        raise Refused("it is a link to another file: drop the workbook itself")
    if path.suffix.lower() != ".xlsx":
        ending = printable(path.suffix) or "a file without an ending"
        raise Refused(f"{ending} cannot be read here: save the workbook as .xlsx and drop it again")
    try:
        archive = Archive.of(path)
        # Opened here: the library knows names of files that are text, and no others.
        with path.open("rb") as file, CalamineWorkbook.from_filelike(file) as book:
            return _handed(book, archive)
    except (Refused, MemoryError):
        raise
    except BaseException as broken:  # the library is another language's: what goes wrong in it need not be an Exception
        if isinstance(broken, (KeyboardInterrupt, SystemExit)):
            raise
        raise Unreadable("the workbook is damaged: open it, save it again as .xlsx and drop it again") from broken


def _handed(book: CalamineWorkbook, archive: Archive) -> Handed:
    if form.IDENTITY_SHEET not in book.sheet_names:
        raise Refused("it is not a worklist of this system: only workbooks from the worklists folder are read back")
    if archive.cells(form.IDENTITY_SHEET) > MAX_CELLS:
        raise Refused("its hidden sheet is not the one it was issued with: take the list as it was issued and fill it in again")
    rows = book.get_sheet_by_name(form.IDENTITY_SHEET).to_python(skip_empty_area=False)
    identity = {text_in(row[0])[:100]: _short(row[1]) for row in rows[:HEADER_ROWS] if len(row) > 1}
    calls = _table(book, archive, text_in(identity.get("sheet")), form.KEY_HEADER, form.QUESTIONS)
    faults = []
    items = None
    try:
        items = _table(book, archive, form.ITEM_LIST, form.ITEM_KEY_HEADER, form.ITEM_QUESTIONS)
    except Refused as too_large:
        faults.append(Rejected(form.ITEM_LIST, "", "", "", "", f"nothing on it was read: {too_large}"))
    return Handed(identity, calls, items, faults)


def _short(cell: Any) -> Any:
    return cell[:200] if isinstance(cell, str) else cell


def _table(book: CalamineWorkbook, archive: Archive, preferred: str, key: str, questions: Sequence[Question]) -> Table | None:
    """The sheet that has the key and at least one of the questions; the one that has the list's own name first."""
    sheets = [sheet.name for sheet in book.sheets_metadata if sheet.typ is SheetTypeEnum.WorkSheet]
    for name in sorted((name for name in sheets if name != form.IDENTITY_SHEET), key=lambda name: name != preferred):
        if (cells := archive.cells(name)) > MAX_CELLS:
            if name == preferred:
                raise Refused(
                    f"the sheet {printable(name)} reaches out to {cells:,} cells: delete what stands far to the right of the list "
                    "or below it"
                )
            continue
        sheet = book.get_sheet_by_name(name)
        if found := _headers(sheet, key, questions):
            return _filled(sheet, archive.without_result(name), *found, key, questions)
    return None


def _headers(
    sheet: CalamineSheet, key: str, questions: Sequence[Question]
) -> tuple[list[list[Any]], int, dict[str, list[int]]] | None:
    wanted = {folded(header): header for header in (key, form.SEAL_HEADER, *(question.header for question in questions))}
    rows = sheet.to_python(skip_empty_area=False)
    for number, row in enumerate(rows[:HEADER_ROWS]):
        places: dict[str, list[int]] = {}
        for place, cell in enumerate(row):
            if isinstance(cell, str) and len(cell) < tables.EXCEL_TEXT and (header := wanted.get(folded(cell))):
                places.setdefault(header, []).append(place)
        if key in places and places.keys() - {key, form.SEAL_HEADER}:
            return rows, number, places
    return None


def _filled(
    sheet: CalamineSheet,
    without_result: frozenset[str],
    rows: list[list[Any]],
    head: int,
    found: dict[str, list[int]],
    key: str,
    questions: Sequence[Question],
) -> Table:
    """The rows in which anything is filled in, and what is wrong with the sheet as a whole."""
    name = printable(sheet.name)
    places = {question.name: found[question.header][0] for question in questions if question.header in found}
    faults = [
        Rejected(name, "", "", question.header, "", f"the column {question.header} is gone, so that nothing in it was read")
        for question in questions
        if question.name not in places
    ]
    faults += [
        Rejected(
            name,
            f"{letter(column)}{head + 1}",
            "",
            header,
            "",
            f"there is another column {header}; only the first was read",
        )
        for header, columns in found.items()
        for column in columns[1:]
    ]
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        asked_in = head < top < len(rows) and bottom > top and any(left <= place <= right for place in places.values())
        if asked_in and (said := text_in(rows[top][left])):
            why = f"the cell is merged over rows {top + 1} to {bottom + 1} and counts for the first: fill in each row by itself"
            faults.append(Rejected(name, f"{letter(left)}{top + 1}", "", text_in(rows[head][left]), said, why))
    place, seal = found[key][0], found.get(form.SEAL_HEADER, [None])[0]
    headers = {question.name: question.header for question in questions}
    filled = []
    taken = 0
    for number, row in enumerate(rows[head + 1 :], head + 2):
        cells = {}
        for asked, column in places.items():
            if text := text_in(row[column]):
                if len(text) > tables.EXCEL_TEXT:
                    said = f"the text is longer than the {tables.EXCEL_TEXT:,} characters a cell can hold: shorten it"
                    faults.append(Rejected(name, f"{letter(column)}{number}", "", headers[asked], text[:100], said))
                    continue
                taken += len(text)
                cells[asked] = row[column]
            elif without_result and (cell := f"{letter(column)}{number}") in without_result:
                said = (
                    "the cell holds a formula without its result: open the workbook in a spreadsheet program and save it there, or write "
                    "the value itself"
                )
                faults.append(Rejected(name, cell, text_in(row[place])[:200], headers[asked], "", said))
        if cells:
            filled.append(Row(number, _short(row[place]), "" if seal is None else text_in(row[seal])[:100], cells))
        if len(filled) > MAX_FILLED or taken > MAX_TEXT:
            raise Refused(f"more is filled in on the sheet {name} than any list has room for: fill in the list as it was issued")
    return Table(name, place, places, filled, faults[:MAX_FAULTS])


def letter(column: int) -> str:
    """The letters of a column, counted from 0."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
