"""What a bureau's portal exports: CSV and XLSX files in a folder, and a `bureau_file.toml` beside them that says which column is what.

Belongs here: the mapping, and both forms as text under the contract's names. Does not belong here: what a score is worth (`bureau_scales`
and `bureau_classes`, policy), how CSV is written (`csv_files.py`).

    [portfolio]                        any name
    files = "creditsafe-*.csv"         which files
    bureau = "creditsafe"
    dates = "day first"                where the files need telling; so do decimal, encoding, delimiter, sheet
    [portfolio.columns]                a column of the contract = the export's
    customer_id = "Your reference"
    scored_on = "Report date"
    status = "Company status"
    [portfolio.scores.credit_score]    a score code: its column, its class's, its model
    raw_score = "International score"
    risk_class = "International rating"
    model_code = "international_score"

What a file said stays when the file is taken away: exports replace each other, and the scores of last month are half of a trend.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pydantic import field_validator

from dagster_project.bounded import Bounded, OutOfBounds
from dagster_project.contract import DATASETS, DECIMALS, Column, Dataset, Type
from dagster_project.paths import ROOT
from dagster_project.sources import (
    DAY_FIRST,
    EXTRA,
    Connector,
    ConnectorSettings,
    Delivery,
    Hand,
    Opening,
    SourceError,
    csv_files,
    page_schema,
)
from dagster_project.sources.inquiries import accepted_in, plain_id
from dagster_project.words import shown

MAPPING: Final = "bureau_file.toml"
SCORES: Final = DATASETS["credit_scores"]
SECONDS, MEGABYTES = 120.0, 1_024
"""What reading a workbook may take, in a process of its own."""
HEADER_ROWS: Final = 30

WORDS: Final = "words in columns of numbers or dates, such as «{}»"
"""Portals write N/A or «Contact us» where there is no number. In a score it stays: which words are no score is policy."""

COMPANY: Final = "bureau_id"
"""Not a column of ours: the bureau's own number of a company, which matches/<bureau>.csv has our customer of."""

_EVERY: Final = (
    *(
        "scored_on",
        "customer_id",
        "registration_number",
        COMPANY,
        "model_code",
        "status",
        "dbt",
        "industry_dbt",
        "recommended_limit",
    ),
    *("currency", "current_ratio", "quick_ratio", "debt_to_equity", "match_confidence", "fetched_at"),
)
"""What an export may have a column of, whichever score a row is about."""
_OF_A_SCORE: Final = ("raw_score", "risk_class", "model_code")
_DAY_IN_A_NAME: Final = re.compile(r"(?<!\d)(20\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")


class BureauFileSettings(ConnectorSettings, env_prefix="ARREARS_BUREAU_FILE_"):
    """The folder; a relative one is from the project's root."""

    dir: Path

    @field_validator("dir")
    @classmethod
    def _from_root(cls, path: Path) -> Path:
        return ROOT / path


@dataclass(frozen=True)
class Score:
    """A score of an export: the columns its value and its class stand in, and its model, where they are told."""

    code: str
    raw_score: str | None
    risk_class: str | None
    model_code: str | None


@dataclass(frozen=True)
class Export:
    """One kind of file: which, whose, how it is written, which column is what. `digits`: to how many an identifier is filled up with zeros,
    which spreadsheets drop."""

    name: str
    files: str
    bureau: str
    columns: Mapping[str, str]
    scores: tuple[Score, ...]
    digits: Mapping[str, int]
    sheet: str | None
    told: csv_files.Told

    @property
    def headers(self) -> tuple[str, ...]:
        """Every column it asks a file for."""
        wanted = [
            *self.columns.values(),
            *(column for score in self.scores for column in (score.raw_score, score.risk_class) if column),
        ]
        return tuple(dict.fromkeys(map(_plain, wanted)))


@dataclass
class _Tally:
    """What is told of a delivery besides its records: in which line of its file each stands, and words that are no numbers."""

    lines: list[int] = field(default_factory=list)
    strangers: int = 0
    words: int = 0
    such_as: str = ""


