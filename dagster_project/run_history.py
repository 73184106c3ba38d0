"""Keep Dagster's run history off the night's clock.

Belongs here: how this process talks to the SQLite files Dagster remembers its runs in. Call `spare_the_disk` before Dagster is
imported. Does not belong here: what is remembered.

Dagster makes an engine for every event it stores, opens a connection, commits, closes it, and each time SQLite waits for the disk:
some 15 ms an event, and a night has 800. Here a file has one engine, which keeps the compiled statements and the open connections:
several, since Dagster asks while it writes, and what a connection is given back with is rolled back. The files are in write-ahead
mode, where `synchronous = normal` cannot corrupt them: a power cut may lose the last events of a run, never the ledger.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import Any

import sqlalchemy
import sqlalchemy.event
from sqlalchemy.pool import NullPool, QueuePool


@cache
def spare_the_disk() -> None:
    """Take effect for every SQLite engine this process makes from now on; harmless to call again."""
    make = sqlalchemy.create_engine
    engines: dict[str, sqlalchemy.Engine] = {}

    def one_engine_a_file(url: Any, **options: Any) -> sqlalchemy.Engine:
        if options.get("poolclass") is not NullPool or not str(url).startswith("sqlite:"):
            return make(url, **options)
        if str(url) not in engines:
            connect = {**options.pop("connect_args", {}), "check_same_thread": False}
            engine = make(url, **{**options, "poolclass": QueuePool, "connect_args": connect})
            engine.dispose = lambda close=True: None  # type: ignore[method-assign]  # Dagster does so after every event
            engines[str(url)] = engine
        return engines[str(url)]

    sqlalchemy.create_engine = one_engine_a_file  # type: ignore[assignment]

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
    def relax(connection: Any, record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("pragma synchronous = normal")
