"""People who are to be forgotten, everywhere under ARREARS_HOME.

Belongs here: where besides landing a name, address or note may stand, and how each kind of file is written anew without it. Does not
belong here: the landing store (`landing/forget.py`), which columns are personal (`contract.py`).

What was landed of somebody is known, so it is looked for as it was written: in marts, lists, workbooks, drafts, logs and what Dagster
remembers. Figures, keys and everybody else's rows stay. What cannot be written anew without it (a draft addressed to them, a spreadsheet
in a format of yesterday) is removed. Private files of runs are removed, and what `make adopt` said, since any of them can be made again.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from xml.sax.saxutils import escape

from filelock import FileLock, Timeout

from dagster_project import duck, warehouse
from dagster_project.landing import Landing
from dagster_project.landing.forget import Person, Record, known_of
from dagster_project.landing.judge import quoted, text
from dagster_project.settings import Settings
from dagster_project.sources.inquiries import forgotten_of

SHORTEST = 4
"""A shorter word stands in too many other words to be taken out wherever it is."""

TEXTS = (".csv", ".jsonl", ".json", ".txt", ".log", ".html", ".md")
ZIPPED = (".xlsx", ".xlsm", ".xltx", ".ods")
BINARY = (".xls", ".xlsb", ".numbers")


class ForgettingError(Exception):
    """Nobody was forgotten. The message says why and what to do."""


@dataclass(frozen=True)
class Forgotten:
    """What was done: the record in landing, and how many files outside were written anew or removed."""

    record: Record
    rewritten: int
    removed: int


def forget(settings: Settings, landing: Landing, person: Person) -> Forgotten:
    """Blank somebody everywhere under the home, and keep a record that it was done.

    Raises:
        ForgettingError: a run is at work, or nothing is known of a person of that key.
    """
    settings.warehouse.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(settings.warehouse / ".alone.lock", timeout=0):
            if not warehouse.nobody_at_work(settings.warehouse):
                raise ForgettingError("a run is at work: forget once it has ended")
            words = known_of(landing.folder, landing.quarantine, person)
            if not words:
                raise ForgettingError(f"nothing personal is known of the {person.kind} {person.key}; nothing was changed")
            rewritten, removed = _outside(settings, words)
            if person.kind == "customer":
                rewritten += forgotten_of(settings.home, person.key)
            return Forgotten(landing.forget(person, getpass.getuser()), rewritten, removed)
    except Timeout:
        raise ForgettingError("somebody else is being forgotten: try again once that has ended") from None


def _outside(settings: Settings, words: Iterable[str]) -> tuple[int, int]:
    """Take words out of everything but landing. Returns how many files were written anew and removed."""
    scrub = Scrub(words)
    removed = 0
    for private in settings.warehouse.glob("*.*"):
        if private.is_dir():
            shutil.rmtree(private)
            removed += 1
    for told in (settings.home / "adopt").glob("*"):  # of records that never landed, so that nobody knows whose words are in it
        shutil.rmtree(told) if told.is_dir() else told.unlink()
        removed += 1
    rewritten = 0
    for path in _files(settings):
        with suppress(FileNotFoundError):
            done = scrub.file(path)
            rewritten += done == "rewritten"
            removed += done == "removed"
    for folder in settings.worklists.glob("????-??-??"):
        _count_again(folder)
    for path in settings.dagster_home.rglob("*.db"):
        rewritten += scrub.database(path)
    for path in (settings.home / "memory").glob("*.sqlite"):
        rewritten += scrub.database(path, columns=("record",))  # its keys are a system's own
    return rewritten, removed


def _files(settings: Settings) -> Iterator[Path]:
    places = (
        settings.published,
        settings.quarantine,
        settings.worklists,
        settings.inbox,
        settings.home / "logs",
        settings.home / "reports",
        settings.matches,
        settings.dagster_home,
    )
    for place in places:
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.is_symlink() and not any(part.is_symlink() for part in path.parents):
                yield path


def _count_again(folder: Path) -> None:
    """Let the manifest of a morning's folder say what its files are now."""
    path = folder / "manifest.json"
    if not path.exists():
        return
    told = json.loads(path.read_text("utf-8"))
    sums = next(folder.glob("drafts/SHA256SUMS"), None)
    if sums:
        lines = [line for line in sums.read_text("utf-8").splitlines() if (sums.parent / line.split("  ", 1)[-1]).exists()]
        _replace(sums, "".join(f"{line}\n" for line in lines).encode())
    before = json.dumps(told)
    for file in told["files"]:
        if (folder / file["name"]).exists():
            content = (folder / file["name"]).read_bytes()
            file["sha256"], file["bytes"] = hashlib.sha256(content).hexdigest(), len(content)
    if json.dumps(told) != before:
        _replace(path, (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())


class Scrub:
    """Takes words out of files, each kind in its own way."""

    def __init__(self, words: Iterable[str]):
        self.words = sorted((word for word in words if len(word.strip()) >= SHORTEST), key=len, reverse=True)
        self._plain = [word.encode() for word in self.words]
        self._quoted = [json.dumps(word, ensure_ascii=ascii)[1:-1].encode() for word in self.words for ascii in (True, False)]
        self._doubled = [word.replace('"', '""').encode() for word in self.words]
        self._xml = [escape(word).encode() for word in self.words]
        self._everyhow = [*self._quoted, *self._doubled, *self._xml, *self._plain]

    def file(self, path: Path) -> str | None:
        """`rewritten` or `removed`; None where nothing of it stood there."""
        kind = path.suffix.lower()
        if kind in TEXTS or path.name == "events":
            return self._rewritten(path, lambda: self.out_of(path.read_bytes()))
        if kind in ZIPPED:
            return self._zipped(path)
        if kind == ".eml":
            return self._removed(path, self._in_mail(path))
        if kind in BINARY:
            content = path.read_bytes()
            return self._removed(
                path, any(word in content or word.decode().encode("utf-16-le") in content for word in self._plain)
            )
        if kind == ".parquet":
            return self._table(path)
        if kind == ".duckdb":
            return self._marts(path)
        return None

    def out_of(self, content: bytes) -> bytes:
        for word in self._everyhow:
            content = content.replace(word, b"")
        return content

    def _rewritten(self, path: Path, cleaned: Callable[[], bytes]) -> str | None:
        new = cleaned()
        if new == path.read_bytes():
            return None
        _replace(path, new)
        return "rewritten"

    def _removed(self, path: Path, holds: bool) -> str | None:
        if holds:
            path.unlink()
        return "removed" if holds else None

    def _zipped(self, path: Path) -> str | None:
        try:
            with zipfile.ZipFile(path) as old:
                parts = [(info, old.read(info)) for info in old.infolist()]
        except (zipfile.BadZipFile, OSError):
            content = path.read_bytes()  # no spreadsheet: whatever it is, it must not hold anything
            return self._removed(path, self.out_of(content) != content)
        cleaned = [(info, self.out_of(content)) for info, content in parts]
        if [content for _, content in cleaned] == [content for _, content in parts]:
            return None
        beside = path.with_name(f".{path.name}.new")
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as new:
            for info, content in cleaned:
                new.writestr(info, content)
        _as_old(path, beside)
        return "rewritten"

    def _in_mail(self, path: Path) -> bool:
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        told = [str(value) for value in mail.values()]
        for part in mail.walk():
            if not part.is_multipart():
                content = part.get_content()
                told.append(content if isinstance(content, str) else bytes(content).decode("utf-8", "replace"))
        return any(word in text for word in self.words for text in told)

    def _cleaned(self, relation: str, columns: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
        """SQL for a relation without the words, and for whether any stands in it; None where no column holds text."""
        texts = [name for name, kind in columns if kind == "VARCHAR"]
        if not texts:
            return None
        replaced = {name: quoted(name) for name in texts}
        for word in self.words:
            replaced = {name: f"replace({how}, {text(word)}, '')" for name, how in replaced.items()}
        holds = " or ".join(f"contains({quoted(name)}, {text(word)})" for name in texts for word in self.words)
        kept = ", ".join(f"{how} as {quoted(name)}" for name, how in replaced.items())
        return f"select * replace ({kept}) from {relation}", f"select 1 from {relation} where {holds} limit 1"

    def _table(self, path: Path) -> str | None:
        con = duck.connect()
        try:
            scan = f"read_parquet({text(str(path))})"
            columns = con.execute(f"select column_name, column_type from (describe select * from {scan})").fetchall()
            sql = self._cleaned(scan, columns) if self.words else None
            if sql is None or not con.execute(sql[1]).fetchone():
                return None
            beside = path.with_name(f".{path.name}.new")
            con.execute(f"copy ({sql[0]}) to {text(str(beside))} (format parquet, compression zstd)")
        finally:
            con.close()
        _as_old(path, beside)
        return "rewritten"

    def _marts(self, path: Path) -> str | None:
        """Tables are copied into a new file: what is overwritten in a database may still lie in it."""
        beside = path.with_name(f".{path.name}.new")
        con = duck.connect()
        try:
            con.execute(f"attach {text(str(path))} as old (read_only)")
            found = con.execute(
                "select schema_name, table_name from duckdb_tables() where database_name = 'old' order by all"
            ).fetchall()
            made, held = [], False
            for schema, table in found:
                relation = f"old.{quoted(schema)}.{quoted(table)}"
                columns = con.execute(f"select column_name, column_type from (describe select * from {relation})").fetchall()
                sql = self._cleaned(relation, columns) if self.words else None
                held = held or bool(sql and con.execute(sql[1]).fetchone())
                made.append((schema, table, sql[0] if sql else f"select * from {relation}"))
            if not held:
                return None
            beside.unlink(missing_ok=True)
            con.execute(f"attach {text(str(beside))} as new (storage_version '{warehouse.READ_FROM}')")
            for schema, table, sql_of in made:
                con.execute(f"create schema if not exists new.{quoted(schema)}")
                con.execute(f"create table new.{quoted(schema)}.{quoted(table)} as {sql_of}")
            warehouse.copy_comments(con, "old", "new")
            con.execute("detach new")
        finally:
            con.close()
        _as_old(path, beside)
        return "rewritten"

    def database(self, path: Path, columns: Iterable[str] | None = None) -> int:
        """Take the words out of every text of a SQLite file, or of those columns. Returns 1 where there were any."""
        with closing(sqlite3.connect(path, timeout=60)) as con:
            tables = [name for (name,) in con.execute("select name from sqlite_master where type = 'table'")]
            before = con.total_changes
            for table in tables:
                there = [row[1] for row in con.execute(f'pragma table_info("{table}")')]
                for column in (column for column in there if columns is None or column in columns):
                    for word in dict.fromkeys(how.decode() for how in (*self._quoted, *self._plain)):
                        con.execute(
                            f'update "{table}" set "{column}" = replace("{column}", ?, \'\') '
                            f'where typeof("{column}") = \'text\' and instr("{column}", ?) > 0',
                            (word, word),
                        )
            changed = con.total_changes > before
            con.commit()
            if changed:
                con.execute("vacuum")
                con.execute("pragma wal_checkpoint(truncate)")
        return int(changed)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    _as_old(path, beside)


def _as_old(path: Path, beside: Path) -> None:
    """Put a file in another's place, for the same readers and with the same age."""
    stat = path.stat()
    os.utime(beside, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with suppress(PermissionError):
        os.chown(beside, -1, stat.st_gid)
    os.replace(beside, path)