class BureauFileSource:
    """A folder of exports."""

    def __init__(self, folder: Path, home: Path):
        """`home` has the files of matches, for exports that know companies by the bureau's own number."""
        if not folder.is_dir():
            raise SourceError(f"ARREARS_BUREAU_FILE_DIR: there is no folder {folder}")
        self.folder = folder
        self.exports = mapping_in(folder / MAPPING)
        known = {export.bureau for export in self.exports if COMPANY in export.columns}
        self._customers = {bureau: accepted_in(home / "matches" / f"{bureau}.csv") for bureau in known}
        self._reader = Bounded(SECONDS, MEGABYTES)

    def close(self) -> None:
        self._reader.stop()

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        del since  # a file is read whole
        if dataset.name != SCORES.name:
            return None
        files = [
            path for path in sorted(self.folder.iterdir()) if path.is_file() and path.suffix.lower() in (".csv", ".xlsx", ".txt")
        ]
        found = [(path, export) for path in files if not path.name.startswith(("~", ".")) if (export := self._of(path))]
        left_out = {"files that no files = … of bureau_file.toml names": len(files) - len(found)}
        tally = _Tally()
        if not found:
            raise SourceError(
                f"{self.folder}: no file there is named by {MAPPING} ({', '.join(export.files for export in self.exports)})"
            )
        hand = Hand(
            found[0][0].name if len(found) == 1 else self.folder.name, lambda numbers: [tally.lines[number] for number in numbers]
        )
        pages = self._all(found, tally, left_out)
        return Delivery(pages=pages, full=False, origin=str(self.folder), hand=hand, left_out=left_out)

    def _of(self, path: Path) -> Export | None:
        return next((export for export in self.exports if fnmatch(path.name.lower(), export.files.lower())), None)

    def _all(self, found: Sequence[tuple[Path, Export]], tally: _Tally, left_out: dict[str, int]) -> Iterator[pa.Table]:
        for path, export in found:
            yield from self._pages(path, export, tally)
        if tally.strangers:
            left_out["companies that matches/<bureau>.csv names no customer for"] = tally.strangers
        if tally.words:
            left_out[WORDS.format(tally.such_as)] = tally.words

    def _pages(self, path: Path, export: Export, tally: _Tally) -> Iterator[pa.Table]:
        """A row for each score of each company of a file."""
        schema, scored_on = page_schema(SCORES), None
        if "scored_on" not in export.columns:
            if not (found := _DAY_IN_A_NAME.search(path.name)):
                raise SourceError(
                    f"{path}: [{export.name}.columns] of {MAPPING} names no column for scored_on, and there is no day in the file's name, "
                    "such as scores-2025-06-30.csv: do one of the two"
                )
            scored_on = "-".join(found.groups())
        tables = self._workbook(path, export) if path.suffix.lower() == ".xlsx" else _csv(path, export)
        for records in tables:
            rows = []
            for line, record in records:
                of_it = [
                    row
                    for whose in self._whose(record, export, tally)
                    for row in _rows(path, line, record, export, {"scored_on": scored_on, **whose}, tally)
                ]
                rows += of_it
                tally.lines += [line] * len(of_it)
            if rows:
                yield pa.Table.from_pylist(rows, schema=schema)

    def _whose(self, record: Mapping[str, str | None], export: Export, tally: _Tally) -> Sequence[Mapping[str, str]]:
        """Whom of our customers a record is about, where only the bureau's number tells."""
        ours = [export.columns[name] for name in ("customer_id", "registration_number") if name in export.columns]
        if COMPANY not in export.columns or any((record.get(_plain(column)) or "").strip() for column in ours):
            return [{}]
        company = plain_id(_digits(COMPANY, record.get(_plain(export.columns[COMPANY])) or "", export))
        if not (found := self._customers[export.bureau].get(company, [])):
            tally.strangers += 1
        return [{"customer_id": customer} for customer in found]

    def _workbook(self, path: Path, export: Export) -> Iterator[Sequence[tuple[int, Mapping[str, str | None]]]]:
        try:
            yield from self._reader.stream(workbook_records, path, export.sheet, export.headers)
        except OutOfBounds as broken:
            raise SourceError(f"{path} cannot be read as a workbook: it {broken}") from broken


# --- the mapping ------------------------------------------------------------------------------------------------------


