"""Several mornings of one house, in the order they happen, while two BI tools are looking.

The fixtures are the story, each a night or more and what was there to see after it: the same morning again, nights that are killed,
the next morning with a correction from the source, the first morning as it was known then, the first morning as it is known now.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from nights import AS_OF, NEXT_DAY, House, Rows, Said, ledger, lists

from dagster_project.defs.automation.nightly import JOB

RUNS_WATCHED = int(os.environ.get("ARREARS_READER_RUNS", "3"))

LATE_NEWS = {
    "payments": "P-014,0008,2025-06-25,EUR,40.00,0100,transfer,found on the wrong account,,2025-07-01T02:00:00Z\n",
    "allocations": "A-018,I-0024,payment,2025-06-25,40.00,P-014,,,2025-07-01T02:00:00Z\n",
}
"""What the source says only on the next morning: I-0024 was paid on 25 June."""

LOOK = """
import duckdb, json, os, sys, time
path, stop = sys.argv[1:]
os.nice(10)
con = duckdb.connect()
seen, errors, looks = set(), [], 0
while not os.path.exists(stop):
    try:
        con.execute(f"attach '{path}' as looked_at (read_only)")
        try:
            con.execute("use looked_at.marts")
            days = {day for mart in ("run", "open_items", "dunning_worklist") for (day,) in
                    con.execute(f"select distinct as_of from {mart}").fetchall()}
        finally:
            con.execute("use memory; detach looked_at")
        if len(days) != 1:
            errors.append(f"the marts are of {sorted(map(str, days))}")
        seen |= {str(day) for day in days}
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
    looks += 1
    time.sleep(0.05)
print(json.dumps({"seen": sorted(seen), "errors": errors[:5], "looks": looks}))
"""
"""Opens the file again and again in a tool that stays open itself, as starting one takes most of a look."""

HOLD = """
import duckdb, json, os, sys, time
path, stop = sys.argv[1:]
with duckdb.connect(path, read_only=True) as con:
    con.execute("use marts")
    first = con.execute("select sum(open_amount) from open_items").fetchall()
    print("open", flush=True)
    while not os.path.exists(stop):
        time.sleep(0.1)
    again = con.execute("select sum(open_amount) from open_items").fetchall()
    day = str(con.execute("select as_of from run").fetchone()[0])
print(json.dumps({"same": first == again, "day": day}))
"""


@dataclass(frozen=True)
class Seen:
    """What a night left to be seen. `house` goes on to change; the rest stays as it was then."""

    house: House
    marts: dict[str, Rows]
    lists: dict[str, str]
    outside: dict[str, str]
    issued: Rows
    dunned: Rows
    said: Said | None = None


def seen(house: House, marts: Path | None = None, as_of: Any = AS_OF, said: Said | None = None) -> Seen:
    dunned = house.ask("select item_id, step, held_reason from dunning_items", marts)
    return Seen(house, house.marts(marts), lists(house.worklist(as_of)), house.outside(), house.issued(), dunned, said)


class Tool:
    """A BI tool: a process that opens the published marts."""

    def __init__(self, script: str, path: Path, stop: Path):
        self.stop = stop
        self.process = subprocess.Popen([sys.executable, "-c", script, str(path), str(stop)], stdout=subprocess.PIPE, text=True)

    def end(self) -> dict[str, Any]:
        self.stop.touch()
        said, _ = self.process.communicate(timeout=60)
        return dict(json.loads(said.splitlines()[-1]))


@pytest.fixture(scope="module")
def house(first_morning: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    return first_morning.copy(tmp_path_factory.mktemp("mornings") / "home")


@pytest.fixture(scope="module")
def tools(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tool]]:
    stop = tmp_path_factory.mktemp("tools") / "stop"
    marts = house.published / "arrears.duckdb"
    started = {"looks": Tool(LOOK, marts, stop), "holds": Tool(HOLD, marts, stop)}
    assert started["holds"].process.stdout is not None
    assert started["holds"].process.stdout.readline() == "open\n"
    yield started
    stop.touch()
    for tool in started.values():
        tool.process.wait(timeout=60)


@pytest.fixture(scope="module")
def first(house: House, tools: dict[str, Tool]) -> Seen:
    return seen(house)


@pytest.fixture(scope="module")
def again(first: Seen) -> Seen:
    """The same morning once more, with the source asked once more, by the parts of a night."""
    first.house.parts(AS_OF)
    return seen(first.house)


@pytest.fixture(scope="module")
def corrected(again: Seen, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The house with a source that has learned something since. The ledger's control account moves with it, back-dated."""
    folder = ledger(tmp_path_factory.mktemp("corrected") / "files", **LATE_NEWS)
    balances = folder / "control_balances.csv"
    balances.write_text(balances.read_text("utf-8").replace("14873.66", "14833.66"), "utf-8")
    return again.house.with_(files_dir=folder)


