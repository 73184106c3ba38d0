"""Columns of text that are safe to put into a file: as CSV, and as the cells of a worksheet.

Belongs here: what a value looks like in a file and what must not get into one (formulas, illegal characters, overlong texts).
Does not belong here: which columns go where (`export.py`, `book.py`) and any rule about receivables.

Everything works on whole Arrow columns: three million cells are text before a loop over cells would have met the first tenth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

BATCH: Final = 4_096
"""Rows that are in memory as text at one time."""

EXCEL_TEXT: Final = 32_767
"""The longest text Excel takes in a cell, in UTF-16 units."""

CUT: Final = " […cut]"

_ILLEGAL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{FFFE}\x{FFFF}]"
_REPLACEMENT = "\ufffd"
_FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"
"""What starts a formula. The full-width signs do in East Asian versions of Excel."""
FORMULA_STARTS: Final = tuple("=+-@\t\r\n＝＋－＠")
"""The same for one text."""
_ESCAPE = "_x[0-9A-Fa-f]{4}_"
"""What Excel reads as one character."""


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type come from people, and so may hold anything."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_dictionary(kind)
        or pa.types.is_null(kind)
    )


def plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column as text: ISO dates, decimals with their digits and nothing else, `true`/`false`; null stays null.

    Characters that no file format here can carry are replaced by a visible mark, never dropped: dropping one could join what
    stands left and right of it into a formula.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_decimal(array.type) and array.type.scale > 6:  # past that, Arrow writes 1E-8
        return pa.array([None if value is None else f"{value:f}" for value in array.to_pylist()], pa.string())
    text = pc.cast(array, pa.string())
    if not is_text(array.type):
        return text
    return pc.replace_substring_regex(text, _ILLEGAL, _REPLACEMENT) if _any(text, _ILLEGAL) else text


def write_csv(path: Path, table: pa.Table) -> None:
    """Write `table` as RFC 4180: UTF-8 with no byte order mark (scripts read it; people have the workbook), header, CRLF.

    A text that a spreadsheet would run as a formula gets an apostrophe before it. Numbers and dates are left alone: a negative
    amount is no formula.
    """
    with path.open("wb") as file:
        file.write((",".join(_quoted(pa.array(table.column_names)).to_pylist()) + "\r\n").encode())
        for batch in _batches(table):
            cells = pc.binary_join_element_wise(*map(_csv_column, batch.columns), ",")
            file.write(in_a_row(pc.binary_join_element_wise(cells, "\r\n", "")))


def _csv_column(column: pa.ChunkedArray) -> pa.Array:
    text = plain(column)
    if not is_text(column.type):
        return pc.fill_null(text, "")
    guarded = pc.if_else(pc.match_substring_regex(text, _FORMULA), pc.binary_join_element_wise("'", text, ""), text)
    return _quoted(pc.fill_null(guarded, ""))


def unguarded(text: str) -> str:
    """A text of a CSV file as it was before `write_csv` kept it from being a formula."""
    return text[1:] if text.startswith("'") and re.match(_FORMULA, text[1:]) else text


def _quoted(text: pa.Array) -> pa.Array:
    needed = pc.match_substring_regex(text, '[",;\\t\\r\\n]')
    if not pc.any(needed).as_py():
        return text
    return pc.if_else(needed, pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', ""), text)


def write_jsonl(path: Path, table: pa.Table) -> None:
    """Write `table` as JSON Lines: one object a row with every column, in order. Amounts are texts with all their digits, dates are ISO
    texts, whole numbers and truth values are JSON's own, null stays null."""
    with path.open("wb") as file:
        for batch in _batches(table):
            fields = [
                pc.binary_join_element_wise(f'"{name}": ', _json_values(batch.column(name)), "") for name in batch.column_names
            ]
            pairs = pc.binary_join_element_wise(*fields, ", ")
            file.write(in_a_row(pc.binary_join_element_wise("{", pairs, "}\n", "")))


