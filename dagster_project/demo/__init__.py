"""The demo: an invented company's ERP and its credit bureau, served over real HTTP on loopback.

Belongs here: starting the server as a process of its own and ending it again. The book it serves is made in `book.py` out of
`population.py` (who) and `life.py` (what happens); `server.py` speaks contract.md section 2.1. Does not belong here: anything the
pipeline knows. To the pipeline the demo is a REST source like any other; the only thing it is told is the date.

The server is a child process so that a morning fetches over a real socket from somebody else's memory, and so that it can make
the book while the run is still importing. It ends when its standard input does, even where the run was killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Self

_ROOT = Path(__file__).resolve().parent.parent.parent


class DemoError(Exception):
    """The demo did not start. The message has what it said."""


@dataclass(frozen=True)
class Endpoint:
    """Where the demo is served: what ARREARS_REST_URL and ARREARS_REST_TOKEN want."""

    url: str
    token: str = field(repr=False)


class Demo:
    """A demo server of its own process, on a free port, for one morning. Starting returns at once; `wait` knows the address."""

    def __init__(self, as_of: date, *, seed: str | None = None, scale: float | None = None):
        command = [sys.executable, "-m", "dagster_project.demo", "--as-of", as_of.isoformat(), "--exit-with-stdin"]
        command += ["--seed", seed] if seed is not None else []
        command += ["--scale", str(scale)] if scale is not None else []
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._endpoint: Endpoint | None = None
        self._lines: SimpleQueue[str] = SimpleQueue()
        Thread(target=self._listen, name="demo-ready-line", daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        self._lines.put(self._process.stdout.readline())

    def wait(self, seconds: float = 60.0) -> Endpoint:
        """The address, as soon as the server listens.

        Raises:
            DemoError: it ended, or said nothing in time.
        """
        if self._endpoint is None:
            try:
                line = self._lines.get(timeout=seconds)
                ready = json.loads(line)
            except (Empty, ValueError):
                self._process.kill()
                _, said = self._process.communicate()
                raise DemoError(f"the demo's server did not start: {said.strip() or 'no word from it'}") from None
            self._endpoint = Endpoint(ready["url"], ready["token"])
        return self._endpoint

    def stop(self) -> None:
        """End the server. Harmless where it has ended already."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(as_of: date, *, seed: str | None = None, scale: float | None = None) -> Demo:
    """Start the server for a morning and return at once: call early, `wait()` late."""
    return Demo(as_of, seed=seed, scale=scale)
