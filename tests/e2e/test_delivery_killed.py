"""A kill between any two of the steps in which marts and worklists go out; each time what people open is whole, old or new.

The nights of `test_mornings.py` are killed at moments that take a night to reach. Here only the delivery of a built morning runs, in
a process that kills itself just before its n-th rename or link.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any

from nights import AS_OF, NEXT_DAY, House, processes

from dagster_project.delivery import deliver
from dagster_project.landing import Landing
from dagster_project.outgoing import MARTS
from dagster_project.settings import Settings
from dagster_project.warehouse import last_finished, publish, read

STEPS = ("link", "replace", "rename", "symlink")
LISTED = ("dunning_worklist", "dunning_items", "cash_forecast_weekly")
"""The marts of which something is remembered. What else a list shows takes seconds each time, and no step more."""


PLACES = (
    *("published/parquet", "published/arrears.duckdb", r"landing/issued_steps/[^/]+"),
    *(rf"worklists/\.{AS_OF}\.previous", f"worklists/{AS_OF}"),
)
"""What the steps that count put in place: the link to the Parquet files, the file of marts, the steps remembered, the old list aside, the
new list where it was."""


def deliver_built(settings: Settings, as_of: date, deadly: int = 0) -> list[str]:
    """Publish the first morning's build as `as_of`, and its worklists; die before step number `deadly`. Returns what each step put in
    place, as paths from the home."""
    taken: list[str] = []

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def take(*args: Any, **kwargs: Any) -> Any:
            taken.append(os.path.relpath(args[1], settings.home))
            if len(taken) == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args, **kwargs)

        return take

    kept = {name: getattr(os, name) for name in STEPS}
    for name, step in kept.items():
        setattr(os, name, counted(step))
    try:
        built = last_finished(settings.warehouse, AS_OF)
        assert built
        run = {"run_id": "r", "policy": settings.policy, "source": settings.source, "published_at": "t", "versions": "v"}
        publish(built.marts, settings.published, as_of, run)
        marts = read(built.parquet, {name: MARTS[name] for name in LISTED})
        landing = Landing(settings.landing, settings.quarantine)
        deliver(settings.worklists, landing, marts, as_of=as_of, policy=settings.policy, run={}, rejected={}, key=b"k" * 32)
    finally:
        for name, step in kept.items():
            setattr(os, name, step)
    return taken


def killed_at(house: House, as_of: date, deadly: int) -> bool:
    child = processes().Process(target=deliver_built, args=(house.settings, as_of, deadly))
    child.start()
    child.join()
    return bool(child.exitcode == -signal.SIGKILL)


def visible(house: House) -> dict[str, Any]:
    """What can be opened: files as hashes, the file of marts by what is in it (its bytes have a history)."""
    inside = house.ask("select as_of, run_id, (select sum(open_amount) from open_items) from run")
    return {**house.outside(), "published/arrears.duckdb": inside}


def test_a_delivery_killed_anywhere_leaves_each_file_old_or_new_and_the_next_one_finishes(
    first_morning: House, tmp_path: Path
) -> None:
    whole = first_morning.copy(tmp_path / "whole")
    before = visible(whole)
    steps = deliver_built(whole.settings, AS_OF)
    after = visible(whole)
    assert before != after
    deadly = [max(n for n, placed in enumerate(steps, 1) if re.fullmatch(place, placed)) for place in PLACES]
    assert deadly == sorted(deadly) and deadly[-1] == len(steps)
    for step in deadly:
        house = first_morning.copy(tmp_path / f"killed-{step}")
        assert killed_at(house, AS_OF, step), step
        now = visible(house)
        odd = {name for name in before.keys() | after.keys() if now.get(name) not in (before.get(name), after.get(name))}
        # A folder cannot be renamed over another: between its two renames the list waits beside its place
        assert odd == set() or (step == len(steps) and all(name.startswith(f"worklists/{AS_OF}/") for name in odd)), step
        assert deliver_built(house.settings, AS_OF)
        assert visible(house) == after, step


HOLD_FOR_WRITING = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as con:
    print("open", flush=True)
    sys.stdin.read()
    print(con.execute("select as_of from marts.run").fetchone()[0])
"""


def test_a_tool_that_has_the_file_open_for_writing_stops_no_delivery(next_morning: House) -> None:
    path = next_morning.published / "arrears.duckdb"
    command = [sys.executable, "-c", HOLD_FOR_WRITING, str(path)]
    tool = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert tool.stdout and tool.stdout.readline() == "open\n"
        assert deliver_built(next_morning.settings, NEXT_DAY)
        said, _ = tool.communicate("", timeout=30)
    finally:
        tool.kill()
    assert said == f"{AS_OF}\n", "the tool keeps what it had"
    assert next_morning.ask("select as_of from run") == [(NEXT_DAY,)]
