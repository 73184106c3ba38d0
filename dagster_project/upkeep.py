"""Keep a home small: old loads put together, and what nights leave behind removed once policy says it is old enough.

Belongs here: what is kept for how long, and where it lies. Does not belong here: how loads are put together (`landing/compact.py`), what
Dagster remembers (`defs/automation/upkeep.py`).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, get_args

from dagster_project.contract import LANDED
from dagster_project.incoming.intake import DONE
from dagster_project.landing import Landing
from dagster_project.policy import parameter
from dagster_project.settings import Settings
from dagster_project.warehouse import nobody_works_in

log = logging.getLogger("arrears.upkeep")


Kept = Literal["compact_after_loads", "quarantine_days", "inbox_done_days", "log_days", "warehouse_days", "run_history_days"]

TABLE: Final = "retention_policy"
ASKED_FOR: Final = frozenset((TABLE, what) for what in get_args(Kept))
"""The rows policy must have for tidying up: what goes wrong there does not stop a night, and would not be noticed."""


def kept(what: Kept, settings: Settings, day: date) -> int:
    """A number of `retention_policy`.

    Raises:
        PolicyError: the row is not there, or holds no number.
    """
    return parameter(TABLE, what, settings.policy, day)


def compact(settings: Settings, landing: Landing, *, after: int) -> dict[str, int]:
    """Put loads together where more than `after` lie by themselves. Returns how many were, by dataset.

    Raises:
        LandingError: what is landed of a dataset is not what was.
    """
    done = {name: landing.compact(dataset, after=after) for name, dataset in LANDED.items()}
    return {name: loads for name, loads in done.items() if loads}


def clear(settings: Settings, landing: Landing, day: date) -> dict[str, int]:
    """Remove what is older than policy keeps it. Returns how many files or folders of each kind went."""

    def old(paths: Iterator[Path], what: Kept) -> list[Path]:
        oldest = (datetime.combine(day, datetime.min.time(), UTC) - timedelta(days=kept(what, settings, day))).timestamp()
        return [path for path in paths if path.stat().st_mtime < oldest]

    quarantine = [
        path
        for name, dataset in LANDED.items()
        for path in old((settings.quarantine / name).glob("*.jsonl"), "quarantine_days")
        if not landing.still_counts(dataset, path.stem)
    ]
    warehouses = (folder for folder in settings.warehouse.glob("*.*") if folder.is_dir())
    gone = {
        "quarantine": quarantine,
        "inbox": old((settings.inbox / DONE).glob("*"), "inbox_done_days"),
        "logs": old((settings.home / "logs").glob("*.log"), "log_days"),
        "warehouses": [folder for folder in old(warehouses, "warehouse_days") if nobody_works_in(folder)],
    }
    for path in (path for paths in gone.values() for path in paths):
        with suppress(FileNotFoundError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    landing.tidy({name: [path.stem for path in quarantine if path.parent.name == name] for name in LANDED})
    return {kind: len(paths) for kind, paths in gone.items() if paths}


def tend(settings: Settings, landing: Landing) -> None:
    """Both, when due: after a night, which it must not undo, so that what goes wrong is only said."""
    day = settings.today()
    try:
        together = compact(settings, landing, after=kept("compact_after_loads", settings, day))
        removed = clear(settings, landing, day)
    except Exception as broken:
        log.warning("the home was not tidied: %s", broken)
        return
    if together:
        log.info("%d loads of %d datasets were put together", sum(together.values()), len(together))
    if removed:
        log.info("removed as policy says: %s", ", ".join(f"{count} of {kind}" for kind, count in removed.items()))
