"""The inbox: filled workbooks are read, what they say is landed, then they are put away.

Belongs here: what happens around reading, and in which order; where files go. Does not belong here: what a cell means
(`inbox.py`), what an answer means for the book (dbt).

    inbox/<workbook>.xlsx          dropped by a collector, read the next night
          <workbook>.errors.csv    what could not be taken of it, or why none of it
          done/                    what was read or refused, under a name that was free
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from dagster_project.contract import TABLES, WORKLIST_OUTCOMES
from dagster_project.incoming.archive import Refused, Unreadable
from dagster_project.incoming.inbox import Issued, Outcome, Rejected, read, write_rejected
from dagster_project.landing import Landing, Manifest
from dagster_project.policy import EVERY_PACK, limits_of
from dagster_project.sources import Delivery, page_schema

log = logging.getLogger("arrears.ingestion")

DONE = "done"
ERRORS = ".errors.csv"
LONGEST_WAIT = 600  # seconds for another run's reading to end
STILL_ARRIVING = 60
"""A file that cannot be read and is younger than this, in seconds, may be half copied: it waits for the next night."""

SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".xltx", ".ods", ".numbers", ".csv")
"""What somebody means to hand in. Other files are none of ours and stay where they are."""


@dataclass(frozen=True)
class TakenIn:
    """What the inbox held. `refused`: a reason by file. `rejected`: cells that came back, by file."""

    files: int
    outcomes: int
    refused: dict[str, str]
    rejected: dict[str, int]
    manifest: Manifest | None = None


def reads(landing: Landing, as_of: date, today: date) -> bool:
    """Whether a run reads the inbox: today's and one for the newest morning there is do, a replay of an older one does not."""
    return as_of >= today or not any(landing.later(dataset, as_of) for dataset in TABLES.values())


def take_in(inbox: Path, worklists: Path, landing: Landing, as_of: date, pack: str = EVERY_PACK) -> TakenIn:
    """Read every workbook of the inbox and land what they say for a morning, by the rows of a policy pack.

    A file leaves the inbox only after what it says is landed: a kill in between means that it is read again, and the same
    answer to the same row is the same record. Nothing in a workbook stops the night.
    """
    (inbox / DONE).mkdir(parents=True, exist_ok=True)
    with FileLock(inbox / ".lock", timeout=LONGEST_WAIT):
        issued_on = cache(lambda day: Issued.of(worklists / day.isoformat()))
        max_age_days = limits_of(WORKLIST_OUTCOMES.name, pack, as_of).max_age_days or 0
        answers: dict[str, tuple[Outcome, str]] = {}
        read_files: list[tuple[Path, Sequence[Rejected]]] = []
        refused: dict[str, str] = {}
        for path in _files(inbox):
            try:
                filled = read(path, issued_on, morning=as_of, max_age_days=max_age_days)
            except Refused as reason:
                if not path.exists():  # somebody took it back
                    continue
                if isinstance(reason, Unreadable) and 0 <= time.time() - path.stat().st_mtime < STILL_ARRIVING:
                    log.warning("%s cannot be read yet and is left in the inbox: %s", path.name, reason)
                    continue
                refused[path.name] = str(reason)
                read_files.append((path, [Rejected("", "", "", "", "", f"nothing of this file was read: {reason}")]))
            else:
                answers |= {_id_of(outcome): (outcome, path.name) for outcome in filled.outcomes}
                read_files.append((path, filled.rejected))
        manifest = _land(landing, answers, as_of) if answers else None
        for path, rejected in read_files:
            _put_away(path, rejected)
    taken = {path.name: len(rejected) for path, rejected in read_files if rejected and path.name not in refused}
    return TakenIn(len(read_files), len(answers), refused, taken, manifest)


def waiting(inbox: Path) -> list[Path]:
    """The lists of cells that came back and have not been dealt with."""
    return sorted(inbox.glob(f"*{ERRORS}"))


def _files(inbox: Path) -> Iterator[Path]:
    """Oldest first, so that of two answers about one row the one handed in last counts. Lock files of spreadsheets are none."""
    found = [path for path in inbox.iterdir() if path.is_file() and path.suffix.lower() in SPREADSHEETS]
    named = [path for path in found if not path.name.startswith(("~$", ".")) and not path.name.endswith(ERRORS)]
    yield from sorted(named, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _id_of(outcome: Outcome) -> str:
    row = (outcome.worklist_date.isoformat(), outcome.policy, outcome.customer_id, outcome.item_id or "")
    return hashlib.sha256("\x1f".join(row).encode()).hexdigest()[:24]


def _land(landing: Landing, answers: dict[str, tuple[Outcome, str]], as_of: date) -> Manifest:
    rows = [
        {"outcome_id": outcome_id, "file_name": name, **{key: _plain(value) for key, value in asdict(outcome).items()}}
        for outcome_id, (outcome, name) in sorted(answers.items())
    ]
    page = pa.Table.from_pylist(rows, page_schema(WORKLIST_OUTCOMES))
    delivery = Delivery(pages=iter([page]), full=False, origin="inbox")
    return landing.land(WORKLIST_OUTCOMES, delivery, as_of, quarantine_share=Decimal(1))


def _plain(value: object) -> str | None:
    return None if value is None else str(value)


def _put_away(path: Path, rejected: Sequence[Rejected]) -> None:
    """Say what could not be taken, then move the file out of the way; nothing that lies in `done` is overwritten."""
    errors = path.with_name(f"{path.stem}{ERRORS}")
    done = path.parent / DONE
    if errors.exists():  # of an earlier file of this name
        os.rename(errors, _free(done / errors.name, ERRORS))
    if rejected:
        unfinished = path.with_name(f".{errors.name}")
        write_rejected(unfinished, rejected)
        os.replace(unfinished, errors)
    os.rename(path, _free(done / path.name, path.suffix))


def _free(target: Path, ending: str) -> Path:
    """The target, or the first name after it that nothing has: `list.xlsx`, `list (2).xlsx` …"""
    stem, number = target.name.removesuffix(ending), 1
    while target.exists():
        number += 1
        target = target.with_name(f"{stem} ({number}){ending}")
    return target
