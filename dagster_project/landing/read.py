"""Reading loads: SQL for the rows of any set of them, with the columns of today's contract.

Belongs here: what a reader of landing selects from. Does not belong here: which loads a morning knows (`store.py`), what of them counts
(dbt).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from dagster_project.contract import LANDING_COLUMNS, SQL_TYPES, Dataset
from dagster_project.landing.judge import quoted, text


def rows_select(dataset: Dataset, con: duckdb.DuckDBPyConnection, files: Sequence[str]) -> str:
    """SQL for the rows of loads, with every column of today's contract; a column that older loads lack is null."""
    if not files:
        return empty_select(dataset)
    scan = f"read_parquet([{', '.join(text(name) for name in files)}], union_by_name = true)"
    present = {row[0] for row in con.execute(f"describe select * from {scan}").fetchall()}
    columns = [
        f"{quoted(c.name) if c.name in present else f'cast(null as {SQL_TYPES[c.type]})'} as {quoted(c.name)}"
        for c in (*dataset.columns, *LANDING_COLUMNS)
    ]
    return f"select {', '.join(columns)} from {scan}"


def empty_select(dataset: Dataset) -> str:
    """SQL for no rows, with the types of the contract: how an absent dataset looks."""
    columns = [f"cast(null as {SQL_TYPES[c.type]}) as {quoted(c.name)}" for c in (*dataset.columns, *LANDING_COLUMNS)]
    return f"select {', '.join(columns)} where false"
