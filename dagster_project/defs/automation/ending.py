"""How a run ended, read from its own events; told once, whichever way the run was started.

Belongs here: reasons and warnings in words for people, the run's log, whether its list was delivered, and the mark that says that
somebody was told. Does not belong here: what people are told (`notice.py`).
"""

from __future__ import annotations

import logging
import re
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project import notice
from dagster_project.settings import Settings
from dagster_project.words import message

log = logging.getLogger("arrears.ending")

TOLD = "arrears/told"
"""The tag of a run whose ending was told: an alert a night, whoever notices."""

MORNING = "dagster/partition"

DELIVERED = dg.AssetKey(["delivery", "worklists"])
"""A run that was to make this and did not, did not deliver, whatever Dagster calls it."""


def log_of(settings: Settings, as_of: date, run_id: str) -> Path:
    return settings.home / "logs" / f"{as_of}.{run_id[:8]}.log"


def end(instance: dg.DagsterInstance, settings: Settings, as_of: date, run_id: str) -> None:
    """Tell how a run ended: the alert or the heartbeat first, then the log. To be called in the run's own process, at its end."""
    try:
        run = instance.get_run_by_id(run_id)
        if run and run.asset_selection and DELIVERED not in run.asset_selection:  # of a whole job it is empty, or None
            told_of = None  # somebody looks at a part; nobody waits for a list
        else:
            told_of = reasons_of(instance, run_id) if not delivered(instance, run_id) else []
    except Exception as unreadable:  # whatever the history's files do, somebody is to be told
        told_of = [notice.in_words(str(unreadable))]
    if told_of:
        notice.stopped(settings, as_of, told_of, run_id)
    elif told_of is not None:
        notice.delivered(settings, as_of)
    try:
        instance.add_run_tags(run_id, {TOLD: "yes"})
        write_log(instance, run_id, log_of(settings, as_of, run_id))
    except Exception as unwritable:  # as above: it was told
        log.error("no log of the night could be written: %s", notice.in_words(str(unwritable)))


def delivered(instance: dg.DagsterInstance, run_id: str) -> bool:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    keys = {event.asset_key for record in records if (event := record.event_log_entry.dagster_event)}
    return DELIVERED in keys


def warnings_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The gates that were found shut and that policy passes with a warning, each with what was found."""
    found = []
    for record in instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records:
        event = record.event_log_entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event else None
        gates = evaluation.metadata.get("gates") if evaluation and not evaluation.passed else None
        if evaluation and gates and gates.value and evaluation.severity is dg.AssetCheckSeverity.WARN:
            found.append(f"{gates.value}: {evaluation.asset_key.to_user_string()}: {evaluation.description}")
    return found


def reasons_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The blocking checks that failed and the steps that stopped, first to last; never a stack trace."""
    checks: list[str] = []
    steps: list[str] = []
    unstarted: list[str] = []
    for entry in instance.all_logs(run_id):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR:
                said = evaluation.description or evaluation.metadata.get("message")
                text = said if isinstance(said, str) else getattr(said, "value", "")
                checks.append(f"check {evaluation.asset_key.to_user_string()} {evaluation.check_name}: {text}")
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                steps.append(data.user_failure_data.description)
            elif data.error and "AssetCheckFailed" not in (data.error.cls_name or ""):
                steps.append(f"step {event.step_key}: {notice.in_words(_deepest(data.error).message)}")
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
            error = getattr(event.event_specific_data, "error", None)
            unstarted = unstarted or [notice.in_words(_deepest(error).message if error else event.message or "")]
        elif event.event_type == dg.DagsterEventType.ENGINE_EVENT and (code := _KILLED.search(event.message or "")):
            unstarted = [f"the process of the night was killed (exit code {code[1]}); -9 is mostly the system, short of memory"]
    return [message(reason) for reason in steps or checks or unstarted] or [
        "the run ended without saying why; its log has the trace"
    ]


_KILLED = re.compile(r"unexpectedly exited with exit code (-?\d+)")


def _deepest(error: Any) -> Any:
    while error.cause:
        error = error.cause
    return error


def write_log(instance: dg.DagsterInstance, run_id: str, path: Path) -> None:
    """Every event of a run, with traces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for entry in instance.all_logs(run_id):
            file.write(f"{entry.timestamp:.3f} {entry.step_key or '-'} {message(entry.user_message or entry.message)}\n")
            if entry.error_info:
                file.write(message(entry.error_info.to_string()) + "\n")
