"""The table of contents: everything Dagster knows of this project, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_project import settings as environment
from dagster_project.defs.automation.mornings import mornings_of
from dagster_project.defs.automation.nightly import nightly_job, nightly_schedule
from dagster_project.defs.automation.upkeep import upkeep_job, upkeep_schedule
from dagster_project.defs.automation.watch import watch_over_nights
from dagster_project.defs.delivery.outputs import delivery_assets, postgres_asset
from dagster_project.defs.ingestion.datasets import landed_assets, landed_checks
from dagster_project.defs.ingestion.filled import filled_worklists
from dagster_project.defs.resources import default_resources
from dagster_project.defs.transformation.dbt import transformation_assets
from dagster_project.warmup import Warmup


def build_defs(
    settings: environment.Settings | None = None, resources: Mapping[str, Any] | None = None, begun: Warmup | None = None
) -> dg.Definitions:
    """All definitions for one environment; tests pass their own settings and swap resources, the command line what it began."""
    settings = settings or environment.load()
    mornings = mornings_of(settings)
    morning = transformation_assets(mornings)
    marts = [key for key in morning.keys if key.path[0] == "marts"]
    outside = [postgres_asset(mornings)] if settings.postgres_url else []
    return dg.Definitions(
        assets=[filled_worklists(mornings), *landed_assets(mornings), morning, *delivery_assets(mornings, marts), *outside],
        asset_checks=[landed_checks()],
        jobs=[nightly_job(mornings), upkeep_job()],
        schedules=[nightly_schedule(settings), upkeep_schedule(settings)],
        sensors=[watch_over_nights(settings)],
        resources={**default_resources(settings, begun), **(resources or {})},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build_defs()
