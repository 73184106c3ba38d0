"""The files in which Dagster remembers runs: are they whole, and if not, out of the way.

Belongs here: looking at those files without Dagster, which cannot start on broken ones. Does not belong here: how Dagster writes them
(`defs/history.py`).

They are a cache of history: no morning is built from them. Without them the UI starts empty, and what somebody switched on or off in
it (the schedule, the sensor) is as it ships again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

FILES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")

CHECKED_WHOLE = 64 * 1024 * 1024
"""Bytes up to which a file is read to its end; of a larger one its tables are."""


def faults(home: Path) -> list[str]:
    """What is wrong with the files, a line each; one that is locked or not there is not broken."""
    found = []
    for path in (home / name for name in FILES):
        if path.exists() and (said := _fault(path)):
            found.append(f"{path.relative_to(home)}: {said}")
    return found


def _fault(path: Path) -> str:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=1)) as connection:
            connection.execute("select count(*) from sqlite_master").fetchall()
            if path.stat().st_size <= CHECKED_WHOLE:
                (said,) = connection.execute("pragma quick_check(1)").fetchone()
                return "" if said == "ok" else str(said)
    except sqlite3.OperationalError:
        return ""  # locked, or not to be written: that is not for us to mend here
    except sqlite3.DatabaseError as broken:
        return str(broken)
    return ""


def set_aside(home: Path) -> Path:
    """Give the folder another name; returns it."""
    aside = home.with_name(f"{home.name}.broken-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    os.rename(home, aside)
    return aside