@pytest.fixture(scope="module")
def killed(corrected: House) -> list[tuple[str, bool, dict[str, str], dict[str, str]]]:
    """Nights of the next morning, each killed a little later: where, whether it was alive then, what could be opened before and after."""
    moments = (
        ("the first datasets are landed", "customers ", 0.0),
        ("the marts are built", "from landing to marts", 2.0),
        ("the marts are published and the worklists are not", "rows in", 0.0),
    )
    story = []
    for moment, line, seconds in moments:
        before, first = _without_notes(corrected), not story
        alive = corrected.killed(NEXT_DAY, lambda said, line=line: line in said, seconds, worker=first)  # type: ignore[misc]
        story.append((moment, alive, before, _without_notes(corrected)))
    return story


def _without_notes(house: House) -> dict[str, str]:
    """What can be opened, but for the note that each night leaves of the dead one before it."""
    return {name: digest for name, digest in house.outside().items() if not name.endswith("no-worklist.txt")}


@pytest.fixture(scope="module")
def following(corrected: House, killed: object) -> Seen:
    """The next morning, from the command line, with nothing cleaned up."""
    said = corrected.process("run", "--date", NEXT_DAY.isoformat())
    assert said.code == 0, said.err
    return seen(corrected, as_of=NEXT_DAY, said=said)


@pytest.fixture(scope="module")
def replayed(following: Seen) -> Seen:
    """The first morning, as it was known then."""
    night = following.house.run(AS_OF)
    assert night.success, night.reasons
    return seen(following.house, following.house.published / "history" / AS_OF.isoformat())


@pytest.fixture(scope="module")
def known_now(replayed: Seen) -> Seen:
    """The first morning, with everything learned since."""
    night = replayed.house.run(AS_OF, known="now")
    assert night.success, night.reasons
    return seen(replayed.house, replayed.house.published / "history" / AS_OF.isoformat())


# --- the same again ------------------------------------------------------------------------------------------------------


def test_a_morning_run_twice_gives_the_same_bytes_and_the_same_rows(first: Seen, again: Seen) -> None:
    assert again.lists == first.lists
    assert set(again.lists) >= {"worklist.csv", "worklist_items.csv", "worklist.xlsx", "worklist-anna.xlsx"}
    assert again.marts == first.marts


def test_a_source_asked_twice_lands_nothing_twice(again: Seen) -> None:
    for dataset in ("invoices", "customers", "payments", "allocations", "instalments", "disputes", "control_balances"):
        earlier, later = again.house.loads(dataset)[:2]
        assert (later["received"], later["landed"], later["tombstones"]) == (earlier["received"], 0, 0), dataset


def test_a_morning_run_twice_remembers_nothing_twice(first: Seen, again: Seen) -> None:
    assert again.issued == first.issued
    assert len(set(again.issued)) == len(again.issued) > 0


# --- killed --------------------------------------------------------------------------------------------------------------


def test_a_killed_night_leaves_what_people_open_as_it_was(killed: list[tuple[str, bool, dict[str, str], dict[str, str]]]) -> None:
    for moment, alive, before, after in killed[:-1]:
        assert alive, moment
        assert after == before, moment


def test_a_night_killed_between_marts_and_worklists_leaves_each_whole(
    killed: list[tuple[str, bool, dict[str, str], dict[str, str]]],
) -> None:
    moment, alive, before, after = killed[-1]
    assert alive, moment
    assert {name: after[name] for name in before if name.startswith("worklists/")} == {
        name: before[name] for name in before if name.startswith("worklists/")
    }
    marts = {name for name in before if name.startswith("published/")}
    assert {name for name in after if name.startswith("published/")} == marts
    assert not [name for name in after if name.startswith(f"worklists/{NEXT_DAY}/")]


def test_after_kills_the_next_run_succeeds_with_nothing_cleaned_up(killed: object, following: Seen) -> None:
    assert following.said is not None
    assert "14,833.66" in following.said.out
    assert "done in" in following.said.out
    leftovers = [path for path in (following.house.home / "worklists").iterdir() if path.is_dir() and path.name.startswith(".")]
    assert leftovers == []


