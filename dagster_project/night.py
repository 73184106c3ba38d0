"""One night, run in this process: the same job, with the same resources, that the schedule starts.

Belongs here: the Dagster instance's folder, starting the job, and what is known of how it ended. Beside `definitions.py` the one place
outside `defs/` that knows Dagster. Does not belong here: what happens in a night (`defs/`), what a person sees of it (`__main__.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project import dbt_build, history, notice
from dagster_project.definitions import build_defs
from dagster_project.defs.automation.ending import delivered, log_of, reasons_of
from dagster_project.defs.automation.nightly import JOB
from dagster_project.defs.automation.watch import look_after
from dagster_project.defs.history import spare_the_disk
from dagster_project.landing import Known
from dagster_project.paths import ROOT
from dagster_project.settings import Settings
from dagster_project.warmup import Warmup

INSTANCE_TEMPLATE = ROOT / "dagster_project" / "dagster.yaml"


@dataclass(frozen=True)
class Night:
    """How a night ended. `reasons` is empty where it went well; `log` has every event, with traces, where it could be written."""

    run_id: str
    success: bool
    reasons: list[str]
    log: Path | None


def use_instance(settings: Settings) -> Path:
    """Point Dagster at its folder under ARREARS_HOME, unless DAGSTER_HOME names another one, and make sure that it is there and whole.

    Raises:
        OSError: it cannot be written.
    """
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(settings.dagster_home)))
    if home == settings.dagster_home and (faults := history.faults(home)):
        aside = history.set_aside(home)
        notice.log.warning("Dagster's history could not be read (%s); it is set aside as %s and begins anew", faults[0], aside)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(INSTANCE_TEMPLATE, home / "dagster.yaml")
    return home


def run_night(
    settings: Settings,
    as_of: date,
    *,
    full: bool,
    refresh: bool,
    known: Known,
    threads: int = dbt_build.THREADS,
    begun: Warmup | None = None,
) -> Night:
    """Execute the nightly job for a morning. Whatever stops it, somebody is told and it is among the reasons."""
    warmup, run_id, reasons = begun or Warmup.begin(settings, as_of), "", []
    try:
        dbt_build.prepare()
        use_instance(settings)
        with ExitStack() as stack:
            instance = stack.enter_context(dg.DagsterInstance.get())
            spare_the_disk(instance)
            for line in look_after(instance, settings):
                notice.log.warning(line)
            outcome = (
                build_defs(settings, begun=warmup)
                .resolve_job_def(JOB)
                .execute_in_process(
                    instance=instance,
                    partition_key=as_of.isoformat(),
                    run_config=_run_config(full=full, refresh=refresh, known=known, threads=threads),
                    raise_on_error=False,
                )
            )
            run_id = outcome.run_id
            if not delivered(instance, run_id):
                reasons = reasons_of(instance, run_id)
    except (Exception, KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as broken:
        reasons = [notice.in_words(f"{type(broken).__name__}: {broken}")]
    finally:
        warmup.end()
    if reasons and not warmup.told:
        notice.stopped(settings, as_of, reasons, run_id)
    log = log_of(settings, as_of, run_id)
    return Night(run_id, not reasons, reasons, log if run_id and log.exists() else None)


def look_after_nights(settings: Settings) -> list[str]:
    """End what is left of nights that died, before anything else is started; a line for each."""
    use_instance(settings)
    with dg.DagsterInstance.get() as instance:
        return look_after(instance, settings)


def _run_config(*, full: bool, refresh: bool, known: Known, threads: int) -> Mapping[str, Any]:
    asking = {"config": {"full": full, "refresh": refresh}}
    return {
        "ops": {
            "land_erp": asking,
            "land_bureau": asking,
            "land_inquiries": asking,
            "morning": {"config": {"known": known, "threads": threads}},
        },
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
