"""The process for strangers' bytes: what it gives back, and that whatever breaks in it breaks nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_project.bounded import Bounded, OutOfBounds
from dagster_project.incoming.archive import Refused


def process() -> int:
    return os.getpid()


def refuse(words: str) -> None:
    raise Refused(words)


def odd() -> None:
    class Unknown(Exception):
        """One that no other process knows."""

    raise Unknown("nobody knows me")


def loop() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(60)


def abort() -> None:
    os.abort()


def leave() -> None:
    os._exit(3)


def take(megabytes: int) -> int:
    return len(bytearray(megabytes * 2**20))


def panic() -> None:
    raise BaseException("no Exception")


def write(path: str) -> None:
    Path(path).write_text("x", "utf-8")


def count(to: int, then: Callable[[], Any] | None = None) -> Iterator[int]:
    yield from range(to)
    if then:
        then()


@pytest.fixture
def bounded() -> Iterator[Bounded]:
    with Bounded(seconds=30, megabytes=256) as process:
        yield process


def test_one_process_answers_all_calls_and_a_raised_error_is_the_functions_own(bounded: Bounded) -> None:
    first = bounded.call(process)

    with pytest.raises(Refused, match="not mine"):
        bounded.call(refuse, "not mine")
    with pytest.raises(RuntimeError, match="nobody knows me"):
        bounded.call(odd)
    assert bounded.call(take, 64) == 64 * 2**20

    assert bounded.call(process) == first != os.getpid()


@pytest.mark.parametrize(
    ("broken", "seconds", "why"),
    [
        (loop, 1, "more than the 1 seconds"),
        (sleep, 1, "more than the 1 seconds"),
        (abort, 60, "breaks what reads it"),  # and that at once, however slow the machine is at starting a process
        (leave, 60, "breaks what reads it"),
        (panic, 60, "breaks what reads it"),
    ],
)
def test_whatever_happens_in_it_is_said_in_words_and_the_next_call_is_served(
    broken: Callable[[], None], seconds: float, why: str
) -> None:
    with Bounded(seconds=seconds, megabytes=256) as bounded:
        with pytest.raises(OutOfBounds, match=why):
            bounded.call(broken)
        bounded.seconds = 30
        assert bounded.call(take, 1) == 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="this system does not hold a process to its memory")
def test_memory_beyond_the_bound_is_refused_not_taken(bounded: Bounded) -> None:
    with pytest.raises(OutOfBounds, match="more than the 256 MB of memory"):
        bounded.call(take, 400)


def test_it_writes_no_files(bounded: Bounded, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too large"):
        bounded.call(write, str(tmp_path / "file"))


def test_a_stream_comes_item_by_item_and_ends_with_what_ended_it(bounded: Bounded) -> None:
    assert list(bounded.stream(count, 3)) == [0, 1, 2]

    read = []
    with pytest.raises(OutOfBounds):
        read.extend(bounded.stream(count, 3, abort))
    half = bounded.stream(count, 1_000_000)
    next(half)
    half.close()  # type: ignore[attr-defined]

    assert bounded.call(take, 1) == 2**20


def test_it_does_not_outlive_its_caller() -> None:
    """Whoever asked is killed while the process is at work: its own bound of time ends it."""
    script = (
        "import os, sys; from dagster_project.bounded import Bounded; from test_bounded import process, loop\n"
        "bounded = Bounded(60, 256); print(bounded.call(process), flush=True); bounded.seconds = 1; bounded.call(loop)"
    )
    asker = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert asker.stdout
    child = int(asker.stdout.readline())
    asker.send_signal(signal.SIGKILL)
    asker.wait()

    for _ in range(1_000):  # a second of its own time, of which a loaded machine gives it little
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        state = Path(f"/proc/{child}/stat")
        if state.exists() and state.read_text("utf-8").rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.1)
    else:
        pytest.fail("it is still there")