# --- the next morning, and the one before as it was and as it is ---------------------------------------------------------


def test_the_next_morning_sees_the_correction(following: Seen) -> None:
    assert "I-0024" not in {row[3] for row in following.marts["open_items"]}
    assert following.house.ask("select distinct as_of from open_items", following.house.published) == [(NEXT_DAY,)]


def test_the_next_morning_does_not_send_the_same_step_again(first: Seen, following: Seen) -> None:
    sent = {(item, step) for _, item, step in first.issued}
    assert not sent & {(item, step) for day, item, step in following.issued if day == NEXT_DAY}
    # I-0001 became overdue over night, but its customer heard of seven other invoices yesterday
    assert ("I-0001", "first_notice", "contacted_recently") in following.dunned


def test_an_earlier_morning_comes_back_as_it_was_known_then(first: Seen, replayed: Seen) -> None:
    assert replayed.lists == first.lists
    assert replayed.marts == first.marts


def test_an_earlier_morning_goes_to_history_and_leaves_the_newer_alone(following: Seen, replayed: Seen) -> None:
    newer = {name: digest for name, digest in following.outside.items() if not name.startswith(f"worklists/{AS_OF}/")}
    assert {name: replayed.outside.get(name) for name in newer} == newer
    added = {name for name in replayed.outside if name not in following.outside}
    assert f"published/history/{AS_OF}/arrears.duckdb" in added
    assert {name.rsplit("/", 1)[0] for name in added} == {f"published/history/{AS_OF}", f"published/history/{AS_OF}/parquet"}


def test_what_is_known_now_differs(first: Seen, known_now: Seen) -> None:
    assert "I-0024" in {row[3] for row in first.marts["open_items"]}
    assert "I-0024" not in {row[3] for row in known_now.marts["open_items"]}
    (balance,) = known_now.house.ask(
        "select subledger_balance from control_reconciliation where company_id = '0100'",
        known_now.house.published / "history" / AS_OF.isoformat(),
    )
    assert balance == (Decimal("14833.66"),)
    assert known_now.lists["worklist_items.csv"] != first.lists["worklist_items.csv"]


def test_an_earlier_morning_run_after_a_later_one_does_not_rewrite_what_was_issued(following: Seen, known_now: Seen) -> None:
    assert known_now.issued == following.issued


def test_a_morning_of_which_nothing_was_known_names_both_switches(known_now: Seen) -> None:
    before = known_now.house.outside()
    said = known_now.house.command("run", "--date", "2025-06-20")
    assert said.code == 1
    assert "KNOWN=now" in said.err and "REFRESH=1" in said.err
    assert "Traceback" not in said.err
    after = known_now.house.outside()
    note = "worklists/2025-06-20/no-worklist.txt"
    assert {name: digest for name, digest in after.items() if name != note} == before
    assert "KNOWN=now" in (known_now.house.home / note).read_text("utf-8")


# --- the runs, as Dagster knows them -------------------------------------------------------------------------------------


def test_every_run_is_in_the_instance_with_its_morning(known_now: Seen) -> None:
    with dg.DagsterInstance.from_config(str(known_now.house.home / "dagster")) as instance:
        good = instance.get_runs(dg.RunsFilter(job_name=JOB, statuses=[dg.DagsterRunStatus.SUCCESS]))
        mornings = [run.tags["dagster/partition"] for run in good]
        assert mornings.count(NEXT_DAY.isoformat()) == 1
        assert mornings.count(AS_OF.isoformat()) == 3  # the first, as known then, as known now
        for key in (["erp", "invoices"], ["marts", "open_items"], ["delivery", "worklists"]):
            assert instance.get_materialized_partitions(dg.AssetKey(key)) >= {AS_OF.isoformat(), NEXT_DAY.isoformat()}


# --- the tools that looked on all the while ------------------------------------------------------------------------------


def test_readers_never_saw_an_error_and_stopped_no_run(tools: dict[str, Tool], known_now: Seen) -> None:
    house, watched = known_now.house, 4
    while watched < RUNS_WATCHED:
        assert house.run((NEXT_DAY, AS_OF)[watched % 2], refresh=True).success
        watched += 1
    looked, held = tools["looks"].end(), tools["holds"].end()
    assert looked["errors"] == []
    assert looked["seen"] == [AS_OF.isoformat(), NEXT_DAY.isoformat()]
    assert looked["looks"] > 20
    assert held == {"same": True, "day": AS_OF.isoformat()}, "who holds the old file open keeps it"
