"""What is said of a night that ended: to whoever is alerted, to the heartbeat's listener, in the morning's folder.

Belongs here: the order of telling (the alert before anything that needs the disk), what is there now told from what is there, what to
do next, and errors as words. Does not belong here: sending (`alerts.py`), how a run of Dagster ended (`defs/automation/`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

from dagster_project import alerts, mail
from dagster_project import settings as environment
from dagster_project.delivery import has_list, hold_back, last_list
from dagster_project.landing import Landing
from dagster_project.settings import Settings
from dagster_project.warehouse import published_as_of, published_run

log = logging.getLogger("arrears.notice")

NEVER_BEGAN = ".arrears-never-began"
"""The file that remembers of which start that failed somebody was told, in the home or, where that cannot be written, beside other
temporary files."""

LITTLE_ROOM = 200 * 1024 * 1024
"""Bytes left on the disk below which a failure names them: a night of a small book writes about as much."""


def stopped(settings: Settings, as_of: date, reasons: Sequence[str], run_id: str = "") -> None:
    """Tell that a night stopped: the alert first, then the note in the morning's folder. Nothing is raised, whatever is broken: what cannot
    be done is part of what is told, or logged."""
    _tell(settings, as_of, reasons, run_id)
    try:
        look_at = [f"the run {run_id} in the Dagster UI"] if run_id else []
        if hold_back(settings.worklists, as_of=as_of, reasons=reasons, look_at=look_at):
            mail.held_back(settings, as_of, reasons)
    except Exception as unwritable:
        log.error("no note could be left in %s: %s", settings.worklists, in_words(str(unwritable)))


def _tell(settings: Settings, as_of: date, reasons: Sequence[str], run_id: str) -> None:
    there = what_is_there(settings, as_of, run_id)
    listed = has_list(settings.worklists / as_of.isoformat())
    subject = f"Arrears: the night of {as_of} stopped" if listed else f"Arrears: no worklist for {as_of}"
    alerts.send(settings, subject, "\n".join([*reasons, "", *there, *what_to_do(settings, as_of)]))


def never_began(what: str, reasons: Sequence[str]) -> None:
    """Tell that something could not be started, where there may be no settings to tell by: whoever can be reached, and once a day for the
    same reasons, since a service is started again and again."""
    text = "\n".join([*reasons, "", "No night runs and no list comes until that is mended."])
    said = f"{date.today()} {hashlib.sha256((what + text).encode()).hexdigest()}"
    marks = [folder / NEVER_BEGAN for folder in (environment.home_named(), Path(tempfile.gettempdir()))]
    if any(_holds(mark, said) for mark in marks):
        return
    if alerts.send(environment.receivers(), f"Arrears: {what} could not be started", text):
        for mark in marks:
            with (
                suppress(OSError),
                open(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file,
            ):
                file.write(said)
                return


def _holds(mark: Path, said: str) -> bool:
    with suppress(OSError, ValueError):
        return mark.read_text("utf-8") == said
    return False


def delivered(settings: Settings, as_of: date) -> None:
    """Tell the heartbeat's listener that a morning is out, unless a later one is: a replay says nothing of tonight."""
    if published_as_of(settings.published) == as_of:
        alerts.beat(settings)


def what_is_there(settings: Settings, as_of: date, run_id: str = "") -> list[str]:
    """Which marts and which worklist people find now, and whether this run put them there."""
    try:
        return [_marts(settings, as_of, run_id), _worklist(settings, as_of), *_room(settings)]
    except Exception as unreadable:  # a disk may break anything; the alert is to go out
        return [f"What is there could not be looked at: {in_words(str(unreadable))}"]


def _marts(settings: Settings, as_of: date, run_id: str) -> str:
    newest = published_as_of(settings.published)
    if newest is None:
        return "No marts are published yet."
    folder = settings.published if newest == as_of else settings.published / "history" / as_of.isoformat()
    if run := published_run(folder):
        whose = "this run" if run_id and run == run_id else f"an earlier run ({run[:8]})"
        return f"The marts of {as_of} are published, by {whose}."
    return f"The marts that are published are those of {newest}."


def _worklist(settings: Settings, as_of: date) -> str:
    if has_list(settings.worklists / as_of.isoformat()):
        return f"The worklist of {as_of} that an earlier run delivered stays."
    last = last_list(settings.worklists, before=as_of)
    return f"There is no worklist for {as_of}" + (f"; the one of {last} stays as it was." if last else ", and none before it.")


def _room(settings: Settings) -> list[str]:
    there = next((path for path in (settings.home, *settings.home.parents) if path.exists()), Path("/"))
    left = shutil.disk_usage(there).free
    return [f"The disk of {settings.home} has {left / 1024**2:,.0f} MB left."] if left < LITTLE_ROOM else []


def what_to_do(settings: Settings, as_of: date) -> list[str]:
    """The command that tries the morning again, and what it asks the source for."""
    again = f"Once that is mended: make run DATE={as_of}"
    landing = Landing(settings.landing, settings.quarantine)
    try:
        asks = landing.asks(as_of, settings.today(), published=published_as_of(settings.published))
    except Exception:  # as above
        return [again]
    if asks:
        return [f"{again} (it asks the source again)"]
    return [f"{again} (from what is landed by then; with REFRESH=1 it asks the source again)"]


# --- errors as words -----------------------------------------------------------------------------------------------------

_NAMED = re.compile(r"^\(?(?:[a-zA-Z_]\w*\.)*[A-Za-z_]*(?:Error|Exception|Failure|Timeout|Unreachable|AtWork)\)?:?\s+")
"""An exception's name before what it says."""

_SAID: Sequence[tuple[str, str]] = (
    (r"No space left on device|database or disk is full|Disk quota exceeded|No space left", "the disk is full: free some room"),
    (r"Read-only file system|readonly database", "the disk is read-only: mount it for writing"),
    (r"Permission denied|Operation not permitted", "it may not be written or read: give it to the user that runs the night"),
    (r"Too many open files", "too many files are open: raise the limit (ulimit -n)"),
    (
        r"database is locked",
        "another process has Dagster's history locked: end it (fuser names it for a file under ARREARS_HOME/dagster)",
    ),
    (
        r"database disk image is malformed|file is not a database|unable to open database file|disk I/O error|no such table: \w+",
        "Dagster's history is broken; the next start sets it aside and begins a new one",
    ),
    (r"DagsterExecutionInterruptedError|KeyboardInterrupt", "it was told to end while it was at work"),
    (r"Cannot allocate memory|Out of Memory|MemoryError", "there is too little memory: lower ARREARS_MEMORY_LIMIT, or give more"),
)


def in_words(said: str) -> str:
    """What an exception says, without its name and in a line, behind what it means where that is known."""
    line = next((line.strip() for line in said.strip().splitlines() if line.strip()), "")
    line = _NAMED.sub("", line) or line
    for pattern, meaning in _SAID:
        if re.search(pattern, said):
            return meaning if re.fullmatch(r"[\w.]+:?", line) else f"{meaning} ({line})"
    return line or "it ended without saying why"
