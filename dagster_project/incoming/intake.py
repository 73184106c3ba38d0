"""The inbox: filled workbooks are read, what they say is landed, then they are put away.

Belongs here: what happens around reading, and in which order; where files go. Does not belong here: what a cell means
(`inbox.py`), what an answer means for the book (dbt).

    inbox/<workbook>.xlsx          dropped by a collector, read the next night
          <workbook>.errors.csv    what could not be taken of it, or why none of it
          done/                    what was read or refused, under a name that was free and can be shown
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

from dagster_project.bounded import Bounded, OutOfBounds
from dagster_project.contract import TABLES, WORKLIST_OUTCOMES
from dagster_project.home import opened_inbox
from dagster_project.incoming.archive import Refused, Unreadable
from dagster_project.incoming.inbox import Outcome, judged, write_rejected
from dagster_project.incoming.issued import issued_on
from dagster_project.incoming.workbook import Handed, Rejected, opened
from dagster_project.landing import Landing, Manifest
from dagster_project.policy import EVERY_PACK, limits_of, parameter
from dagster_project.sources import Delivery, page_schema
from dagster_project.words import printable

log = logging.getLogger("arrears.ingestion")

DONE = "done"
ERRORS = ".errors.csv"
PROMISE_DAYS = ("dunning_policy", "longest_promise_days")
ASKED_FOR = frozenset((PROMISE_DAYS,))
"""The rows policy must have for what comes back."""

LONGEST_WAIT = 600  # seconds for another run's reading to end
READING_SECONDS, READING_MEGABYTES = 180, 2_048
"""What one workbook may take to be read; the largest list there is takes a tenth of it."""
LONGEST_READING = 1_800
"""Seconds after which what is left in the inbox waits for the next night: files that cannot be read must not cost the morning."""

LONGEST_NAME = 180
"""Bytes of a file's name that are kept: with what is put behind it, it must still be one."""

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


def take_in(inbox: Path, worklists: Path, landing: Landing, as_of: date, key: bytes, pack: str = EVERY_PACK) -> TakenIn:
    """Read every workbook of the inbox and land what they say for a morning, by the rows of a policy pack. `key`: what the lists' rows were
    sealed with.

    A file leaves the inbox only after what it says is landed: a kill in between means that it is read again, and the same
    answer to the same row is the same record. Nothing in a workbook stops the night: it is read in a process of its own, and whatever
    happens there is said of that file.
    """
    opened_inbox(inbox)
    (inbox / DONE).mkdir(exist_ok=True)
    with FileLock(inbox / ".lock", timeout=LONGEST_WAIT):
        issued = cache(lambda day: issued_on(day, landing, worklists))
        max_age_days = limits_of(WORKLIST_OUTCOMES.name, pack, as_of).max_age_days or 0
        promise_days = parameter(*PROMISE_DAYS, pack, as_of)
        answers: dict[str, tuple[Outcome, str]] = {}
        read_files: list[tuple[Path, Sequence[Rejected]]] = []
        refused: dict[str, str] = {}
        began = time.monotonic()
        with Bounded(READING_SECONDS, READING_MEGABYTES) as reader:
            for path in _files(inbox):
                name = shown_name(path)
                if time.monotonic() - began > LONGEST_READING:
                    log.warning(
                        "%s waits for the next night: reading the inbox has taken %d minutes", name, LONGEST_READING // 60
                    )
                    continue
                try:
                    handed = _opened(reader, path)
                    filled = judged(handed, issued, key, morning=as_of, max_age_days=max_age_days, promise_days=promise_days)
                except Refused as reason:
                    if not os.path.lexists(path):  # somebody took it back
                        continue
                    if isinstance(reason, Unreadable) and 0 <= time.time() - path.lstat().st_mtime < STILL_ARRIVING:
                        log.warning("%s cannot be read yet and is left in the inbox: %s", name, reason)
                        continue
                    refused[name] = str(reason)
                    read_files.append((path, [Rejected("", "", "", "", "", f"nothing of this file was read: {reason}")]))
                else:
                    answers |= {_id_of(outcome): (outcome, name) for outcome in filled.outcomes}
                    read_files.append((path, filled.rejected))
        manifest = _land(landing, answers, as_of) if answers else None
        written: set[Path] = set()
        for path, rejected in read_files:
            try:
                _put_away(path, rejected, written)
            except OSError as stuck:
                why = os.strerror(stuck.errno) if stuck.errno else "moving it failed"
                log.warning("%s was read and cannot be put away (%s): it is read again until it can", shown_name(path), why)
    taken = {shown_name(path): len(rejected) for path, rejected in read_files if rejected and shown_name(path) not in refused}
    return TakenIn(len(read_files), len(answers), refused, taken, manifest)


def _opened(reader: Bounded, path: Path) -> Handed:
    try:
        return reader.call(opened, path)
    except OutOfBounds as beyond:
        raise Refused(f"it {beyond}: take the list as it was issued, fill it in again and drop that") from beyond


def shown_name(path: Path) -> str:
    """A file's name as it can be shown, stored and given to a file again: what is no text in it is marked, what is too long is cut."""
    stem, ending = printable(_text(path.stem)), printable(_text(path.suffix))
    while len(f"{stem}{ending}".encode()) > LONGEST_NAME:
        stem = stem[:-1]
    return f"{stem}{ending}"


def _text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")


def waiting(inbox: Path) -> list[Path]:
    """The lists of cells that came back and have not been dealt with."""
    return sorted(inbox.glob(f"*{ERRORS}"))


def _files(inbox: Path) -> Iterator[Path]:
    """Oldest first, so that of two answers about one row the one handed in last counts. Lock files of spreadsheets are none."""
    found = [path for path in inbox.iterdir() if path.suffix.lower() in SPREADSHEETS and (path.is_symlink() or path.is_file())]
    named = [path for path in found if not path.name.startswith(("~$", ".")) and not path.name.endswith(ERRORS)]
    yield from sorted(named, key=lambda path: (path.lstat().st_mtime_ns, path.name))


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


def _put_away(path: Path, rejected: Sequence[Rejected], written: set[Path]) -> None:
    """Say what could not be taken, then move the file out of the way; nothing that lies in `done` is overwritten, nor what this night
    has `written` for another file."""
    name = shown_name(path)
    errors = path.with_name(f"{name.removesuffix(path.suffix)}{ERRORS}")
    done = path.parent / DONE
    if errors in written:
        errors = _free(errors, ERRORS)
    elif errors.exists():  # of an earlier file of this name
        os.rename(errors, _free(done / errors.name, ERRORS))
    if rejected:
        unfinished = path.with_name(f".{errors.name}")
        write_rejected(unfinished, rejected)
        os.replace(unfinished, errors)
        written.add(errors)
    os.rename(path, _free(done / name, path.suffix))


def _free(target: Path, ending: str) -> Path:
    """The target, or the first name after it that nothing has: `list.xlsx`, `list (2).xlsx` …"""
    stem, number = target.name.removesuffix(ending), 1
    while os.path.lexists(target):
        number += 1
        target = target.with_name(f"{stem} ({number}){ending}")
    return target
