"""CSV as people and their programs write it: which characters, which delimiter, where its header is, and which line is at fault.

Belongs here: everything about a file's text that has to be known before a value of it is. Does not belong here: what a value means
(`landing/forms.py`), which files there are (`files.py`).

The contract's form (UTF-8, commas) is read as fast as the reader goes. Another one is recognised from the whole file, said in one line with
the ways to hear no more of it, and never half guessed: a file that can be neither is refused.
"""

from __future__ import annotations

import codecs
import csv
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from dagster_project.contract import DATASETS, Dataset
from dagster_project.sources import DAY_FIRST, MONTH_FIRST, SETTINGS, Hand, SourceError, missing_columns, recognised
from dagster_project.words import shown

BLOCK_BYTES = 8 << 20  # the reader holds some of them at a time
CHUNK_BYTES = 4 << 20
HEADER_CHARACTERS = 64 << 10
COLUMNS = 2_000
FIELD_BYTES = 128 << 10
"""A value longer than this is no note of anybody's: a quotation mark was opened and not closed."""
RECORD_CHARACTERS = 2 * BLOCK_BYTES
"""A record longer than this is not read by the fast reader, and so by none."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
}
_NAMES = {"utf-8-sig": "utf-8", "ascii": "utf-8"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = {
    b"PK\x03\x04": "an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
}


@dataclass(frozen=True)
class Told:
    """What `files.toml` says of a file; None where it says nothing."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    dates: str | None = None
    day_numbers: bool = False


def told_in(folder: Path) -> Mapping[str, Told]:
    """What a folder's `files.toml` says, by dataset: its first lines hold for all files, a table named for a dataset for that one.

    Raises:
        SourceError: it says something that means nothing.
    """
    path = folder / SETTINGS
    try:
        given = tomllib.loads(path.read_text("utf-8-sig")) if path.is_file() else {}
    except (ValueError, OSError) as broken:
        raise SourceError(f"{path} cannot be read as TOML: {shown(str(broken))}") from broken
    every = {name: value for name, value in given.items() if name not in DATASETS}
    general = told_of(path, "", every)
    return {name: told_of(path, f"[{name}] ", given[name], general) if name in given else general for name in DATASETS}


def told_of(path: Path, where: str, given: Any, base: Told = Told()) -> Told:
    """What a table of settings says of a file, over what is said of all (`base`); `where` stands before a setting that is named.

    Raises:
        SourceError: it says something that means nothing.
    """
    if not isinstance(given, dict):
        raise SourceError(
            f'{path}: {where.strip()} is a table of settings, such as delimiter = ";" on a line of its own below it'
        )
    allowed: dict[str, list[Any]] = {
        "delimiter": [*DELIMITERS],
        "decimal": [".", ","],
        "dates": [DAY_FIRST, MONTH_FIRST],
        "day_numbers": [True, False],
    }
    for name, value in given.items():
        if name == "encoding" and isinstance(value, str):
            try:
                "".encode(value)  # what is known, but is none of characters, is a LookupError too
            except LookupError:
                raise SourceError(
                    f"{path}: {where}encoding = {shown(repr(value), 60)} is not known; utf-8, utf-16 and cp1252 are"
                ) from None
        elif name not in allowed:
            raise SourceError(
                f"{path}: {where}{shown(name, 60)} is no setting; there is encoding, {', '.join(allowed)}, and a table for each dataset"
            )
        elif value not in allowed[name] or isinstance(value, bool) != (name == "day_numbers"):
            raise SourceError(
                f"{path}: {where}{name} = {shown(repr(value), 60)} is none of {', '.join(map(repr, allowed[name]))}"
            )
    told = replace(base, **given)
    return replace(told, encoding=_NAMES.get(name := codecs.lookup(told.encoding).name, name)) if told.encoding else told


@dataclass(frozen=True)
class Form:
    """How a file is written. `names` are its columns as ours where they are ours; `skip` the lines down to its first record."""

    path: Path
    encoding: str
    delimiter: str
    names: tuple[str, ...]
    skip: int
    lines: int
    found: tuple[str, ...]


