"""The nightly job, its schedule, and what happens when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from dagster_project import alerts
from dagster_project.defs.automation.failures import reasons_of
from dagster_project.delivery import hold_back
from dagster_project.settings import Settings

JOB = "nightly"
HOUR = 5


@dg.failure_hook(name="say_why", required_resource_keys={"settings"})
def say_why(context: dg.HookContext) -> None:
    """Leave `no-worklist.txt` in the morning's folder and alert whoever is configured. Runs where the run runs, however it started."""
    settings: Settings = context.resources.settings
    run = context.instance.get_run_by_id(context.run_id)
    as_of = date.fromisoformat(run.tags["dagster/partition"]) if run else settings.today()
    reasons = reasons_of(context.instance, context.run_id)
    hold_back(settings.worklists, as_of=as_of, reasons=reasons, look_at=[f"the run {context.run_id} in the Dagster UI"])
    alerts.send(settings, f"Arrears: no worklist for {as_of}", "\n".join(reasons))


def nightly_job(mornings: dg.PartitionsDefinition) -> Any:
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all(),
        description="Pull, land, check, build and deliver one morning.",
        partitions_def=mornings,
        hooks={say_why},
        executor_def=dg.in_process_executor,
    )


def nightly_schedule(settings: Settings) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="every_morning",
        job_name=JOB,
        cron_schedule=f"0 {HOUR} * * *",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"The morning's run, at {HOUR:02d}:00 in {settings.timezone}.",
    )
    def every_morning(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        as_of = context.scheduled_execution_time.astimezone(ZoneInfo(settings.timezone)).date().isoformat()
        yield dg.RunRequest(run_key=as_of, partition_key=as_of)  # the key keeps a retried tick from starting a second run

    return every_morning
