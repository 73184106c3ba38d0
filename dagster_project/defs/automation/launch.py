"""Run one night in this process, for the command line: the same job that the schedule starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project import dbt_build
from dagster_project.definitions import build_defs
from dagster_project.defs.automation.failures import reasons_of
from dagster_project.defs.automation.nightly import JOB
from dagster_project.landing import Known
from dagster_project.paths import ROOT
from dagster_project.settings import Settings

LAST_NODE = "delivery__worklists"
"""A run whose last step was skipped did not deliver, whatever Dagster calls it."""

INSTANCE_TEMPLATE = ROOT / "dagster_project" / "dagster.yaml"


@dataclass(frozen=True)
class Night:
    """How a night ended. `reasons` is empty where it went well; `log` has every event, with traces."""

    run_id: str
    success: bool
    reasons: list[str]
    log: Path


def use_instance(settings: Settings) -> Path:
    """Point Dagster at its folder under ARREARS_HOME, unless DAGSTER_HOME names another one, and make sure it is there."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(settings.dagster_home)))
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(INSTANCE_TEMPLATE, home / "dagster.yaml")
    return home


def run_night(settings: Settings, as_of: date, *, full: bool, refresh: bool, known: Known, threads: int) -> Night:
    """Execute the nightly job for a morning.

    Raises:
        dagster.DagsterUnknownPartitionError: the date is not a morning that can be asked for.
    """
    use_instance(settings)
    with dg.DagsterInstance.get() as instance:
        job = build_defs(settings).resolve_job_def(JOB)
        dbt_build.start_early()  # while the sources are landed
        outcome = job.execute_in_process(
            instance=instance,
            partition_key=as_of.isoformat(),
            run_config=_run_config(full=full, refresh=refresh, known=known, threads=threads),
            raise_on_error=False,
        )
        log = _write_log(instance, outcome.run_id, settings.home / "logs" / f"{as_of}.{outcome.run_id[:8]}.log")
        delivered = outcome.success and outcome.asset_materializations_for_node(LAST_NODE)
        reasons = [] if delivered else reasons_of(instance, outcome.run_id)
        return Night(outcome.run_id, bool(delivered), reasons, log)


def _run_config(*, full: bool, refresh: bool, known: Known, threads: int) -> Mapping[str, Any]:
    asking = {"config": {"full": full, "refresh": refresh}}
    return {
        "ops": {"land_erp": asking, "land_bureau": asking, "morning": {"config": {"known": known, "threads": threads}}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }


def _write_log(instance: dg.DagsterInstance, run_id: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for entry in instance.all_logs(run_id):
            file.write(f"{entry.timestamp:.3f} {entry.step_key or '-'} {entry.user_message or entry.message}\n")
            if entry.error_info:
                file.write(entry.error_info.to_string() + "\n")
    return path
