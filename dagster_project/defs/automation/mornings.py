"""The mornings: one partition a day, today included, in the configured time zone."""

from __future__ import annotations

import dagster as dg

from dagster_project.settings import FIRST_MORNING, Settings


def mornings_of(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Partition keys are `as_of` dates."""
    return dg.DailyPartitionsDefinition(start_date=FIRST_MORNING.isoformat(), timezone=settings.timezone, end_offset=1)


EACH_ITS_OWN_RUN = dg.BackfillPolicy.multi_run(1)
"""A backfill of several days is several runs: a morning is built from nothing, whatever its neighbours."""
