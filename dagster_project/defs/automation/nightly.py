"""The nightly job and its schedule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from dagster_project.settings import Settings

JOB = "nightly"
HOUR = 5


def nightly_job(mornings: dg.PartitionsDefinition) -> Any:
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all(),
        description="Pull, land, check, build and deliver one morning.",
        partitions_def=mornings,
        executor_def=dg.in_process_executor,
    )


def nightly_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, which starts by itself in production only: a developer's copy must not empty the inbox at five."""
    by_itself = settings.environment == "production"

    @dg.schedule(
        name="every_morning",
        job_name=JOB,
        cron_schedule=f"0 {HOUR} * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if by_itself else dg.DefaultScheduleStatus.STOPPED,
        description=f"The morning's run, at {HOUR:02d}:00 in {settings.timezone}.",
    )
    def every_morning(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        as_of = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date().isoformat()
        yield dg.RunRequest(run_key=as_of, partition_key=as_of)  # the key keeps a retried tick from starting a second run

    return every_morning