def _json_values(column: pa.ChunkedArray) -> pa.Array:
    text = plain(column)
    if not (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        if is_text(column.type) and _any(text, r'["\\\x09-\x0d]'):
            for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
                text = pc.replace_substring(text, character, escape)
        text = pc.binary_join_element_wise('"', text, '"', "")
    return pc.fill_null(text, "null")


def columns_of(table: pa.Table) -> dict[str, str]:
    """A table's columns for whoever reads the files: name and `text`, `date`, `integer`, `boolean` or `decimal(18,4)`."""
    return {field.name: _type_name(field.type) for field in table.schema}


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "date" if pa.types.is_date(kind) else "text"


def in_a_row(texts: pa.Array) -> memoryview:
    """The texts one behind the other in UTF-8: Arrow has them so, and no Python string needs to be made of any.

    Raises:
        TypeError: the array is no plain string array, whose offsets alone are read here.
    """
    if not pa.types.is_string(texts.type):
        raise TypeError(f"texts of type {texts.type} are laid out differently; cast them to string")
    _, offsets, data = texts.buffers()
    starts = memoryview(offsets).cast("i")
    return memoryview(data)[starts[texts.offset] : starts[texts.offset + len(texts)]]


def _batches(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, BATCH):
        yield table.slice(start, BATCH)


# ---- the cells of a worksheet


def excel_text(text: str | None) -> str:
    """One text for one cell: no illegal character, not too long. What `text_cells` does for a whole column."""
    legal = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", _REPLACEMENT, text or "")
    return _cut(legal.replace("\r\n", "\n").replace("\r", "\n")) or ""


def _cut(value: str | None) -> str | None:
    if value is None or len(value.encode("utf-16-le")) // 2 <= EXCEL_TEXT:
        return value
    kept = value.encode("utf-16-le")[: 2 * (EXCEL_TEXT - len(CUT))]
    return kept.decode("utf-16-le", errors="ignore") + CUT


def _style(style: int | pa.Array) -> Any:
    """A cell format's number, or one (as text) for each row."""
    return str(style) if isinstance(style, int) else style


def text_cells(column: pa.ChunkedArray | pa.Array, rows: pa.Array, letter: str, style: int | pa.Array) -> pa.Array:
    """Cells of text. The type is written into the cell, so that nothing is ever taken for a formula, a number or a date."""
    text = plain(column)
    unusual = _any(text, rf"[\r&<>]|{_ESCAPE}")
    if unusual:
        text = pc.replace_substring(pc.replace_substring(text, "\r\n", "\n"), "\r", "\n")
    if (pc.max(pc.binary_length(text)).as_py() or 0) > EXCEL_TEXT:  # bytes are never fewer than UTF-16 units
        text = pa.array([_cut(value) for value in text.to_pylist()], pa.string())
    if unusual:
        text = pc.if_else(pc.match_substring_regex(text, _ESCAPE), pc.replace_substring(text, "_x", "_x005F_x"), text)
        for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = pc.replace_substring(text, character, entity)
    text = pc.if_else(pc.equal(text, ""), None, text)
    cells = pc.binary_join_element_wise(
        f'<c r="{letter}', rows, '" s="', _style(style), '" t="inlineStr"><is><t xml:space="preserve">', text, "</t></is></c>", ""
    )
    return _blank_where_null(cells, rows, letter, style)


def number_cells(column: pa.ChunkedArray | pa.Array, rows: pa.Array, letter: str, style: int | pa.Array) -> pa.Array:
    """Cells of numbers, digit by digit as the decimal has them."""
    cells = pc.binary_join_element_wise(f'<c r="{letter}', rows, '" s="', _style(style), '"><v>', plain(column), "</v></c>", "")
    return _blank_where_null(cells, rows, letter, style)


def date_cells(column: pa.ChunkedArray | pa.Array, rows: pa.Array, letter: str, style: int | pa.Array) -> pa.Array:
    """Cells of dates: days since Excel's day 0, so that they sort and filter as dates do."""
    days = pc.add(pc.cast(pc.cast(column, pa.date32()), pa.int32()), 25_569)
    return number_cells(days, rows, letter, style)


def blank_cells(rows: pa.Array, letter: str, style: int | pa.Array) -> pa.Array:
    """Cells with a look and nothing in them."""
    return pc.binary_join_element_wise(f'<c r="{letter}', rows, '" s="', _style(style), '"/>', "")


def _blank_where_null(cells: pa.Array, rows: pa.Array, letter: str, style: int | pa.Array) -> pa.Array:
    return pc.coalesce(cells, blank_cells(rows, letter, style)) if cells.null_count else cells


def _any(text: pa.Array, pattern: str) -> bool:
    """Whether any of the texts has it: most columns have nothing to mend, and looking is cheaper than mending."""
    return bool(pc.any(pc.match_substring_regex(text, pattern)).as_py())


def row_numbers(first: int, count: int) -> pa.Array:
    """`count` row numbers from `first` on, as text: every cell's address ends in one."""
    return pc.cast(pa.array(range(first, first + count), pa.int64()), pa.string())


# ---- words


def humanise(code: str | None) -> str:
    """A code, or several with commas between, as people would say it: `contacted_recently` → `Contacted recently`."""
    if code == "none":
        return "–"
    words = re.sub(r",(?=\S)", ", ", (code or "").replace("_", " ").strip())
    return words[:1].upper() + words[1:]


def humanised(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column of codes in words."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    codes = pc.dictionary_encode(pc.cast(array, pa.string()))
    words = pa.array([humanise(code) for code in codes.dictionary.to_pylist()], pa.string())
    return words.take(codes.indices)
