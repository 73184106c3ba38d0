"""What a person at a terminal sees while a night runs: a line a step, and below them one that says how far the step under way is.

Belongs here: how messages look. Where the output is no terminal (cron, a service, a file) the steps' lines are all there is. Does not
belong here: what is said (the modules, through `logging`): steps to their own logger, how far they are to `arrears.progress`.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from typing import ClassVar, TextIO

from dagster_project.words import message, printable

REDRAWN_AFTER = 0.1
"""Seconds: often enough to be alive, too seldom to cost anything."""

CLEAR = "\r\x1b[2K"


def show_progress() -> None:
    """Print what the night says, from now until the process ends."""
    terminal = sys.stdout.isatty()
    steps = logging.getLogger("arrears")
    steps.setLevel(logging.INFO)
    steps.addHandler(_Steps(sys.stdout, clear=terminal))
    steps.propagate = False  # Dagster listens on this very logger, and the root belongs to the libraries
    if terminal:
        progress = logging.getLogger("arrears.progress")
        progress.setLevel(logging.DEBUG)
        progress.addHandler(_Line(sys.stdout))
        progress.propagate = False  # a line that is drawn over is none of the run's log


def clear_progress() -> None:
    """Take the line of progress away, before something else is printed."""
    if sys.stdout.isatty():
        print(CLEAR, end="", flush=True)


class _Steps(logging.StreamHandler[TextIO]):
    """Messages under a heading a stage, which is the logger's name."""

    HEADINGS: ClassVar = {
        "ingestion": "Landing",
        "morning": "Preparing",
        "transformation": "Building the marts",
        "delivery": "Delivering",
    }

    def __init__(self, stream: TextIO, *, clear: bool) -> None:
        super().__init__(stream)
        self.clear = CLEAR if clear else ""
        self.began = time.monotonic()
        self.stage = ""

    def format(self, record: logging.LogRecord) -> str:
        stage = self.HEADINGS.get(record.name.rpartition(".")[2], self.stage)
        heading = f"\n{stage}  ({time.monotonic() - self.began:.1f} s)\n" if stage != self.stage else ""
        self.stage = stage
        mark = "! " if record.levelno >= logging.WARNING else "  "
        return f"{self.clear}{heading}{mark}{message(record.getMessage().rstrip())}"


class _Line(logging.Handler):
    """The newest message alone, drawn over the one before it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.drawn = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self.drawn < REDRAWN_AFTER:
            return
        self.drawn = now
        width = shutil.get_terminal_size().columns - 1
        self.stream.write(f"{CLEAR}{'  … ' + printable(record.getMessage()):.{width}}")
        self.stream.flush()
