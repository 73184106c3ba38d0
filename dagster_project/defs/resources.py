"""What the assets are given: settings, the landing store, the expectations' worker, the run's warehouse folder.

Belongs here: resources and their lifetimes. They hand out plain objects of the domain, which know nothing of Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from dagster_project.landing import Landing
from dagster_project.quality import Worker, started_early
from dagster_project.settings import Settings
from dagster_project.sources.catalogue import Sources
from dagster_project.warehouse import Warehouse, at_work_on, tidy


def default_resources(settings: Settings) -> Mapping[str, Any]:
    """Every resource by its key, for one environment."""

    @dg.resource(description="The expectations, in a process of their own that starts with the run.")
    def expectations() -> Iterator[Worker]:
        worker = started_early() or Worker()
        try:
            yield worker
        finally:
            worker.stop()

    @dg.resource(description="The ERP and the bureau, opened when first asked.")
    def open_sources(context: dg.InitResourceContext) -> Iterator[Sources]:
        sources = Sources(settings, _as_of(context))
        try:
            yield sources
        finally:
            sources.close()

    @dg.resource(description="The run's private folder of DuckDB files, and the morning to itself.")
    def warehouse(context: dg.InitResourceContext) -> Iterator[Warehouse]:
        assert context.run is not None
        as_of, run_id = _as_of(context), context.run.run_id
        with at_work_on(settings.warehouse, as_of, run_id):  # from the start of the run, before anything is landed
            folder = Warehouse(settings.warehouse / f"{as_of}.{run_id[:8]}")
            try:
                yield folder
            finally:
                folder.release()
                tidy(settings.warehouse, settings.keep_warehouses)

    return {
        "settings": settings,
        "landing": Landing(settings.landing, settings.quarantine, settings.memory_limit),
        "expectations": expectations,
        "open_sources": open_sources,
        "warehouse": warehouse,
    }


def _as_of(context: dg.InitResourceContext) -> date:
    assert context.run is not None
    return date.fromisoformat(context.run.tags["dagster/partition"])
