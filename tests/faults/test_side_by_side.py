"""Two at once: mornings side by side, the same morning twice, a command beside the service's night, through the real locks.

Belongs here: processes that meet. Does not belong here: one that dies (`test_dead_nights.py`). The quick half lets two processes land and
deliver into one home; the other half (`make faults`) runs whole nights.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from nights import AS_OF, LEDGER, NEXT_DAY, House, lists

from dagster_project.contract import DATASETS, ISSUED_STEPS
from dagster_project.landing import Landing
from dagster_project.paths import ROOT

from .test_dead_nights import Service, until

LANDS = """
import sys
from datetime import date, timedelta
from pathlib import Path
import pyarrow as pa
from dagster_project.contract import DATASETS, ISSUED_STEPS
from dagster_project.landing import Landing
from dagster_project.sources import Delivery, page_schema

home, who, first, count = Path(sys.argv[1]), sys.argv[2], date.fromisoformat(sys.argv[3]), int(sys.argv[4])
landing = Landing(home / "landing", home / "quarantine")
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    day = first + timedelta(days=number)
    rows = [{"company_id": f"{who}{number}", "name": who, "currency": "EUR"}]
    page = pa.Table.from_pylist(rows, page_schema(DATASETS["companies"]))
    landing.land(DATASETS["companies"], Delivery(iter([page]), full=False, origin=who), day)
    if number == count // 2:
        landing.compact(DATASETS["companies"])
