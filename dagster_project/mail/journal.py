"""What was mailed to whom: written down before a letter leaves and after it was taken, so that nobody gets a list twice.

Belongs here: the file of a morning and what its lines come to. Does not belong here: sending (`post.py`), who gets what (`morning.py`).

    mail/<as_of>.jsonl      a line for each thing that happened to a letter, in order, never changed

A letter that was begun and has no end was in somebody's hands when the night was killed: whether it arrived nobody here can tell, so it
is not sent again by itself, and that is said.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

from filelock import FileLock

LONGEST_WAIT = 600  # seconds for another run's letters to leave


class State(StrEnum):
    """What became of a letter. `BEGUN`: its text is on the way to the server. `UNSURE`: it was, and no answer came."""

    BEGUN = "begun"
    SENT = "sent"
    REFUSED = "refused"
    UNSURE = "unsure"


@dataclass(frozen=True)
class Entry:
    """A line: `kind` is what was sent (`worklist`, `held_back`, `reminder`), `why` what the server said or what went wrong, in words.
    `receiver`: an address of the house's own, or the number of a customer, whose addresses are `marks` (`sending.mark_of`)."""

    at: str
    kind: str
    receiver: str
    state: State
    why: str = ""
    marks: tuple[str, ...] = ()


class Journal:
    """A morning's file, held by one run at a time (`open_journal`)."""

    def __init__(self, path: Path):
        self._path = path
        self._last: dict[tuple[str, str], Entry] = {}
        if path.exists():
            for line in path.read_text("utf-8", "replace").splitlines():
                try:
                    told = json.loads(line)
                    entry = Entry(**{**told, "state": State(told["state"]), "marks": tuple(told.get("marks", ()))})
                except (ValueError, TypeError, KeyError):  # the last line of a run that was killed while it wrote
                    continue
                self._last[entry.kind, entry.receiver] = entry

    @property
    def entries(self) -> list[Entry]:
        """The last that is known of each letter."""
        return list(self._last.values())

    def last(self, kind: str, receiver: str) -> Entry | None:
        """The last that is known of a letter; None where it was never begun."""
        return self._last.get((kind, receiver))

    def gone(self, kind: str) -> int:
        """How many letters of a kind left the house on this morning, or may have."""
        return sum(entry.kind == kind and entry.state is not State.REFUSED for entry in self._last.values())

    def write(self, kind: str, receiver: str, state: State, why: str = "", marks: tuple[str, ...] = ()) -> Entry:
        """Add a line, on the disk before this returns.

        Raises:
            OSError: it cannot be written; the letter must not leave then.
        """
        entry = Entry(datetime.now(UTC).isoformat(timespec="seconds"), kind, receiver, state, why, marks)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        begins = not self._path.exists() or self._path.read_bytes()[-1:] in (b"\n", b"")
        with self._path.open("ab") as file:
            file.write(("" if begins else "\n").encode() + json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._last[kind, receiver] = entry
        return entry


def receivers(folder: Path) -> set[str]:
    """Every address that a list was ever sent to, or may have been."""
    journals = [Journal(path) for path in folder.glob("????-??-??.jsonl")]
    return {
        entry.receiver
        for journal in journals
        for entry in journal.entries
        if entry.kind == "worklist" and entry.state != State.REFUSED
    }


@contextmanager
def open_journal(folder: Path, as_of: date) -> Iterator[Journal]:
    """A morning's journal, for this run alone until it is let go.

    Raises:
        Timeout: another run held it for longer than `LONGEST_WAIT`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", timeout=LONGEST_WAIT):
        yield Journal(folder / f"{as_of}.jsonl")
