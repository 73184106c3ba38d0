"""What the sheets of a workbook are made of: kinds of columns, looks, and a worksheet that takes whole columns at once.

Belongs here: what does not know which sheet it is for. Does not belong here: the sheets (`book.py`, `first_page.py`) and what
makes a text safe (`tables.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import partial
from typing import Any, Final
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter.workbook
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from dagster_project import tables
from dagster_project.amounts import USUAL

xlsxwriter.workbook.ZipFile = partial(ZipFile, compresslevel=1)
"""Workbooks are packed quickly: a third larger than packed well, in a quarter of the time, which is most of what writing them takes."""

MAX_LINKS: Final = 65_530
"""Excel's limit of links on a sheet. Rows beyond it go without."""

NAVY, BLUE, PALE, GREY, LINE = "#1F3A5F", "#2F6DB5", "#EAF1F8", "#6B7785", "#D5DCE4"
GREEN, AMBER, RED = ("#E3F4E6", "#1E7B34"), ("#FFF1D6", "#9A5B00"), ("#FBE0DD", "#B3261E")
FILL_IN = ("#FFFBE6", "#E0B93B")

TONES: Final = {"friendly": GREEN, "neutral": (PALE, NAVY), "firm": AMBER, "urgent": RED}


def colours_of(tiers: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The colours of tiers, which come best first: the best is green, the worst red."""
    return {tier: GREEN if not place else RED if place == len(tiers) - 1 else AMBER for place, tier in enumerate(tiers)}


class Kind(StrEnum):
    """What stands in a column, which decides how its cells are written and look."""

    TEXT = "text"
    STRONG = "strong"
    NAME = "name"  # strong, on two lines where it is long
    WRAPPED = "wrapped"
    MARK = "mark"  # a text of a character or two
    PLACE = "place"  # a row's number
    CODE = "code"  # a code, shown in words
    MONEY = "money"
    FIGURE = "figure"  # a number with a fraction that is no money
    WHOLE = "whole"
    PERCENT = "percent"
    RATE = "rate"  # per cent already
    DATE = "date"
    LINK = "link"  # a whole number that leads somewhere
    LINKED = "linked"  # a text that leads somewhere
    OPENS = "opens"  # a code, shown in words, that opens a file


def money_format(digits: int) -> str:
    """How amounts in a currency of so many digits look."""
    number = f"#,##0.{'0' * digits}" if digits else "#,##0"
    return f'{number}_ ;[Red]-{number}_ ;"–"_ '


NUMBER_FORMATS: Final = {
    Kind.MONEY: money_format(USUAL),
    Kind.FIGURE: money_format(2),
    Kind.WHOLE: "#,##0_ ",
    Kind.LINK: "#,##0",
    Kind.PLACE: "0",
    Kind.PERCENT: "0.0%",
    Kind.RATE: '0.0#"%"',
    Kind.DATE: "yyyy-mm-dd",
}


INDENTED: Final = (Kind.TEXT, Kind.CODE, Kind.WRAPPED)
CENTRED: Final = (Kind.DATE, Kind.LINK, Kind.MARK, Kind.OPENS, Kind.PLACE)


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its header, the mart's column that feeds it, how it looks. `currency`: the mart's column that says
    which an amount is in; empty: the reporting currency."""

    header: str
    source: str
    kind: Kind = Kind.TEXT
    width: float = 12
    currency: str = ""


class Looks:
    """The workbook's cell formats, each made once: a format an address, not a format a cell."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, Any], ...], Format] = {}

    def __call__(self, **properties: Any) -> Format:
        key = tuple(sorted(properties.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format({"font_name": "Calibri", "font_size": 11, "valign": "vcenter", **properties})
        return self._made[key]

    def cell(self, kind: Kind, **more: Any) -> Format:
        look: dict[str, Any] = {"bottom": 1, "bottom_color": LINE}
        look["num_format"] = NUMBER_FORMATS.get(kind, "@")  # a text stays a text when somebody edits the cell
        if kind in (Kind.STRONG, Kind.NAME):
            look |= {"bold": True, "text_wrap": kind is Kind.NAME}
        if kind is Kind.WRAPPED:
            look |= {"text_wrap": True, "font_size": 10}
        if kind in (Kind.LINK, Kind.LINKED, Kind.OPENS):
            look |= {"font_color": BLUE, "underline": 1}
        if kind in CENTRED:
            look["align"] = "center"
        if kind in INDENTED:
            look["indent"] = 1
        return self(**look | more)

    def header(self, kind: Kind = Kind.TEXT, background: str = NAVY, ink: str = "#FFFFFF") -> Format:
        align = "center" if kind in CENTRED else "right" if kind in NUMBER_FORMATS else "left"
        indent = int(kind in INDENTED)
        return self(bold=True, text_wrap=True, font_size=10, bg_color=background, font_color=ink, align=align, indent=indent)


class Sheet(Worksheet):  # type: ignore[misc]
    """A worksheet that also takes whole columns of finished cells.

    Leans on insides of xlsxwriter's constant-memory mode, which the tests watch: rows go to `row_data_fh` as UTF-8 in order, and
    the methods overridden here write links and texts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.links = 0
        self.internal_links = bytearray()  # a list of as many texts takes twice the memory
        self.file_links: list[tuple[str, str]] = []

    def write_rows(
        self, first: int, rows: pa.Table, cells: Callable[[pa.Table, pa.Array], Sequence[pa.Array]], width: int, height: float
    ) -> None:
        """Write `rows` from row `first` (0-based) on, `width` cells each, as `cells(batch, row numbers)` makes them."""
        if rows.num_rows == 0:
            return
        last = first + rows.num_rows - 1
        self._check_dimensions(first, 0)
        self._check_dimensions(last, width - 1)
        self._write_single_row(last + 1)  # what was written cell by cell comes before
        for start in range(0, rows.num_rows, tables.BATCH):
            batch = rows.slice(start, tables.BATCH)
            numbers = tables.row_numbers(first + start + 1, batch.num_rows)
            lines = pc.binary_join_element_wise(
                '<row r="', numbers, f'" ht="{height}" customHeight="1">', *cells(batch, numbers), "</row>", ""
            )
            self.row_data_fh.flush()
            self.row_data_fh.buffer.write(tables.in_a_row(lines))

    def link(self, cell: str, sheet: str, target: str) -> None:
        """Make the text of `cell` lead to the cell `target` of another sheet of this workbook."""
        if self.links < MAX_LINKS:
            self.links += 1
            self.internal_links += f'<hyperlink ref="{cell}" location="\'{sheet}\'!{target}"/>'.encode()

    def opens(self, cell: str, path: str) -> None:
        """Make the text of `cell` open a file, by its path from where the workbook lies, or an address of the web."""
        if self.links < MAX_LINKS:
            self.links += 1
            self.file_links.append((cell, path))

    def _xml_rich_inline_string(self, string: str, attributes: Sequence[tuple[str, Any]] = ()) -> None:
        # A text between <r> and </r> is taken for markup and would get into the file as it is: to us, it is a text.
        self._xml_inline_string(string, False, attributes)

    def _write_hyperlinks(self) -> None:
        if self.links:
            self._xml_start_tag("hyperlinks")
            self.fh.write(self.internal_links.decode())
            for cell, path in self.file_links:
                self.rel_count += 1
                self.external_hyper_links.append(["/hyperlink", path, "External"])
                self.fh.write(f'<hyperlink ref="{cell}" r:id="rId{self.rel_count}"/>')
            self._xml_end_tag("hyperlinks")


def short(text: str, longest: int = 80) -> str:
    """A name that people gave, fit for a title and a document property."""
    words = " ".join(tables.excel_text(text).split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def counted(number: int, noun: str) -> str:
    """`1 customer`, `2,500 customers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def long_date(day: date) -> str:
    """`Friday, 20 November 2026`."""
    return f"{day:%A}, {day.day} {day:%B %Y}"
