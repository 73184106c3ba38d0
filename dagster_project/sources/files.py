"""Datasets as files in a folder: `<dataset>.csv` or `<dataset>.parquet`.

Belongs here: which file holds a dataset, and Parquet. A file is always the whole dataset. Does not belong here: how CSV is written
(`csv_files.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import field_validator

from dagster_project.bounded import Bounded, OutOfBounds
from dagster_project.contract import Dataset, Type
from dagster_project.paths import ROOT
from dagster_project.sources import (
    EXTRA,
    Connector,
    ConnectorSettings,
    Delivery,
    Opening,
    SourceError,
    csv_files,
    is_kept,
    missing_columns,
)
from dagster_project.words import shown

BATCH_ROWS = 100_000  # of Parquet
EXTRA_ROWS = 1_000
READ = (".csv", ".parquet")
NOT_READ = (
    ".xlsx",
    ".xlsm",
    ".xls",
    ".ods",
    ".numbers",
    ".tsv",
    ".txt",
    ".json",
    ".jsonl",
    ".xml",
    ".csv.gz",
    ".csv.zip",
    ".zip",
)
"""Forms that people keep a dataset in and that would otherwise be passed over in silence."""
PARQUET_SECONDS, PARQUET_MEGABYTES = 300.0, 2_048
"""What reading a batch may take: Parquet is read in a process of its own, which a broken file may take with it."""


class FilesSettings(ConnectorSettings, env_prefix="ARREARS_FILES_"):
    """The folder; a relative one is from the project's root."""

    dir: Path

    @field_validator("dir")
    @classmethod
    def _from_root(cls, path: Path) -> Path:
        return ROOT / path


class FilesSource:
    """A folder of dataset files."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise SourceError(f"ARREARS_FILES_DIR: there is no folder {folder}")
        self.folder = folder
        self._told = csv_files.told_in(folder)
        self._reader = Bounded(PARQUET_SECONDS, PARQUET_MEGABYTES)

    def close(self) -> None:
        self._reader.stop()

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        del since  # a file is a full snapshot
        named = sorted(path for path in self.folder.iterdir() if _is_for(path, dataset) and path.is_file())
        found = [path for path in named if path.suffix.lower() in READ and path.name.count(".") == 1]
        if not found and named:
            raise SourceError(
                f"{named[0]} is not read, and there is no {dataset.name}.csv or .parquet: save it as CSV, or move it away if the dataset "
                "is absent"
            )
        if not found:
            return None
        if len(found) > 1:
            raise SourceError(f"{found[0]} and {found[1].name} both hold {dataset.name}: keep one of them")
        (path,) = found
        if path.suffix.lower() == ".parquet":
            return Delivery(pages=_read_parquet(path, dataset, self._reader), full=True, origin=str(path))
        told = self._told[dataset.name]
        form = csv_files.form_of(path, dataset, told)
        pages = (as_page(table, dataset) for table in csv_files.read(form, dataset))
        return Delivery(pages=pages, full=True, origin=str(path), hand=csv_files.hand_of(form, told))


def _is_for(path: Path, dataset: Dataset) -> bool:
    """Whether a file holds a dataset by its name, in whatever case it is written."""
    name, _, ending = path.name.lower().partition(".")
    return name == dataset.name and f".{ending}" in (*READ, *NOT_READ)


def _opened(own: FilesSettings, opening: Opening) -> FilesSource:
    source = FilesSource(own.dir)
    opening.stack.callback(source.close)
    return source


CONNECTOR = Connector(
    name="files",
    settings=FilesSettings,
    opened=_opened,
    words=lambda own: str(own.dir),
    needs="ARREARS_FILES_DIR, the folder of dataset files",
)


def _read_parquet(path: Path, dataset: Dataset, reader: Bounded) -> Iterator[pa.Table]:
    try:
        answers = reader.stream(parquet_batches, str(path), BATCH_ROWS)
        _refuse_missing(path, dataset, next(answers))
        for batch in answers:
            yield as_page(pa.Table.from_batches([batch]), dataset)
    except OutOfBounds as broken:
        raise SourceError(f"{path} cannot be read as Parquet: it {broken}") from broken
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, StopIteration) as broken:
        raise SourceError(
            f"{path} cannot be read as Parquet: it is cut off or damaged, or something else by this name. Write or copy it again"
        ) from broken


def parquet_batches(path: str, rows: int) -> Iterator[Any]:
    """The names of a file's columns, then its records so many at a time."""
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if len(names) > csv_files.COLUMNS or len(set(names)) < len(names):
            raise SourceError(f"{path} cannot be read as Parquet: it has {len(names):,} columns, or one of them twice")
        yield names
        for batch in file.iter_batches(batch_size=rows):
            batch.validate(full=True)
            yield batch


def _refuse_missing(path: Path, dataset: Dataset, present: list[str]) -> None:
    if missing := missing_columns(dataset, present):
        raise SourceError(f"{path}: required column {', '.join(missing)} is missing; it has {shown(', '.join(present), 400)}")


def as_page(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Every column as text or as it is kept, in the page's order; columns the contract does not know go into one JSON text a row."""
    unknown = [name for name in table.column_names if name not in dataset.by_name]
    columns = {}
    for name in dataset.column_names:
        kind = dataset.by_name[name].type
        columns[name] = _as_given(table[name], kind) if name in table.column_names else pa.nulls(len(table), pa.string())
    extra = [
        json.dumps(row, default=str, ensure_ascii=False)
        for some in (
            table.select(unknown).to_batches(max_chunksize=EXTRA_ROWS) if unknown else ()
        )  # a page of them at once is large
        for row in some.to_pylist()
    ]
    columns[EXTRA] = pa.array(extra, pa.string()) if unknown else pa.nulls(len(table), pa.string())
    return pa.table(columns)


def _as_given(column: pa.ChunkedArray, kind: Type) -> pa.ChunkedArray:
    return column if is_kept(column.type, kind) else _as_text(column, kind)


def _as_text(column: pa.ChunkedArray, kind: Type) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = pc.cast(column, pa.timestamp("us", "UTC"))
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_timestamp(column.type) and kind is Type.DATE:  # how data frames write dates: as midnights
        days = pc.cast(column, pa.date32())
        column = days if pc.all(pc.equal(pc.cast(days, column.type), column)).as_py() is not False else column
    if pa.types.is_decimal(column.type) and column.type.scale > 6:  # past that, Arrow writes 1E-8
        return _each(column, lambda value: f"{value:f}")
    if pa.types.is_nested(column.type):
        return _each(column, str)
    return pc.cast(column, pa.string())


def _each(column: pa.ChunkedArray, text: Callable[[Any], str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([None if value is None else text(value) for value in column.to_pylist()], pa.string())])
