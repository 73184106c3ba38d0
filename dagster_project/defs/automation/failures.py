"""Why a run failed, in words for people: read from the run's own events."""

from __future__ import annotations

import dagster as dg


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
    checks, steps, unstarted = [], [], []
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
                cause = data.error.cause or data.error
                steps.append(f"step {event.step_key}: {cause.message.strip()}")
        elif event.event_type == dg.DagsterEventType.RUN_FAILURE and (error := event.job_failure_data.error):
            while error.cause:
                error = error.cause
            unstarted = [error.message.strip().partition(": ")[2] or error.message.strip()]  # behind the exception's name
    return steps or checks or unstarted or ["the run ended without saying why; its log has the trace"]
