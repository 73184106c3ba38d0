"""Nights that ended without a word: found, ended, told.

Belongs here: proving that a run is dead, and looking after runs whose own process told nobody (killed, never launched). Does not
belong here: what people are told (`notice.py`).

A run holds its morning's lock as long as its process lives (`warehouse.at_work_on`), so a lock that is free proves that a run which
Dagster still calls started is dead: killed, aborted, or gone with the machine. Left alone it would keep the queue, which lets one run
go at a time, waiting for ever.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from dagster_project import notice
from dagster_project.defs.automation.ending import MORNING, TOLD, reasons_of
from dagster_project.settings import Settings
from dagster_project.warehouse import at_work, was_at_work

RUNNING = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)

UNTIL_AT_WORK = {dg.DagsterRunStatus.STARTING: 180, dg.DagsterRunStatus.STARTED: 60}
"""Seconds that a run may take from one state on until it holds its morning: importing, on a machine with much else to do."""

A_SECOND_LOOK = 3
"""Seconds between two looks: a run that ends well lets go of its morning just before Dagster writes that it ended."""

LOOKED_BACK = timedelta(days=2)
"""How long ago a run may have failed for its ending still to be news."""

DEAD = (
    "the process of this night is gone (killed, aborted, or the machine was restarted): nobody is at work on its morning, so the run "
    "was ended as failed and the next ones go on"
)


def look_after(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    """End the runs that are dead, tell of each ending that nobody told; returns a line for each."""
    said = [_ended(instance, run) for run in _dead(instance, settings)]
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=datetime.now(UTC) - LOOKED_BACK)
    for record in instance.get_run_records(failed):
        run = record.dagster_run
        if TOLD in run.tags or MORNING not in run.tags:
            continue
        instance.add_run_tags(run.run_id, {TOLD: "yes"})
        if at_work(settings.warehouse, _morning(run)) is None:  # else whoever is at work tells how it ends
            notice.stopped(settings, _morning(run), reasons_of(instance, run.run_id), run.run_id)
    return said


def _dead(instance: dg.DagsterInstance, settings: Settings) -> list[dg.DagsterRun]:
    if not (suspects := _without_their_morning(instance, settings)):
        return []
    time.sleep(A_SECOND_LOOK)
    still = {run.run_id for run in _without_their_morning(instance, settings)}
    return [run for run in suspects if run.run_id in still]


def _without_their_morning(instance: dg.DagsterInstance, settings: Settings) -> list[dg.DagsterRun]:
    """Runs that Dagster calls running, that should hold their morning by now, and do not."""
    found, now = [], datetime.now(UTC)
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(RUNNING))):
        run = record.dagster_run
        if MORNING not in run.tags:
            continue
        holder = at_work(settings.warehouse, _morning(run))
        if holder is not None and f"run {run.run_id} " in holder:
            continue
        since = (now - record.update_timestamp.replace(tzinfo=record.update_timestamp.tzinfo or UTC)).total_seconds()
        if was_at_work(settings.warehouse, _morning(run), run.run_id) or since > UNTIL_AT_WORK.get(run.status, 0):
            found.append(run)
    return found


def _ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run)
    else:
        instance.report_run_failed(run, DEAD)
    return f"The night of {_morning(run)} (run {run.run_id[:8]}) was found dead and is ended: {DEAD}."


def _morning(run: dg.DagsterRun) -> date:
    return date.fromisoformat(run.tags[MORNING])


def watch_over_nights(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="watch_over_nights",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends runs whose process is gone, and tells of endings that nobody told.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(" ".join(look_after(context.instance, settings)) or "every night that ended was told of")

    return watch
