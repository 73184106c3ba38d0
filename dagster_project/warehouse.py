"""The morning's DuckDB files: where they are and how they are read and published.

Belongs here: a run's private folder, putting the landed rows in front of dbt, reading the marts, publishing them by rename. Does
not belong here: anything about what the rows mean.

    warehouse/<as_of>.<run>/arrears.duckdb   sources as views over landing, staging, intermediate, policy
                            marts.duckdb     the marts, built where they are published from
    published/arrears.duckdb                 the same file under its public name
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from dagster_project.described import Described
from dagster_project.duck import MEMORY_LIMIT, connect
from dagster_project.home import give

MARTS: Final = "marts"
"""Schema of everything that is published."""
PUBLIC: Final = "arrears.duckdb"
"""The published file. DuckDB names a database after its file: not as a schema in it, or `marts.open_items` would be ambiguous."""
FORMER: Final = "marts.duckdb"
"""What it was called before; a link to it until the release after 0.1."""

READ_FROM: Final = "v1.4.0"
"""The oldest DuckDB that reads the published file, as dbt's profile has it."""

UNFORCED: Final = {"fsync_mode": "none", "checkpoint_threshold": "1GB", "preserve_insertion_order": "false"}
"""How a morning is built, as dbt's profile has it: nobody goes on with what a killed run left."""

_FINISHED, _ISSUED = "finished", "issued"