def mapping_in(path: Path) -> tuple[Export, ...]:
    """What the mapping beside the files says.

    Raises:
        SourceError: it is not there, or says something that means nothing.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise SourceError(
            f"{path} is not there, which says what the columns of the exports are: docs/sources.md has an example"
        ) from None
    except (ValueError, OSError) as broken:
        raise SourceError(f"{path} cannot be read as TOML: {shown(str(broken))}") from broken
    if not given:
        raise SourceError(f"{path} is empty: docs/sources.md has an example")
    return tuple(_export(path, name, said) for name, said in given.items())


def _export(path: Path, name: str, said: Any) -> Export:
    here = f"{path}: [{shown(name, 60)}]"
    told = ("dates", "decimal", "encoding", "delimiter")
    _known(here, said, ("files", "bureau", "columns", "scores", "digits", "sheet", *told))
    for needed in ("files", "bureau"):
        if not isinstance(said.get(needed), str) or not said[needed].strip():
            raise SourceError(f'{here} needs {needed} = "…"')
    columns, scores = said.get("columns", {}), said.get("scores", {})
    _known(f"{here[:-1]}.columns]", columns, _EVERY, texts=True)
    if not {"customer_id", "registration_number", COMPANY} & columns.keys():
        raise SourceError(
            f"{here[:-1]}.columns] has neither customer_id nor registration_number nor bureau_id: whose scores are they?"
        )
    if not isinstance(scores, dict) or not scores:
        raise SourceError(
            f'{here} has no score: write [{shown(name, 60)}.scores.credit_score] and below it raw_score = "the column"'
        )
    for code, score in scores.items():
        _known(f"{here[:-1]}.scores.{shown(code, 60)}]", score, _OF_A_SCORE, texts=True)
        if not {"raw_score", "risk_class"} & score.keys():
            raise SourceError(f"{here[:-1]}.scores.{shown(code, 60)}] names neither raw_score nor risk_class")
    digits = said.get("digits", {})
    _known(f"{here[:-1]}.digits]", digits, ("customer_id", "registration_number", COMPANY))
    if not all(isinstance(count, int) and 0 < count <= 30 for count in digits.values()):
        raise SourceError(f"{here[:-1]}.digits] holds whole numbers, such as registration_number = 8")
    return Export(
        name=name,
        files=said["files"],
        bureau=said["bureau"].strip().lower(),
        columns=dict(columns),
        scores=tuple(
            Score(code.lower(), score.get("raw_score"), score.get("risk_class"), score.get("model_code"))
            for code, score in scores.items()
        ),
        digits=digits,
        sheet=said.get("sheet"),
        told=csv_files.told_of(path, f"[{shown(name, 60)}] ", {key: said[key] for key in told if key in said}),
    )


def _known(here: str, said: Any, names: Sequence[str], *, texts: bool = False) -> None:
    if not isinstance(said, dict):
        raise SourceError(f"{here} is no table of settings")
    for name, value in said.items():
        if name not in names:
            raise SourceError(f"{here}: {shown(name, 60)} is none of {', '.join(names)}")
        if texts and (not isinstance(value, str) or not value.strip()):
            raise SourceError(f'{here}: {name} = {shown(repr(value), 60)} is no text, such as {name} = "the column\'s header"')


# --- from an export's records to ours ---------------------------------------------------------------------------------


def _rows(
    path: Path, line: int, record: Mapping[str, str | None], export: Export, known: Mapping[str, str | None], tally: _Tally
) -> Iterator[dict[str, Any]]:
    """A row for each score. `known`: what is known of the record besides its columns."""
    ours = {name: column for name, column in export.columns.items() if name != COMPANY}
    said = {name: _value(name, record.get(_plain(column)), export, tally) for name, column in ours.items()}
    told = {**known, **{name: value for name, value in said.items() if value is not None}, "bureau": export.bureau}
    extra = json.dumps({"file": path.name, "line": line}, ensure_ascii=False)
    for score in export.scores:
        raw = _value("raw_score", record.get(_plain(score.raw_score)), export, tally) if score.raw_score else None
        risk_class = record.get(_plain(score.risk_class)) if score.risk_class else None
        row = {**told, "score_code": score.code, "raw_score": raw, "risk_class": risk_class, EXTRA: extra}
        yield {**row, "model_code": score.model_code} if score.model_code else row


def _value(name: str, text: str | None, export: Export, tally: _Tally) -> str | None:
    """A cell as the contract takes it, as far as the mapping says how it is written."""
    text, kind = (text or "").strip(), SCORES.by_name[name].type
    is_number, is_day = kind in DECIMALS, kind in (Type.DATE, Type.TIMESTAMP)
    if not text:
        return None
    if (is_number or is_day) and not any(sign.isdigit() for sign in text):
        tally.words, tally.such_as = tally.words + 1, tally.such_as or shown(text, 20)
        return None
    if export.told.decimal and (is_number or name == "raw_score") and re.fullmatch(r"[+-]?[\d.,' ]*\d", text):
        thousands, sign = (".", ",") if export.told.decimal == "," else (",", ".")
        return text.replace(thousands, "").replace(" ", "").replace("'", "").replace(sign, ".")
    if export.told.dates and is_day and (slashed := re.fullmatch(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})(.*)", text)):
        one, other, year, rest = slashed.groups()
        day, month = (one, other) if export.told.dates == DAY_FIRST else (other, one)
        return f"{year}-{month:0>2}-{day:0>2}{rest}"
    return _digits(name, text, export)


def _digits(name: str, text: str, export: Export) -> str:
    """An identifier with the zeros that a spreadsheet dropped."""
    return text.zfill(export.digits[name]) if name in export.digits and text.isdigit() else text


def _plain(header: str) -> str:
    return "_".join(header.lower().split())


def _csv(path: Path, export: Export) -> Iterator[Sequence[tuple[int, Mapping[str, str | None]]]]:
    as_dataset = Dataset("export", "bureau", (), tuple(Column(name, required=True) for name in export.headers))
    form = csv_files.form_of(path, as_dataset, export.told)
    line = form.skip
    for table in csv_files.read(form, as_dataset):
        records = [(line + number, record) for number, record in enumerate(table.to_pylist(), start=1)]
        line += len(records)
        yield records


def workbook_records(
    path: Path, sheet: str | None, headers: Sequence[str]
) -> Iterator[Sequence[tuple[int, Mapping[str, str | None]]]]:
    """The rows of a sheet (the first with those headers) below them, with their number. Runs where strangers' bytes are read.

    Raises:
        SourceError: there is no such sheet, or it is no workbook.
    """
    from python_calamine import CalamineWorkbook

    try:
        with path.open("rb") as file, CalamineWorkbook.from_filelike(file) as book:
            for name in (name for name in book.sheet_names if sheet is None or name == sheet):
                rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for place, row in enumerate(rows[:HEADER_ROWS]):
                    at = {_plain(cell): column for column, cell in enumerate(row) if isinstance(cell, str)}
                    if set(headers) <= at.keys():
                        below = enumerate(rows[place + 1 :], start=place + 2)
                        yield [
                            (number, record)
                            for number, cells in below
                            if any((record := {header: _text(cells[at[header]]) for header in headers}).values())
                        ]
                        return
    except Exception as broken:
        raise SourceError(f"{path} cannot be read as a workbook: open it, save it again as .xlsx and put it back") from broken
    where = f"the sheet {shown(sheet, 60)} is not there, or has not" if sheet else "no sheet has"
    raise SourceError(
        f"{path}: {where} the columns {shown(', '.join(headers), 300)} side by side in its first {HEADER_ROWS} rows"
    )


def _text(cell: Any) -> str | None:
    """A cell as text: whole numbers without their point, days as days."""
    match cell:
        case bool():
            return "true" if cell else "false"
        case float():
            return f"{Decimal(repr(cell)):f}".removesuffix(".0")
        case datetime():
            return cell.date().isoformat() if cell.time() == time() else cell.isoformat()
        case date() | int():
            return str(cell)
        case str():
            return cell.strip() or None
        case time() | timedelta():
            return str(cell)
    return None


def _opened(own: BureauFileSettings, opening: Opening) -> BureauFileSource:
    source = BureauFileSource(own.dir, opening.home)
    opening.stack.callback(source.close)
    return source


CONNECTOR = Connector(
    name="bureau_file",
    settings=BureauFileSettings,
    opened=_opened,
    words=lambda own: str(own.dir),
    needs="ARREARS_BUREAU_FILE_DIR, the folder of a bureau's exports and bureau_file.toml",
    gives=frozenset({"scores"}),
)
