"""The engine that a night's models run on: what a night asks of it, and which one it is.

Belongs here: the few verbs, and the choice. Does not belong here: how an engine does them (a module each), SQL (what two engines do not
share is a dispatched macro under `dbt/macros/`), what is landed and what leaves the house (DuckDB and Parquet, whatever the engine).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dagster_project.engines.duckdb import DuckDB

if TYPE_CHECKING:
    from dagster_project.landing import Load
    from dagster_project.warehouse import Warehouse


class EngineError(Exception):
    """The engine could not be started, or lost what it was at. The message says what to do."""


class Engine(Protocol):
    """One engine. `target` is its output in dbt's profile; `versions` are the distributions that decide how the project is read."""

    @property
    def target(self) -> str: ...

    @property
    def versions(self) -> Sequence[str]: ...

    def warm(self) -> None:
        """Import and start what takes seconds, beside whoever does something else. Harmless to call again."""

    def show(self, warehouse: Warehouse, known: Mapping[str, Sequence[Load]]) -> None:
        """Put the sources in front of dbt. `known`: the loads a morning knows, by dataset; the run's private file shows them already."""

    def at_work(self, folder: Path, schemas: Sequence[str], *, threads: int, memory_limit: str) -> AbstractContextManager[None]:
        """While dbt builds into a run's private folder: the environment that the profile reads, and nothing left open behind it."""

    def cause(self, stopped: BaseException | None) -> BaseException | None:
        """What stopped dbt, where another fault hides it."""

    def bring_home(self, folder: Path, columns: Mapping[str, Mapping[str, str]], memory_limit: str) -> None:
        """Have every mart that was built in the run's file of marts, with the types of the contract (`columns`, by mart)."""

    def found(self, warehouse: Warehouse, query: str, limit: int) -> list[dict[str, Any]]:
        """The first rows of one of dbt's own queries, by column."""

    def leave(self, warehouse: Warehouse) -> None:
        """Remove what a run has outside its private folder."""


DUCKDB: Engine = DuckDB()