@dataclass
class Warehouse:
    """One run's private folder. While the run lives it holds the folder's lock, so that no other run tidies it away."""

    folder: Path
    _lock: FileLock = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = FileLock(self.folder / "in-use.lock", thread_local=False)

    @property
    def private(self) -> Path:
        return self.folder / "arrears.duckdb"

    @property
    def marts(self) -> Path:
        return self.folder / "marts.duckdb"

    @property
    def parquet(self) -> Path:
        """The marts as Parquet, there once they were exported: what the rest of the run reads, since no reader can lock it."""
        return self.folder / "parquet"

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire(timeout=0)
        self.clear()

    def clear(self) -> None:
        """Begin anew in a folder that this run holds."""
        for path in (self.private, self.marts):
            for file in self.folder.glob(f"{path.name}*"):
                file.unlink()
        shutil.rmtree(self.parquet, ignore_errors=True)
        for said in (_FINISHED, _ISSUED):
            (self.folder / said).unlink(missing_ok=True)

    def finish(self, made_by: Mapping[str, str]) -> None:
        """Say that everything was built here and every blocking test passed: only such a folder is published from. `made_by`: the
        fingerprints of what built it, for a delivery that is run again when policy has moved on."""
        (self.folder / _FINISHED).write_text(json.dumps(dict(made_by)), "utf-8")

    @property
    def made_by(self) -> dict[str, str]:
        told: dict[str, str] = json.loads((self.folder / _FINISHED).read_text("utf-8"))
        return told

    def says_issued(self, loads: Iterable[str]) -> None:
        """Remember which loads of issued steps the morning knows."""
        (self.folder / _ISSUED).write_text("\n".join(sorted(loads)), "utf-8")

    @property
    def knew_issued(self) -> frozenset[str] | None:
        """The loads of issued steps that the morning was built on; None where nobody said so."""
        path = self.folder / _ISSUED
        return frozenset(path.read_text("utf-8").split()) if path.exists() else None

    @property
    def finished(self) -> bool:
        return (self.folder / _FINISHED).exists()

    def release(self) -> None:
        self._lock.release()

    @contextmanager
    def prepared(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The private file, open for writing: before dbt runs."""
        con = connect(str(self.private))
        try:
            yield con
        finally:
            con.close()

    @contextmanager
    def building(self, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Both files, open for writing as dbt's profile opens them: `published.marts.<mart>`, `<layer>.<model>`."""
        con = connect(str(self.private), memory_limit=memory_limit, **UNFORCED)
        try:
            con.execute(f"attach '{self.marts}' as published (storage_version '{READ_FROM}')")
            yield con
        finally:
            con.close()

    @contextmanager
    def looked_into(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Both files as dbt sees them, read only: `published.marts.<mart>`, `<layer>.<model>`."""
        con = connect()
        try:
            con.execute(
                f"attach '{self.private}' as arrears (read_only); attach '{self.marts}' as published (read_only); use arrears"
            )
            yield con
        finally:
            con.close()


@contextmanager
def marts_of(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A file of marts, read only: `select … from <mart>`."""
    con = connect()
    try:
        con.execute(f"attach '{path}' as built (read_only); use built.{MARTS}")
        yield con
    finally:
        con.close()


A_LOOK = 2
"""Seconds that a run waits for its morning: somebody may only be looking whether it is free."""


LONGEST_ALONE = 3_600  # seconds


class AlreadyAtWork(Exception):
    """Another run is at work on the same morning. The message says which, since when, and in which process."""


@contextmanager
def at_work_on(root: Path, as_of: date, run_id: str) -> Iterator[None]:
    """Be the only run at work on a morning. A killed run holds nothing: its lock ends with its process.

    Raises:
        AlreadyAtWork: another run is.
    """
    root.mkdir(parents=True, exist_ok=True)
    lock, card = FileLock(root / f".{as_of}.lock", thread_local=False), root / f".{as_of}.run"
    with FileLock(root / ".alone.lock", timeout=LONGEST_ALONE):  # somebody is being forgotten, which no run may see half done
        pass
    try:
        lock.acquire(timeout=A_LOOK)
    except Timeout:
        raise AlreadyAtWork(f"{_card(root, as_of)} is already at work on the morning of {as_of}") from None
    try:
        card.write_text(f"run {run_id} (process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC)\n", "utf-8")
        yield
    finally:
        lock.release()


def at_work(root: Path, as_of: date) -> str | None:
    """Who is at work on a morning, as on its card; None where nobody is, which proves that whoever was is dead or done."""
    if not (root / f".{as_of}.lock").exists():
        return None
    lock = FileLock(root / f".{as_of}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _card(root, as_of)
    lock.release()
    return None


def was_at_work(root: Path, as_of: date, run_id: str) -> bool:
    """Whether a run is the last that was at work on a morning."""
    return f"run {run_id} " in _card(root, as_of)


def _card(root: Path, as_of: date) -> str:
    card = root / f".{as_of}.run"
    return (card.read_text("utf-8").strip() if card.exists() else "") or "another run"


def last_finished(root: Path, as_of: date) -> Warehouse | None:
    """The newest folder of a morning that was built to the end; None where there is none left."""
    folders = sorted(root.glob(f"{as_of}.*"), key=lambda path: path.stat().st_mtime, reverse=True)
    return next((built for folder in folders if (built := Warehouse(folder)).finished), None)


def tidy(root: Path, keep: int) -> None:
    """Remove the private folders of runs that ended, killed ones too, but for the newest `keep`."""
    folders = sorted((path for path in root.glob("*.*") if path.is_dir()), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in folders[keep:]:
        if nobody_works_in(folder):
            shutil.rmtree(folder, ignore_errors=True)


def nobody_works_in(folder: Path) -> bool:
    """Whether the run that a private folder belongs to has ended, or was killed."""
    return _free(folder / "in-use.lock")


def nobody_at_work(root: Path) -> bool:
    """Whether no run is at work on any morning."""
    return all(_free(path) for path in root.glob(".????-??-??.lock"))


def _free(path: Path) -> bool:
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    lock.release()
    return True


def mart_names(con: duckdb.DuckDBPyConnection) -> list[str]:
    rows = con.execute(
        "select table_name from duckdb_tables() where schema_name = ? and database_name = current_database() order by 1", [MARTS]
    )
    return [name for (name,) in rows.fetchall()]


def read(parquet: Path, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, pa.Table]:
    """Marts as Arrow tables, in a stable order of rows, each with the columns it is wanted with; all of them where none is named. A
    mart that the project does not have is left out. Each is read when it is asked for, and nobody keeps it but who asked."""
    return _Marts(parquet, {name: columns for name, columns in wanted.items() if (parquet / f"{name}.parquet").exists()})


@dataclass(frozen=True)
class _Marts(Mapping[str, pa.Table]):
    folder: Path
    wanted: Mapping[str, Sequence[str]]

    def __getitem__(self, name: str) -> pa.Table:
        wanted = self.wanted[name]
        with pq.ParquetFile(self.folder / f"{name}.parquet") as file:
            columns = wanted or file.schema_arrow.names
            # one by one: at once they would take twice the memory
            mart = pa.table({column: file.read([column], use_threads=False).column(0) for column in columns})
        pa.default_memory_pool().release_unused()
        return mart

    def __iter__(self) -> Iterator[str]:
        return iter(self.wanted)

    def __len__(self) -> int:
        return len(self.wanted)


def row_counts(parquet: Path) -> Mapping[str, int]:
    return {path.stem: pq.read_metadata(path).num_rows for path in sorted(parquet.glob("*.parquet"))}


@contextmanager
def published_marts(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """What was published into a folder, to be queried by mart. Read from Parquet: a BI tool may hold the DuckDB file for writing."""
    con = connect()
    try:
        for path in (folder / "parquet").glob("*.parquet"):
            con.execute(f"create view \"{path.stem}\" as select * from read_parquet('{path}')")
        yield con
    finally:
        con.close()


def bring_in(marts: Path, built: Mapping[str, tuple[Path, Mapping[str, str]]], memory_limit: str = MEMORY_LIMIT) -> None:
    """Make the file of marts from marts that were built elsewhere: of each the folder of its Parquet files, and the type of each column."""
    con = connect(memory_limit=memory_limit)
    try:
        con.execute(f"set preserve_insertion_order = false; set temp_directory = '{marts.with_name('spill')}'")
        con.execute(f"attach '{marts}' as built (storage_version '{READ_FROM}'); create schema built.{MARTS}; use built.{MARTS}")
        for name, (folder, columns) in sorted(built.items()):
            declared = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
            con.execute(f'create table "{name}" ({declared})')
            if files := [str(path) for path in sorted(folder.glob("*.parquet"))]:
                con.execute(f'insert into "{name}" by name select * from read_parquet(?)', [files])
        con.execute("checkpoint built")
    finally:
        con.close()


def export(marts: Path, memory_limit: str = MEMORY_LIMIT) -> Path:
    """Write each mart of a built file as Parquet into the folder `parquet` beside it, in a stable order of rows. Returns the folder,
    which is there whole or not at all."""
    exported, part = marts.with_name("parquet"), marts.with_name("parquet.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    with marts_of(marts) as con:
        con.execute(f"set memory_limit = '{memory_limit}'; set temp_directory = '{marts.with_name('spill')}'")
        for name in mart_names(con):
            _write_parquet(con, f'"{name}" order by all', part / f"{name}.parquet")
    part.rename(exported)
    return exported


def _write_parquet(con: duckdb.DuckDBPyConnection, rows: str, path: Path) -> None:
    con.execute(f"copy (select * from {rows}) to '{path}' (format parquet, compression zstd)")


def publish(
    marts: Path,
    published: Path,
    as_of: date,
    run: Mapping[str, str],
    memory_limit: str = MEMORY_LIMIT,
    group: str | None = None,
    described: Mapping[str, Described] | None = None,
) -> Path:
    """Give a built file of marts its public name, and the same as Parquet, exported first where it was not yet. Returns the folder that
    was published into.

    The newest morning is `published/` itself; an older one goes under `published/history/<as_of>/` and leaves the newer alone.
    A reader that has the old file open keeps it; one that opens the path gets a whole new one. `group` may read what is published,
    besides whoever may read the home. `described`: what the file says of its tables and columns.
    """
    published.mkdir(parents=True, exist_ok=True)
    with FileLock(published / ".lock", timeout=600):
        return _publish(marts, published, as_of, run, memory_limit, group, described or {})


def _publish(
    marts: Path,
    published: Path,
    as_of: date,
    run: Mapping[str, str],
    memory_limit: str,
    group: str | None,
    described: Mapping[str, Described],
) -> Path:
    _take_back(marts)
    exported = marts.with_name("parquet")
    if not exported.exists():
        export(marts, memory_limit)
    con = connect()
    try:
        con.execute(f"attach '{marts}' as built; use built.{MARTS}")
        columns = ", ".join(f"? as {name}" for name in run)
        con.execute(f"create or replace table run as select cast('{as_of}' as date) as as_of, {columns}", list(run.values()))
        _comment(con, described)
        con.execute("checkpoint built")  # which also forces to disk what the build left to the system to write
        _write_parquet(con, "run", exported / ".run.new")
    finally:
        con.close()
    os.replace(exported / ".run.new", exported / "run.parquet")  # not written over: the last one may be out under its public name
    newer = newer_is_out(published_as_of(published), as_of)
    target = published / "history" / as_of.isoformat() if newer else published
    parquet = target / ".sets" / f"{marts.parent.name}.{secrets.token_hex(3)}"
    parquet.mkdir(parents=True)
    for folder in (published, target.parent, target, parquet.parent, parquet):
        if folder.is_relative_to(published):
            give(folder, group)
    for file in (marts, *exported.iterdir()):
        give(file, group)  # before it has a name that its readers know
    for file in exported.iterdir():
        _second_name(file, parquet / file.name)
    previous = (target / "parquet").resolve()
    _swap_symlink(parquet, target / "parquet")  # first: it says which morning is out, and that must never be too old a one
    _swap_link(marts, target / PUBLIC)
    if not (target / FORMER).is_symlink():
        _swap_symlink(target / PUBLIC, target / FORMER)
    for old in (target / ".sets").iterdir():
        if old.name not in (parquet.name, previous.name):  # a reader may be half way through the previous ones
            shutil.rmtree(old, ignore_errors=True)
    return target


def newer_is_out(out: date | None, as_of: date) -> bool:
    """Whether the morning that is out is a newer one than that of `as_of`, which must not take its place."""
    come = (datetime.now(UTC) + timedelta(hours=14)).date()  # anywhere: a morning that a clock far ahead made up is no newer one
    return out is not None and as_of < out <= come


def _comment(con: duckdb.DuckDBPyConnection, described: Mapping[str, Described]) -> None:
    """Say in the file what each table and column is: tools that open it show it."""
    found = con.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = ? and database_name = current_database()",
        [MARTS],
    ).fetchall()
    said = [(f'table "{mart}"', described[mart].text) for mart in dict.fromkeys(mart for mart, _ in found) if mart in described]
    said += [
        (f'column "{mart}"."{column}"', text)
        for mart, column in found
        if mart in described and (text := described[mart].columns.get(column))
    ]
    _say(con, said)


def copy_comments(con: duckdb.DuckDBPyConnection, old: str, new: str) -> None:
    """Say of the tables of one attached database what is said of those of another."""
    said = con.execute(
        "select 'table ' || concat_ws('.', ?, schema_name, table_name), comment from duckdb_tables() where database_name = ? "
        "union all select 'column ' || concat_ws('.', ?, schema_name, table_name, column_name), comment from duckdb_columns() "
        "where database_name = ?",
        [new, old, new, old],
    ).fetchall()
    _say(con, [(what, text) for what, text in said if text])


def _say(con: duckdb.DuckDBPyConnection, said: Sequence[tuple[str, str]]) -> None:
    if said:
        comments = ["comment on {} is '{}'".format(what, text.replace("'", "''")) for what, text in said]
        con.execute("; ".join(["begin", *comments, "commit"]))


def _take_back(marts: Path) -> None:
    """Where a delivery is run again, the file is out under its public name already: write on in a copy, not under a reader."""
    if marts.stat().st_nlink > 1:
        mine = marts.with_name(f"{marts.name}.again")
        shutil.copy2(marts, mine)
        os.replace(mine, marts)


def published_as_of(published: Path) -> date | None:
    """The morning that is published now; None where nothing is."""
    path = published / "parquet" / "run.parquet"
    return pq.read_table(path)["as_of"][0].as_py() if path.exists() else None


def published_as(published: Path, as_of: date) -> Path:
    """The folder in which a morning's marts are published."""
    return published if published_as_of(published) == as_of else published / "history" / as_of.isoformat()


def published_run(folder: Path) -> str | None:
    """Which run built what is published into a folder; None where nothing is."""
    path = folder / "parquet" / "run.parquet"
    return str(pq.read_table(path)["run_id"][0].as_py()) if path.exists() else None


def _swap_link(source: Path, target: Path) -> None:
    """Put a file in another's place in one step; the file itself is not copied."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    _second_name(source, beside)
    os.replace(beside, target)


def _second_name(source: Path, target: Path) -> None:
    """The same file under another name; a copy on a file system without hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _swap_symlink(source: Path, target: Path) -> None:
    """Point a link at another folder or file in one step."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(os.path.relpath(source, target.parent), target_is_directory=source.is_dir())
    os.replace(beside, target)