def form_of(path: Path, dataset: Dataset, told: Told) -> Form:
    """Recognise how a file is written, from all of it.

    Raises:
        SourceError: it is no CSV, or lacks a column.
    """
    encoding, lines, found = encoding_of(path, told)
    delimiter, header, skip, more = _header(path, dataset, encoding, told)
    names = _named(path, dataset, header, skip)
    return Form(path, encoding, delimiter, names, skip, lines, (*found, *more))


def encoding_of(path: Path, told: Told) -> tuple[str, int, list[str]]:
    """The encoding, how many lines there are, and what is to be said of it.

    Raises:
        SourceError: it is no text.
    """
    with path.open("rb") as file:
        start = file.read(4_096)
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            raise SourceError(f"{path} is {kind} and not CSV: save it as CSV, or give it the ending it should have")
    likely = next((name for mark, name in _BOMS if start.startswith(mark)), None)
    if likely is None and b"\x00" in start[:200]:
        likely = "utf-16-le" if start[1::2].count(0) >= start[::2].count(0) else "utf-16-be"
    encoding = told.encoding or likely or "utf-8"
    lines, fault = _decoded(path, encoding)
    if fault is None:
        found = []
        if encoding.startswith(("utf-16", "utf-32")) and not told.encoding:
            name = encoding[: len("utf-16")]
            found.append(recognised(path.name, f"text in {name.upper()}", None, "save it as UTF-8", f'encoding = "{name}"'))
        return encoding, lines, found
    line, text = fault
    if encoding == "utf-8" and not told.encoding and _decoded(path, "cp1252")[1] is None and likely is None:
        example = "".join(sign for sign in text.decode("cp1252") if not sign.isascii())[
            :12
        ]  # a load remembers it: no line, no name
        told_so = recognised(path.name, f"text in Windows-1252 (line {line})", example, "save it as UTF-8", 'encoding = "cp1252"')
        return "cp1252", lines, [told_so]
    near = shown(text.decode("ascii", "backslashreplace"), 60)
    said = _ENCODINGS.get(encoding, encoding)
    raise SourceError(
        f"{path} cannot be read as CSV: line {line}: not {said}, near «{near}»; save it as UTF-8, "
        f"or write its encoding in {SETTINGS}"
    )


