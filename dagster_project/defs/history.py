"""Where Dagster remembers runs and their events: its own SQLite files, kept off the night's clock.

Belongs here: how the process of a night talks to those files, and how a run is taken out of them. Does not belong here: what is
remembered, whether the files are whole (`history.py` of the package).

Dagster makes an engine for every event it stores, opens a connection, commits, closes it, and each time SQLite waits for the disk:
some 15 ms an event, and a night has 1,000. Here a file has one engine, which keeps the compiled statements and an open connection, and
which tables and columns it has is asked once. The files are in write-ahead mode, where `synchronous = normal` cannot corrupt them: a
power cut may lose the last events of a run, never the ledger. This leans on Dagster's own classes, until it keeps its engines itself;
`tests/unit/test_leans.py` says when they moved.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy
import sqlalchemy.event
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from sqlalchemy.engine import Connection, Engine

RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

PATIENCE = 30
"""Seconds to wait for another process that writes."""

SCHEMA = ("has_table", "_has_asset_key_col_on_connection")
"""What Dagster asks of its files at each event of an asset or a check, though tables and columns only ever come."""


def spare_the_disk(instance: dg.DagsterInstance) -> None:
    """Take effect for an open instance whose history is Dagster's own SQLite files, until it is closed; harmless to call again, and
    where the history is kept elsewhere."""
    events, runs = instance.event_log_storage, instance.run_storage
    if type(events) is SqliteEventLogStorage and "_connect" not in vars(events):
        vars(events)["_connect"] = _events(events)
        for asked in SCHEMA:
            vars(events)[asked] = _asked_once(getattr(events, asked))
    if type(runs) is SqliteRunStorage and "connect" not in vars(runs):
        vars(runs)["connect"] = _runs(runs)


def forget(instance: dg.DagsterInstance, run_id: str) -> None:
    """Take a run out of the history, and with it the files of its own, which Dagster empties and leaves."""
    instance.delete_run(run_id)
    events = instance.event_log_storage
    if type(events) is SqliteEventLogStorage:
        events._initialized_dbs.discard(run_id)
        for path in Path(events.path_for_shard(run_id)).parent.glob(f"{run_id}.db*"):
            path.unlink(missing_ok=True)
    said = Path(instance.storage_directory()) / run_id
    if RUN_ID.fullmatch(run_id):
        shutil.rmtree(said, ignore_errors=True)


def _events(storage: Any) -> Callable[[str], AbstractContextManager[Connection]]:
    """For the events of runs: a file a run, and an index over all of them."""
    engine_of = cache(_engine)

    @contextmanager
    def connect(shard: str) -> Iterator[Connection]:
        with storage._db_lock:
            engine = engine_of(storage.conn_string_for_shard(shard))
            if shard not in storage._initialized_dbs:
                storage._initdb(engine)
                storage._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    return connect


def _asked_once(asks: Callable[..., bool]) -> Callable[..., bool]:
    """The same question, asked again only until it was answered with yes. What is asked stands last among the arguments."""
    there = set[Any]()

    def asked(*arguments: Any) -> bool:
        if arguments[-1] not in there and asks(*arguments):
            there.add(arguments[-1])
        return arguments[-1] in there

    return asked


def _runs(storage: Any) -> Callable[[], AbstractContextManager[Connection]]:
    """For the runs: one file."""
    engine = _engine(storage._conn_string)

    @contextmanager
    def connect() -> Iterator[Connection]:
        with engine.connect() as connection, connection.begin():
            yield connection

    return connect


def _engine(file: str) -> Engine:
    engine = sqlalchemy.create_engine(file, connect_args={"timeout": PATIENCE, "check_same_thread": False})
    sqlalchemy.event.listen(engine, "connect", _relaxed)
    return engine


def _relaxed(connection: Any, record: Any) -> None:
    connection.execute("pragma synchronous = normal")
