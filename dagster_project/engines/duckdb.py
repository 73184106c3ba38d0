"""DuckDB: the models are built in the run's private file, the marts in the file that is published.

Belongs here: what dbt-duckdb is told and what it leaves open. Does not belong here: opening files (`warehouse.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_project.landing import Load
    from dagster_project.warehouse import Warehouse


class DuckDB:
    """See `Engine`."""

    target = "run"
    versions = ("dbt-duckdb",)

    def warm(self) -> None:
        import dbt.adapters.duckdb  # noqa: F401

    def show(self, warehouse: Warehouse, known: Mapping[str, Sequence[Load]]) -> None:
        """It reads them where they are: in the run's private file."""

    @contextmanager
    def at_work(self, folder: Path, schemas: Sequence[str], *, threads: int, memory_limit: str) -> Iterator[None]:
        os.environ["ARREARS_WAREHOUSE"] = str(folder)
        os.environ["ARREARS_THREADS"] = str(threads)
        os.environ["ARREARS_MEMORY_LIMIT"] = memory_limit
        try:
            yield
            force_marts()
        finally:
            close_adapters()

    def cause(self, stopped: BaseException | None) -> BaseException | None:
        """A connection that a thread is at work on cannot be closed, which hides why it was to be."""
        import duckdb

        while isinstance(stopped, duckdb.Error) and stopped.__context__ is not None:
            stopped = stopped.__context__
        return stopped

    def bring_home(self, folder: Path, columns: Mapping[str, Mapping[str, str]], memory_limit: str) -> None:
        """They are built there."""

    def found(self, warehouse: Warehouse, query: str, limit: int) -> list[dict[str, Any]]:
        with warehouse.looked_into() as con:
            rows = con.sql(query).limit(limit)
            return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]

    def leave(self, warehouse: Warehouse) -> None:
        """It has nothing elsewhere."""


def force_marts() -> None:
    """Put the marts where they belong in their file, since they leave the house in it. What is in the log of the private file stays
    there: whoever opens the file finds it, hardly anybody does, and moving it costs a night seconds. An engine that broke down has
    nothing to put."""
    import duckdb
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment = DuckDBConnectionManager._ENV
    if environment is not None and environment.conn is not None:
        with suppress(duckdb.FatalException), environment.conn.cursor() as cursor:
            cursor.execute("checkpoint published; pragma disable_checkpoint_on_shutdown")


def close_adapters() -> None:
    """dbt leaves its DuckDB files open in this process; nobody else could open them. What a thread of its is at work on still cannot be
    closed and ends with the thread."""
    import duckdb
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import FACTORY, reset_adapters

    DuckDBConnectionManager.close_all_connections()
    try:
        reset_adapters()
    except duckdb.Error:
        FACTORY.adapters.clear()