def _decoded(path: Path, encoding: str) -> tuple[int, tuple[int, bytes] | None]:
    """How many lines a file has, and the line and the bytes about the first that is no text of the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    quick = encoding == "utf-8" or encoding == "cp1252"
    lines, last, returns = 0, b"", 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            try:
                if not quick or decoder.getstate()[0] or not chunk.isascii():
                    text = decoder.decode(chunk)
                    lines += 0 if quick else text.count("\n")
            except UnicodeDecodeError as broken:
                at = broken.start
                seen = broken.object
                begin = seen.rfind(b"\n", 0, at) + 1
                end = seen.find(b"\n", at)
                return 0, (lines + seen.count(b"\n", 0, at) + 1, seen[begin : end if end >= 0 else None][:200].strip())
            if quick:
                lines += chunk.count(b"\n")
                returns += chunk.count(b"\r") if not lines else 0
            last = chunk[-2:]
    try:
        decoder.decode(b"", True)
    except UnicodeDecodeError as cut:
        return 0, (lines + 1, cut.object)
    if quick and not lines and returns:  # as old Macs end their lines
        return returns + (not last.endswith(b"\r")), None
    return lines + (bool(last) and b"\n" not in last), None


def _header(path: Path, dataset: Dataset, encoding: str, told: Told) -> tuple[str, list[str], int, list[str]]:
    """The delimiter, the header's cells, the lines down to its end, and what is to be said of it."""
    with path.open(encoding=text_encoding(encoding), newline="") as file:
        first = file.readline(HEADER_CHARACTERS).rstrip("\r\n")
        said = first[4] if first.lower().startswith("sep=") and len(first) == 5 else None
        begin, broken = 0 if said is None else 1, ""
        read: list[tuple[int, str, list[str], int]] = []
        for delimiter in [only] if (only := told.delimiter or said) else DELIMITERS:
            file.seek(0)
            for _ in range(begin):
                file.readline()
            reader = csv.reader(_Lines(file, HEADER_CHARACTERS), delimiter=delimiter)
            try:
                cells = next((row for row in reader if any(cell.strip() for cell in row)), [])
            except csv.Error as none:
                cells, broken = [], f"line {begin + reader.line_num + 1}: {_words(str(none))}"
            ours = sum(_ours(cell, dataset) in dataset.by_name for cell in cells)
            read.append((ours, delimiter, cells, begin + reader.line_num))
    _, delimiter, cells, skip = max(read, key=lambda one: one[0])
    if not cells and broken:
        raise SourceError(f"{path} cannot be read as CSV: {broken}, where its header should be")
    if not cells:
        raise SourceError(f"{path} is empty: not even a header line. Remove the file if the dataset is absent")
    if len(cells) > COLUMNS or sum(map(len, cells)) > HEADER_CHARACTERS:
        characters = sum(map(len, cells))
        raise SourceError(f"{path} line {skip}: the header has {len(cells):,} columns in {characters:,} characters: is this CSV?")
    if delimiter == "," or delimiter in (told.delimiter, said):
        return delimiter, cells, skip, []
    example = shown(delimiter.join(cells).replace("\t", "→"), 40)
    setting = f'delimiter = "{delimiter}"'.replace("\t", "\\t")
    what = f"columns apart by {DELIMITERS[delimiter]}"
    return delimiter, cells, skip, [recognised(path.name, what, example, "save it with commas", setting)]


