"""Keep Dagster's run history off the night's clock.

Belongs here: how this process talks to the SQLite files Dagster remembers its runs in. Call `spare_the_disk` before Dagster is
imported. Does not belong here: what is remembered.

Dagster makes an engine for every event it stores, opens a connection, commits, closes it, and each time SQLite waits for the disk:
some 15 ms an event, and a night has 600. One engine a file keeps the compiled statements. The files are in write-ahead mode, where
`synchronous = normal` cannot corrupt them — a power cut may lose the last events of a run, never the ledger — and a connection held
open keeps the log from being folded in at every close.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import Any

import sqlalchemy
import sqlalchemy.event
from sqlalchemy.pool import NullPool


@cache
def spare_the_disk() -> None:
    """Take effect for every SQLite engine this process makes from now on; harmless to call again."""
    make = sqlalchemy.create_engine
    engines: dict[str, sqlalchemy.Engine] = {}
    held: dict[str, sqlite3.Connection] = {}

    def one_engine_a_file(url: Any, **options: Any) -> sqlalchemy.Engine:
        if options.get("poolclass") is not NullPool or not str(url).startswith("sqlite:"):
            return make(url, **options)
        if str(url) not in engines:
            engines[str(url)] = make(url, **options)
        return engines[str(url)]

    sqlalchemy.create_engine = one_engine_a_file  # type: ignore[assignment]

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
    def relax(connection: Any, record: Any) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("pragma synchronous = normal")
        file = connection.execute("pragma database_list").fetchone()[2]
        if file and file not in held:
            held[file] = sqlite3.connect(file, check_same_thread=False)
            held[file].execute("select count(*) from sqlite_master").fetchone()
