"""What the assets are given: settings, the landing store, the night, the expectations' worker, the run's warehouse folder.

Belongs here: resources and their lifetimes. They hand out plain objects of the domain, which know nothing of Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg

from dagster_project import notice, upkeep
from dagster_project.defs.automation import ending
from dagster_project.defs.history import spare_the_disk
from dagster_project.engines import DUCKDB
from dagster_project.home import keep_private
from dagster_project.landing import Landing
from dagster_project.quality import Worker
from dagster_project.settings import Settings
from dagster_project.sources.catalogue import Sources
from dagster_project.warehouse import AlreadyAtWork, Warehouse, at_work_on, tidy
from dagster_project.warmup import Warmup


def default_resources(settings: Settings, begun: Warmup | None = None) -> Mapping[str, Any]:
    """Every resource by its key, for one environment; `begun` is what the command line began before it imported Dagster."""
    landing = Landing.of(settings)

    @dg.resource(description="The night itself: its morning to itself, what takes seconds begun early, its ending told.")
    def night(context: dg.InitResourceContext) -> Iterator[Warmup]:
        assert context.run is not None and context.instance is not None
        as_of, run_id, warmup = _as_of(context), context.run.run_id, begun or Warmup.begin(settings, _as_of(context))
        spare_the_disk(context.instance)
        try:
            if warmup.engine is not DUCKDB:  # a night on DuckDB mostly needs what dbt compiled and not dbt
                warmup.read_project()
            keep_private(settings)
            with at_work_on(settings.warehouse, as_of, run_id):  # from the start of the run, before anything is landed
                landing.refresh()
                try:
                    yield warmup
                finally:
                    warmup.told = True
                    ending.end(context.instance, settings, as_of, run_id)
                    upkeep.tend(settings, landing)
        except AlreadyAtWork:
            warmup.told = True  # by that run, once it ends
            context.instance.add_run_tags(run_id, {ending.TOLD: "by another run"})
            raise
        except Exception as broken:
            if not warmup.told:
                warmup.told = True
                notice.stopped(settings, as_of, [notice.in_words(f"{type(broken).__name__}: {broken}")], run_id)
            raise
        finally:
            warmup.end()

    @dg.resource(description="The expectations, in a process of their own.", required_resource_keys={"night"})
    def expectations(context: dg.InitResourceContext) -> Worker:
        return context.resources.night.expectations

    @dg.resource(description="The ERP and the bureau, opened when first asked.", required_resource_keys={"night"})
    def open_sources(context: dg.InitResourceContext) -> Iterator[Sources]:
        sources = Sources(settings, _as_of(context), context.resources.night.demo)
        try:
            yield sources
        finally:
            sources.close()

    @dg.resource(description="The run's private folder of DuckDB files.", required_resource_keys={"night"})
    def warehouse(context: dg.InitResourceContext) -> Iterator[Warehouse]:
        assert context.run is not None
        folder = Warehouse(settings.warehouse / f"{_as_of(context)}.{context.run.run_id[:8]}")
        try:
            yield folder
        finally:
            context.resources.night.engine.leave(folder)
            folder.release()
            tidy(settings.warehouse, settings.keep_warehouses)

    return {
        "settings": settings,
        "landing": landing,
        "night": night,
        "expectations": expectations,
        "open_sources": open_sources,
        "warehouse": warehouse,
    }


def _as_of(context: dg.InitResourceContext) -> date:
    assert context.run is not None
    return date.fromisoformat(context.run.tags["dagster/partition"])
