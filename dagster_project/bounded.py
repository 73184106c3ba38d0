"""Reading what strangers wrote, in a process of its own that may take so much time and memory and no more.

Belongs here: the process, its bounds, and in which words it is said that something went beyond them. Does not belong here: what is read,
and what comes of a file that cannot be.

A parser of foreign bytes may loop, take all the memory there is, or abort the process it runs in, and some do. What runs here takes
nobody with it: the process dies, the caller hears why in words, and the next call starts another one. A process starts with the
first call and serves all that follow, so that nothing is started where there is nothing to read.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from dagster_project.paths import ROOT

T = TypeVar("T")

_STARTING: Final = 120
"""Seconds for the process to start, on a machine that is busy with something else."""

_ITEM, _END, _RAISED = "item", "end", "raised"

_SPENT: Final = 77
"""The exit code of a process that ran out of the memory it may have and could still say so."""


class OutOfBounds(Exception):
    """What was to be read took more than it may, or broke what reads it. The message says which, in words that follow "it"."""


class Bounded:
    """A process that calls functions of ours over foreign bytes. `seconds`: how long a call, or the next of a stream's items, may take;
    `megabytes`: how much more memory it may take than the process has without it (where the system can hold it to that: not on macOS).

    Functions and arguments cross by pickle: a function is one of a module, and what it gives back is plain values. A call writes no
    files. One call at a time; not for several threads.
    """

    def __init__(self, seconds: float, megabytes: int):
        self.seconds = seconds
        self.megabytes = megabytes
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """What the function gives back.

        Raises:
            OutOfBounds: it took too long or too much, or the process died of it.
            Exception: whatever the function raised.
        """
        _, value = self._ask(function, arguments, each=False)
        return value  # type: ignore[no-any-return]

    def stream(self, function: Callable[..., Iterator[T]], *arguments: Any) -> Iterator[T]:
        """What the iterator gives, one by one, as it gives it. One that is not read to its end costs the process.

        Raises:
            OutOfBounds: as `call`, while it is read.
            Exception: whatever the function raised.
        """
        try:
            kind, value = self._ask(function, arguments, each=True)
            while kind == _ITEM:
                yield value
                kind, value = self._answer()
        except GeneratorExit:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, whatever it is at; the next call starts another one."""
        if self._process:
            assert self._line
            self._line.close()
            self._process.kill()
            self._process.wait()
            self._process = self._line = None

    def _ask(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, each: bool) -> tuple[str, Any]:
        asked = pickle.dumps((function, arguments, self.seconds, self.megabytes, each))
        if self._process is None or self._process.poll() is not None:  # the system may have ended it while nobody asked
            self.stop()
            self._start()
        assert self._line
        with suppress(OSError):  # it died this very moment: its answer says so
            self._line.send_bytes(asked)
        return self._answer()

    def _answer(self) -> tuple[str, Any]:
        assert self._process and self._line
        late = Timer(self.seconds, self._process.kill)
        late.daemon = True
        late.start()
        try:
            kind, value = self._line.recv()
        except (EOFError, OSError) as dead:
            raise self._died(late) from dead
        finally:
            late.cancel()
        if kind == _RAISED:
            raise value
        return kind, value

    def _died(self, late: Timer) -> OutOfBounds:
        assert self._process
        too_long = late.finished.is_set()
        code = self._process.wait()
        self.stop()
        if too_long or code == -signal.SIGXCPU:
            return OutOfBounds(f"takes more than the {self.seconds:,.0f} seconds it is given")
        if code == _SPENT:
            return OutOfBounds(f"takes more than the {self.megabytes:,} MB of memory it is given")
        return OutOfBounds(f"breaks what reads it, or takes more than the {self.megabytes:,} MB of memory it is given")

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what a parser says of strangers' bytes belongs on nobody's terminal
                cwd=ROOT,
                env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            self._line = Connection(ours.detach())
        if not self._line.poll(_STARTING):  # what it imports is no fault of what is read
            self.stop()
            raise OutOfBounds("waits for what reads it, which does not start on this machine")
        with suppress(EOFError, OSError):
            self._line.recv_bytes()


# ---- the other side


def _serve(line: Connection) -> None:
    with suppress(EOFError, OSError):  # whoever asked is gone
        line.send_bytes(b"ready")
        while True:
            function, arguments, seconds, megabytes, each = pickle.loads(line.recv_bytes())
            _bound(seconds, megabytes)
            try:
                answer = function(*arguments)
                if each:
                    for item in answer:
                        line.send((_ITEM, item))
                line.send((_END, None if each else answer))
            except MemoryError:
                os._exit(_SPENT)
            except Exception as raised:
                line.send((_RAISED, _portable(raised)))


def _bound(seconds: float, megabytes: int) -> None:
    """Hold this process to its bounds from here on: also one whose caller was killed ends."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    cores = os.cpu_count() or 1
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + cores * seconds) + 1)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    statm = Path("/proc/self/statm")
    if statm.exists():
        _limit(resource.RLIMIT_AS, int(statm.read_text("ascii").split()[0]) * resource.getpagesize() + megabytes * 2**20)


def _limit(what: int, most: int) -> None:
    import resource

    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _portable(raised: Exception) -> Exception:
    """The exception, or one with its words where it cannot cross."""
    with suppress(Exception):
        pickle.loads(pickle.dumps(raised))
        return raised
    return RuntimeError(str(raised))


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
