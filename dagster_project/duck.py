"""DuckDB as this project opens it. The only caller of `duckdb.connect`.

Belongs here: with which settings one is opened, and one that lives for a moment. Does not belong here: which files there are
(`warehouse.py`), what is asked of them.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

MEMORY_LIMIT: Final = "1500MB"
"""What DuckDB takes before it spills to disk: a night then fits a machine of 4 GB, whatever the book."""


def connect(path: str = ":memory:", **config: str) -> duckdb.DuckDBPyConnection:
    """DuckDB as dbt's profile has it: small batches that are kept back stop it where a filter stands on a cross product."""
    return duckdb.connect(path, config={"enable_caching_operators": "false", **config})


_IDLE: Final = defaultdict[str, list[duckdb.DuckDBPyConnection]](list)
"""DuckDBs that wait for the next scratch, by how much memory they may take: to start one takes longer than to land a small load."""


@contextmanager
def scratch(folder: Path, memory_limit: str = MEMORY_LIMIT) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that lives as long as the `with`, spills into `folder`, and reads times as UTC."""
    idle, spill = _IDLE[memory_limit], folder / "spill"
    try:
        engine = idle.pop()
    except IndexError:
        engine = connect(memory_limit=memory_limit)
    ours = True
    con = engine.cursor()  # what is registered or set for it alone ends with it
    try:
        con.execute("attach ':memory:' as scratch; use scratch; set timezone = 'UTC'; set preserve_insertion_order = false")
        con.execute(f"set temp_directory = '{spill}'")
        yield con
        con.close()
        if not spill.exists():  # one that has spilled stays with its folder
            engine.execute("detach scratch")
            ours = False
            idle.append(engine)
    finally:
        con.close()
        if ours:
            engine.close()
        shutil.rmtree(spill, ignore_errors=True)
