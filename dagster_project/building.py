"""A morning's warehouse built from nothing in a run's private folder: for a night, for one that is gone through before it happens, for a
pack that is tried.

Belongs here: who builds it. On DuckDB that is what dbt compiled (`compiled.py`), as long as nothing objects; whatever is left, dbt builds
from the start (`dbt_build.py`), and has the words. Does not belong here: how either does it, what is in front of it (`morning.py`), what
becomes of the results.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from datetime import date
from typing import Any

from dagster_project import compiled, dbt_build
from dagster_project.dbt_build import NodeResult
from dagster_project.engines import DUCKDB, Engine
from dagster_project.warehouse import Warehouse

log = logging.getLogger("arrears.transformation")


def build(
    warehouse: Warehouse,
    put_in_front: Callable[[], object],
    as_of: date,
    policy: str,
    reporting_currency: str,
    *,
    threads: int,
    memory_limit: str,
    engine: Engine = DUCKDB,
    early: Future[tuple[str, Any]] | None = None,
    only: str = "",
    through: bool = False,
) -> list[NodeResult]:
    """Build everything and ask every test, or `only` a model and what it is made from. `put_in_front`: shows the morning's sources in the
    folder, which may be emptied and begun anew. `through`: also what a test objects to is gone on from; else dbt leaves that out.

    Raises:
        DbtError: dbt stopped before it could run the nodes, or the engine broke down at one.
        EngineError: the engine could not be started.
        NothingKnown, LandingError: as `morning.prepare`.
    """
    put_in_front()
    if engine is DUCKDB:
        try:
            return compiled.build(
                warehouse,
                as_of,
                policy,
                reporting_currency,
                threads=threads,
                memory_limit=memory_limit,
                only=only,
                through=through,
            )
        except compiled.Objection as objected:
            log.info("dbt builds the morning anew, to say what is wrong with it: %s", objected)
        warehouse.clear()
        put_in_front()
    variables = dbt_build.vars_of(as_of, policy, reporting_currency)
    select = [f"+{only}"] if only else []
    return dbt_build.build(warehouse.folder, variables, threads, select, memory_limit, early, engine=engine)
