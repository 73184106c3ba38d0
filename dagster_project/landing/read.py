"""Reading loads: SQL for the rows of any set of them, with the columns of today's contract.

Belongs here: what a reader of landing selects from. Does not belong here: which loads a morning knows (`store.py`), what of them counts
(dbt).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from dagster_project.contract import LANDING_COLUMNS, SQL_TYPES, Dataset
from dagster_project.landing.judge import quoted, text
from dagster_project.landing.loads import Load


def rows_select(dataset: Dataset, con: duckdb.DuckDBPyConnection, loads: Sequence[Load]) -> str:
    """SQL for the rows of loads, with every column of today's contract; a column that older loads lack is null."""
    files = files_of(loads)
    if not files:
        return empty_select(dataset)
    scan = f"read_parquet([{', '.join(map(text, files))}], union_by_name = true)"
    present = {row[0] for row in con.execute(f"describe select * from {scan}").fetchall()}
    columns = [
        f"{quoted(c.name) if c.name in present else f'cast(null as {SQL_TYPES[c.type]})'} as {quoted(c.name)}"
        for c in (*dataset.columns, *LANDING_COLUMNS)
    ]
    return f"select {', '.join(columns)} from {scan}{only(loads)}"


def files_of(loads: Sequence[Load]) -> list[str]:
    """The files that hold the rows of loads, each once."""
    return list(dict.fromkeys(str(load.rows) for load in loads if load.rows))


def only(loads: Sequence[Load]) -> str:
    """The condition that keeps the rows of other loads out, where a pack holds any."""
    wanted = {load.load_id for load in loads}
    packs = {load.pack.folder: load.pack for load in loads if load.pack}
    if all(other.load_id in wanted or not other.rows for pack in packs.values() for other in pack.loads):
        return ""
    return f" where _load_id in ({', '.join(text(load.load_id) for load in loads if load.rows)})"


def empty_select(dataset: Dataset) -> str:
    """SQL for no rows, with the types of the contract: how an absent dataset looks."""
    columns = [f"cast(null as {SQL_TYPES[c.type]}) as {quoted(c.name)}" for c in (*dataset.columns, *LANDING_COLUMNS)]
    return f"select {', '.join(columns)} where false"