def _named(path: Path, dataset: Dataset, header: Sequence[str], line: int) -> tuple[str, ...]:
    names = [_ours(cell, dataset) or f"column {number}" for number, cell in enumerate(header, start=1)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{path} line {line}: column {shown(', '.join(twice))} is there twice")
    if missing := missing_columns(dataset, names):
        raise SourceError(f"{path}: required column {', '.join(missing)} is missing; it has {shown(', '.join(names), 400)}")
    return tuple(names)


def _ours(cell: str, dataset: Dataset) -> str:
    """A header's cell as the contract's name where it is one but for case and blanks."""
    plain = "_".join(cell.lower().split())
    return plain if plain in dataset.by_name else cell.strip()


def text_encoding(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def read(form: Form, dataset: Dataset) -> Iterator[pa.Table]:
    """The records as text, without those that are empty in every column.

    Raises:
        SourceError: a line is at fault; the message names it.
    """
    records = 0
    try:
        reader = pa_csv.open_csv(
            form.path,
            read_options=pa_csv.ReadOptions(
                block_size=BLOCK_BYTES,
                use_threads=False,
                encoding="utf8" if form.encoding == "utf-8" else form.encoding,
                column_names=list(form.names),
                skip_rows=form.skip,
            ),
            parse_options=pa_csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in form.names},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        for batch in reader:
            records += len(batch)
            table = pa.Table.from_batches([batch])
            if any((pc.max(pc.binary_length(column)).as_py() or 0) > FIELD_BYTES for column in table.columns):
                raise pa.ArrowInvalid("a value is too long")
            yield _without_empty(table, dataset)
    except (pa.ArrowInvalid, UnicodeError) as broken:
        if records == 0 and "Empty CSV file" in str(broken):
            return
        raise SourceError(f"{form.path} cannot be read as CSV: {_fault(form, str(broken))}") from broken
    if records < form.lines - form.skip and (swallowed := _swallowed(form)):
        raise SourceError(f"{form.path} cannot be read as CSV: {swallowed}")


def _without_empty(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Without rows that say nothing, which spreadsheets leave below (and between) what is there, and columns without name or value."""
    needed = next((column.name for column in dataset.columns if column.required), None)
    if needed and table[needed].null_count:
        blank = pa.array([True] * len(table))
        for column in table.columns:
            blank = pc.and_(blank, pc.equal(pc.utf8_trim_whitespace(pc.fill_null(column, "")), ""))
        table = table.filter(pc.invert(blank))
    nameless = [name for name in table.column_names if name.startswith("column ") and table[name].null_count == len(table)]
    return table.drop_columns(nameless) if nameless else table


class _Lines:
    """The lines of a file, until they have more than `room` characters together. Whoever takes records out of them gives room anew."""

    def __init__(self, file: TextIO, room: int):
        self.file, self.room = file, room

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if not (line := self.file.readline(self.room + 1)):
            raise StopIteration
        self.room -= len(line)
        if self.room < 0:
            raise csv.Error("record too long")
        return line


def _rows(form: Form, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each record, the slow way.

    Raises:
        csv.Error: from there on it is none.
    """
    with form.path.open(encoding=text_encoding(form.encoding), newline="") as file:
        for _ in range(form.skip):
            file.readline()
        lines = _Lines(file, RECORD_CHARACTERS)
        reader = csv.reader(lines, delimiter=form.delimiter, strict=strict)
        line = form.skip + 1
        try:
            for row in reader:
                if row:
                    yield line, row
                line = form.skip + reader.line_num + 1
                lines.room = RECORD_CHARACTERS
        except csv.Error as broken:
            raise csv.Error(f"line {line}: {_words(str(broken))}") from broken


def _words(fault: str) -> str:
    if "unexpected end of data" in fault:
        return "a quotation mark is opened here and never closed (unexpected end of data)"
    if "field larger" in fault:
        return f"a value of more than {FIELD_BYTES:,} characters: is a quotation mark not closed?"
    if "record too long" in fault:
        return "more characters than a record can have: is this CSV, and is every quotation mark closed?"
    if "NUL" in fault:
        return "bytes that are no text (NUL): it was not saved whole, or is no CSV"
    if "expected after" in fault:
        return 'a quotation mark within a quoted value is not doubled: write "" for "'
    return fault


def _fault(form: Form, reason: str) -> str:
    """The line a broken CSV breaks at, which the fast reader does not always tell, and why."""
    width = len(form.names)
    try:
        for line, row in _rows(form, strict=True):
            if len(row) != width:
                values = "1 value" if len(row) == 1 else f"{len(row)} values"
                return f"line {line}: {values} where the header has {width}, in «{shown(form.delimiter.join(row), 60)}»"
            if max(map(len, row)) * 4 > FIELD_BYTES and any(len(cell.encode()) > FIELD_BYTES for cell in row):
                return f"line {line}: {_words('field larger')}"
    except csv.Error as broken:
        return str(broken)
    return shown(reason)


def _swallowed(form: Form) -> str | None:
    """The line where a quotation mark was opened that took whole records into one value: as many delimiters as lines of records have."""
    width = len(form.names)
    try:
        for line, row in _rows(form):
            for cell in row if width > 2 else ():
                breaks = cell.count("\n") or cell.count("\r")
                if breaks and (
                    cell.count(form.delimiter) >= breaks * (width - 1)
                    or any(part.count(form.delimiter) >= width - 1 for part in cell.splitlines()[1:])
                ):
                    return (
                        f"line {line}: a quotation mark is opened here that takes the {breaks} line{'s' * (breaks > 1)} below into one "
                        f"value, «{shown(cell, 60)}»: close it, or double it"
                    )
    except csv.Error as broken:
        return str(broken)
    return None


def hand_of(form: Form, told: Told) -> Hand:
    """What is known of who wrote it."""

    def lines(numbers: Sequence[int]) -> list[int]:
        wanted, found, number = set(numbers), {}, 0
        try:
            for line, row in _rows(form):
                if any(cell.strip() for cell in row):
                    if number in wanted:
                        found[number] = line
                    number += 1
        except csv.Error:
            pass
        return [found.get(number, number + form.skip + 1) for number in numbers]

    return Hand(form.path.name, lines, told.decimal, told.dates, told.day_numbers, form.found)
