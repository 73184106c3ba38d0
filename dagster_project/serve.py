"""The service: Dagster's web server and its daemon, side by side in one process group, as `make serve` and the unit files start them.

Belongs here: starting both, ending both, and ending where either does, so that whoever supervises this starts them anew. Does not belong
here: what is done before any start (`night.py`), what the daemon runs (`defs/`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from dagster_project.paths import ROOT

BIN = Path(sys.executable).parent

A_LOOK = 0.5
"""Seconds between looks at the two."""

TO_END = 30
"""Seconds they have to end in."""


class _Ended(Exception):
    """Somebody asked for an end."""


def serve(host: str, port: int) -> str | None:
    """Run until told to end, or until one of the two ends by itself: returns which then, in words. DAGSTER_HOME is set."""
    commands = {
        "the web server": ["dagster-webserver", "-w", "workspace.yaml", "-h", host, "-p", str(port)],
        "the daemon": ["dagster-daemon", "run", "-w", "workspace.yaml"],
    }
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, _end)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, (program, *arguments) in commands.items():
            running[name] = subprocess.Popen([str(BIN / program), *arguments], cwd=ROOT, env=environment)
        while True:
            for name, process in running.items():
                if (code := process.poll()) is not None:
                    return f"{name} ended with {code}; the other is ended too"
            time.sleep(A_LOOK)
    except _Ended:
        return None
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            try:
                process.wait(TO_END)
            except subprocess.TimeoutExpired:
                process.kill()


def _end(asked: int, frame: FrameType | None) -> None:
    raise _Ended
