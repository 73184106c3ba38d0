"""Waiting for a call only so long: for what no timeout of a socket sees, as a server that drips its answer byte by byte.

Belongs here: beginning a call beside the caller. Does not belong here: how long who waits for what.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def begun(call: Callable[[], T]) -> Future[T]:
    """A call, begun in a thread that keeps no process from ending: whoever does not wait any longer leaves it behind."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as failed:
            outcome.set_exception(failed)

    Thread(target=run, daemon=True).start()
    return outcome
