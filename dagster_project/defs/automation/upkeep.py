"""The upkeep of the home as a job of its own, with its schedule."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project import upkeep
from dagster_project.defs.history import forget
from dagster_project.landing import Landing
from dagster_project.settings import Settings

JOB = "upkeep"


@dg.op(description="Old loads are put together; what nights leave behind goes once policy says it is old enough.")
def tend(context: dg.OpExecutionContext, settings: dg.ResourceParam[Settings], landing: dg.ResourceParam[Landing]) -> None:
    upkeep.tend(settings, landing)
    forget_runs(context.instance, upkeep.kept("run_history_days", settings, settings.today()))


def forget_runs(instance: dg.DagsterInstance, days: int) -> int:
    """Take runs that ended before as many days out of Dagster's history, with their events. Returns how many."""
    before = datetime.now(UTC) - timedelta(days=days)
    ended = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED], created_before=before
    )
    runs = instance.get_run_records(ended)
    for record in runs:
        forget(instance, record.dagster_run.run_id)
    return len(runs)


def upkeep_job() -> dg.JobDefinition:
    @dg.job(name=JOB, description="Keep the home small.", executor_def=dg.in_process_executor)
    def keep_small() -> None:
        tend()

    return keep_small


def upkeep_schedule(settings: Settings) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="every_sunday",
        job_name=JOB,
        cron_schedule="0 3 * * 0",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"The upkeep, Sundays at 03:00 in {settings.timezone}.",
    )