"""


@pytest.fixture
def house(server: Any, answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    server.on("/alert", answer(b"ok"))
    server.on("/beat", answer(b"ok"))
    variables = {"source": "files", "files_dir": str(LEDGER), "reporting_currency": "EUR"}
    return House(tmp_path / "home", {**variables, "alert_webhook": f"{server.url}/alert", "heartbeat_url": f"{server.url}/beat"})


@pytest.fixture
def service(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("DAGSTER_HOME", str(house.settings.dagster_home))
    running = Service(house)
    running.prepare()
    yield running
    running.stop()


def alerts(server: Any) -> list[str]:
    return [str(json.loads(call.body)["text"]) for call in server.heard if call.path == "/alert"]


def begun(house: House, *arguments: str) -> subprocess.Popen[str]:
    """A command of the house in a process of its own, on its way."""
    return subprocess.Popen(
        [sys.executable, "-m", "dagster_project", *arguments],
        cwd=ROOT,
        env=house.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("apart", [0, 30], ids=["the same mornings", "mornings side by side"])
def test_two_processes_that_land_and_pack_at_once_lose_nothing_and_break_no_chain(apart: int, tmp_path: Path) -> None:
    count = 6
    at_it = []
    for place, who in enumerate("AB"):
        first = AS_OF + timedelta(days=place * apart)
        command = [sys.executable, "-c", LANDS, str(tmp_path), who, first.isoformat(), str(count)]
        at_it.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for process in at_it:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in at_it:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=300) for process in at_it] == [0, 0]

    landing = Landing(tmp_path / "landing", tmp_path / "quarantine")
    loads = landing.loads(DATASETS["companies"])
    assert landing.damages(datasets=[DATASETS["companies"]], whole=True) == []
    assert sorted(load.manifest.sequence for load in loads) == list(range(1, 2 * count + 1))
    assert Counter(load.manifest.origin for load in loads) == {"A": count, "B": count}
    assert sum(load.manifest.landed for load in loads) == 2 * count


# --- whole nights ---------------------------------------------------------------------------------------------------------


@pytest.mark.faults
def test_two_mornings_side_by_side_are_both_right_or_told_and_no_step_goes_out_twice(house: House, server: Any) -> None:
    mornings = (AS_OF, NEXT_DAY)
    at_it = {day: begun(house, "run", "--date", day.isoformat()) for day in mornings}
    ended = {day: (*process.communicate(timeout=900), process.returncode) for day, process in at_it.items()}

    for day, (_, said, code) in ended.items():
        assert "Traceback" not in said
        if code:
            assert "went out while the morning of" in said, said
            assert any(f"for {day}" in alert or f"of {day}" in alert for alert in alerts(server))
            again = house.process("run", "--date", day.isoformat())
            assert again.code == 0, again.err
    for day in mornings:
        assert (house.worklist(day) / "manifest.json").exists()
    issued = [(item, step) for _, item, step in house.issued()]
    assert len(issued) == len(set(issued)), "a step went out twice"
    landing = Landing(house.settings.landing, house.settings.quarantine)
    assert landing.damages(whole=True) == []
    assert house.ask("select max(as_of) from run") == [(NEXT_DAY,)], "the newest morning is what is published"


@pytest.mark.faults
def test_the_same_morning_twice_at_once_is_one_morning_and_one_that_says_who_is_at_it(house: House, server: Any) -> None:
    at_it = [begun(house, "run", "--date", AS_OF.isoformat()) for _ in range(2)]
    ended = [(*process.communicate(timeout=900), process.returncode) for process in at_it]

    assert sorted(code for _, _, code in ended) == [0, 1]
    (refused,) = (said for _, said, code in ended if code)
    assert f"is already at work on the morning of {AS_OF}" in refused
    assert "Traceback" not in refused
    assert len(house.loads("invoices")) == 1
    assert [call.path for call in server.heard].count("/beat") == 1
    issued = house.issued()
    assert len(issued) == len(set(issued))


@pytest.mark.faults
def test_a_command_beside_a_night_of_the_service_stops_for_its_morning_and_runs_for_another(
    service: Service, server: Any, tmp_path: Path
) -> None:
    house = service.house
    service.start()
    service.queue(AS_OF)
    until(lambda: bool(service.night()), "the night at work")

    same = house.process("run", "--date", AS_OF.isoformat())
    until(lambda: service.statuses().get(AS_OF.isoformat()) in ("SUCCESS", "FAILURE"), "the end of the night")
    other = house.process("run", "--date", NEXT_DAY.isoformat())

    assert same.code == 1
    assert f"is already at work on the morning of {AS_OF}" in same.err
    assert other.code == 0, other.err
    by_hand = House(tmp_path / "by-hand").run(AS_OF)
    assert by_hand.success, by_hand.reasons
    mine, theirs = (
        {
            name: digest for name, digest in lists(of.worklist(AS_OF)).items() if not name.endswith(".xlsx")
        }  # sealed with the home's key
        for of in (house, House(tmp_path / "by-hand"))
    )
    assert mine == theirs
    loads = Landing(house.settings.landing, house.settings.quarantine).loads(ISSUED_STEPS)
    assert [load.as_of for load in loads] == [AS_OF, NEXT_DAY]


@pytest.mark.faults
def test_the_schedules_tick_at_five_starts_the_morning_of_that_day_where_the_company_is(service: Service, server: Any) -> None:
    """The service was away at five: its next start makes up for the tick. What the night comes to is told, whichever it is."""
    from dagster._core.scheduler.instigation import InstigatorType, ScheduleInstigatorData

    zone = "Pacific/Kiritimati"
    service.environment |= {"ARREARS_ENVIRONMENT": "production", "ARREARS_TIMEZONE": zone}
    home = str(service.house.settings.dagster_home)
    service.start()

    def declared() -> list[Any]:
        with dg.DagsterInstance.from_config(home) as instance:
            found = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
            return [state for state in found if state.instigator_name == "every_morning"]

    until(lambda: bool(declared()), "the schedule, which starts by itself in production")
    service.stop()
    (state,) = declared()
    with dg.DagsterInstance.from_config(home) as instance:
        a_day_ago = state.instigator_data.start_timestamp - 24 * 3600
        instance.update_instigator_state(state.with_data(ScheduleInstigatorData(state.instigator_data.cron_schedule, a_day_ago)))
    service.start()
    until(lambda: any(status in ("SUCCESS", "FAILURE") for status in service.statuses().values()), "the end of the night")

    (day,) = {date.fromisoformat(day) for day in service.statuses()}
    now = datetime.now(ZoneInfo(zone))
    assert day == (now.date() if now.hour >= 5 else now.date() - timedelta(days=1))
    until(lambda: bool(server.heard), "a heartbeat or an alert")
    (call,) = server.heard
    assert call.path == "/beat" or str(day) in json.loads(call.body)["text"]
