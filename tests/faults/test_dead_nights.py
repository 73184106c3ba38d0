"""A night that dies without a word — killed, aborted, gone with the machine — is found, ended and told, and the next one goes on.

The quick half looks at runs that something pretends to be at work on. The other half (`make faults`) runs nights through Dagster's own
daemon: queued, started in a process of their own, and killed there.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
from nights import AS_OF, LEDGER, NEXT_DAY, House, lists

from dagster_project.defs.automation import ending, watch
from dagster_project.defs.automation.ending import TOLD
from dagster_project.defs.automation.watch import look_after
from dagster_project.night import use_instance
from dagster_project.paths import ROOT
from dagster_project.settings import Settings
from dagster_project.warehouse import at_work

STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE

AT_WORK = """
import sys
from datetime import date
from pathlib import Path
from dagster_project.warehouse import at_work_on

with at_work_on(Path(sys.argv[1]), date.fromisoformat(sys.argv[2]), sys.argv[3]):
    print("at work", flush=True)
    sys.stdin.read()
"""


@dg.job
def a_night() -> None:
    """Stands in for the real one: only its record is looked at."""


@pytest.fixture
def settings(server: Any, answer: Any, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Settings:
    server.on("/alert", answer(b"ok"))
    made = make_settings(alert_webhook=f"{server.url}/alert")
    monkeypatch.setenv("DAGSTER_HOME", str(made.dagster_home))
    monkeypatch.setattr(watch, "A_SECOND_LOOK", 0)
    return made


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    use_instance(settings)
    with dg.DagsterInstance.get() as opened:
        yield opened


@contextmanager
def somebody_at_work(settings: Settings, run: dg.DagsterRun) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", AT_WORK, str(settings.warehouse), AS_OF.isoformat(), run.run_id]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline() == "at work\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def a_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, as_of: date = AS_OF) -> dg.DagsterRun:
    return instance.create_run_for_job(a_night, status=status, tags={"dagster/partition": as_of.isoformat()})


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status


def alerts(server: Any) -> list[str]:
    return [json.loads(call.body)["text"] for call in server.heard if call.path == "/alert"]


# --- the quick half ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGABRT], ids=["kill", "abort"])
def test_a_night_whose_process_is_gone_is_ended_and_told_once(
    by: signal.Signals, instance: dg.DagsterInstance, settings: Settings, server: Any
) -> None:
    run = a_run(instance, STARTED)
    with somebody_at_work(settings, run) as process:
        assert look_after(instance, settings) == []
        assert status_of(instance, run) is STARTED, "it is at work"
        process.send_signal(by)
        process.wait(timeout=30)

        (said,) = look_after(instance, settings)

    assert "2025-06-30" in said and "found dead" in said
    assert status_of(instance, run) is FAILURE
    (alert,) = alerts(server)
    assert alert.startswith("Arrears: no worklist for 2025-06-30\nthe process of this night is gone")
    assert "There is no worklist for 2025-06-30, and none before it." in alert
    assert "make run DATE=2025-06-30 (it asks the source again)" in alert
    assert "the process of this night is gone" in (settings.worklists / "2025-06-30" / "no-worklist.txt").read_text("utf-8")
    assert look_after(instance, settings) == []
    assert len(alerts(server)) == 1


def test_a_night_whose_lock_is_lost_is_dead_once_it_had_time_to_begin(
    instance: dg.DagsterInstance, settings: Settings, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(instance, STARTED)
    assert at_work(settings.warehouse, AS_OF) is None
    assert look_after(instance, settings) == [], "it may still be importing"

    monkeypatch.setitem(watch.UNTIL_AT_WORK, STARTED, -1)

    assert len(look_after(instance, settings)) == 1
    assert status_of(instance, run) is FAILURE
    assert len(alerts(server)) == 1


def test_a_night_that_ends_well_between_two_looks_is_left_alone(
    instance: dg.DagsterInstance, settings: Settings, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(instance, STARTED)
    with somebody_at_work(settings, run):
        pass  # lets go of its morning
    monkeypatch.setattr(watch.time, "sleep", lambda _: instance.report_run_canceled(run))

    assert look_after(instance, settings) == []
    assert status_of(instance, run) is dg.DagsterRunStatus.CANCELED
    assert alerts(server) == []


def test_a_night_that_failed_without_a_word_is_told_by_whoever_looks_next(
    instance: dg.DagsterInstance, settings: Settings, server: Any
) -> None:
    run = a_run(instance, STARTED)
    instance.report_engine_event(f"Run execution process for {run.run_id} unexpectedly exited with exit code -9.", run)
    instance.report_run_failed(run)

    for _ in range(2):
        look_after(instance, settings)

    (alert,) = alerts(server)
    assert "was killed (exit code -9)" in alert
    found = instance.get_run_by_id(run.run_id)
    assert found and TOLD in found.tags


@pytest.mark.parametrize(
    ("selected", "told"),
    [(None, 1), (frozenset(), 1), (frozenset({ending.DELIVERED}), 1), (frozenset({dg.AssetKey("other")}), 0)],
    ids=["the daemon's", "the command line's", "the list alone", "a part without the list"],
)
def test_the_end_of_a_night_that_was_to_deliver_is_told_however_it_was_started(
    selected: frozenset[dg.AssetKey] | None, told: int, instance: dg.DagsterInstance, settings: Settings, server: Any
) -> None:
    run = a_run(instance, STARTED)
    started = dg.DagsterRun("nightly", run_id=run.run_id, asset_selection=selected, tags=run.tags)
    with mock.patch.object(dg.DagsterInstance, "get_run_by_id", return_value=started):
        ending.end(instance, settings, AS_OF, run.run_id)

    assert len(alerts(server)) == told


def test_a_run_that_found_another_at_work_is_not_told_as_a_night_without_a_list(
    instance: dg.DagsterInstance, settings: Settings, server: Any
) -> None:
    other, second = a_run(instance, STARTED), a_run(instance, STARTED)
    with somebody_at_work(settings, other):
        instance.report_run_failed(second, "another is at work")
        look_after(instance, settings)

    assert alerts(server) == []
    assert not (settings.worklists / "2025-06-30").exists()


# --- through the daemon --------------------------------------------------------------------------------------------------

BIN = Path(sys.executable).parent
LONG = 600


class Service:
    """Dagster's daemon in a process group of its own, as `make serve` runs it, over one home."""

    def __init__(self, house: House):
        self.house = house
        self.environment = {**house.environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
        self.environment["DAGSTER_HOME"] = str(house.settings.dagster_home)
        self.process: subprocess.Popen[str] | None = None

    def prepare(self) -> str:
        """What every start does first."""
        return self.house.process("instance").err

    def start(self) -> None:
        with (self.house.home / "daemon.log").open("a") as log:
            self.process = subprocess.Popen(
                [str(BIN / "dagster-daemon"), "run", "-w", "workspace.yaml"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )

    def stop(self, by: signal.Signals = signal.SIGKILL) -> None:
        """End the daemon, the code server and the nights they started."""
        if self.process:
            night = self.night()
            os.killpg(self.process.pid, by)
            self.process.wait(timeout=60)
            for pid in night:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process = None

    def queue(self, as_of: date) -> None:
        """Put a night in the queue, as the schedule's tick does."""
        tags = json.dumps({"dagster/partition": as_of.isoformat()})
        done = subprocess.run(
            [str(BIN / "dagster"), "job", "launch", "-w", "workspace.yaml", "-j", "nightly", "--tags", tags],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def night(self) -> list[int]:
        """The process of the night that is at work, if one is."""
        cards = [card.read_text("utf-8") for card in (self.house.home / "warehouse").glob(".*.run")]
        days = [date.fromisoformat(card.name[1:11]) for card in (self.house.home / "warehouse").glob(".*.run")]
        busy = [card for card, day in zip(cards, days, strict=True) if at_work(self.house.home / "warehouse", day)]
        return [int(found[1]) for card in busy if (found := re.search(r"process (\d+)", card))]

    def statuses(self) -> dict[str, str]:
        """Each night's state by its morning."""
        with dg.DagsterInstance.from_config(str(self.house.settings.dagster_home)) as instance:
            return {run.tags["dagster/partition"]: run.status.value for run in instance.get_runs()}


def until(holds: Callable[[], bool], what: str) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < LONG, f"{what} did not come"
        time.sleep(0.2)


@pytest.fixture
def service(tmp_path: Path, server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    server.on("/alert", answer(b"ok"))
    server.on("/beat", answer(b"ok"))
    variables = {"source": "files", "files_dir": str(LEDGER), "reporting_currency": "EUR"}
    house = House(tmp_path / "home", {**variables, "alert_webhook": f"{server.url}/alert", "heartbeat_url": f"{server.url}/beat"})
    monkeypatch.setenv("DAGSTER_HOME", str(house.settings.dagster_home))
    running = Service(house)
    running.prepare()
    yield running
    running.stop()


@pytest.mark.faults
def test_a_night_of_the_daemon_is_the_night_of_the_command_line(service: Service, server: Any, tmp_path: Path) -> None:
    service.start()
    service.queue(AS_OF)
    until(lambda: service.statuses().get(AS_OF.isoformat()) in ("SUCCESS", "FAILURE"), "the end of the night")

    house = service.house
    assert service.statuses() == {AS_OF.isoformat(): "SUCCESS"}
    (log,) = (house.home / "logs").glob("2025-06-30.*.log")
    assert "worklists" in log.read_text("utf-8")
    assert [call.path for call in server.heard] == ["/beat"], "it says that it is well, once, and alerts nobody"
    by_hand = House(tmp_path / "by-hand").run(AS_OF)
    assert by_hand.success, by_hand.reasons
    assert lists(house.worklist(AS_OF)) == lists(House(tmp_path / "by-hand").worklist(AS_OF))
    assert house.marts() == House(tmp_path / "by-hand").marts()


@pytest.mark.faults
@pytest.mark.parametrize("death", ["kill", "abort", "lost lock"])
def test_a_night_that_dies_in_the_daemon_does_not_keep_the_next_from_going_on(death: str, service: Service, server: Any) -> None:
    house = service.house
    service.start()
    service.queue(AS_OF)
    until(lambda: (house.home / "landing" / "customers").exists(), "the first landing")
    (pid,) = service.night()
    if death == "abort":
        os.kill(pid, signal.SIGABRT)
        service.queue(NEXT_DAY)
    else:
        service.queue(NEXT_DAY)
        service.stop(signal.SIGKILL)
        assert service.statuses()[AS_OF.isoformat()] == "STARTED", "Dagster does not know"
        if death == "lost lock":
            for left in (house.home / "warehouse").glob(".*"):
                left.unlink()
        else:
            assert "was found dead and is ended" in service.prepare()
        service.start()

    until(lambda: service.statuses()[NEXT_DAY.isoformat()] in ("SUCCESS", "FAILURE"), "the next night")

    assert service.statuses() == {AS_OF.isoformat(): "FAILURE", NEXT_DAY.isoformat(): "SUCCESS"}
    until(lambda: bool(alerts(server)), "the alert")
    (alert,) = alerts(server)
    assert "no worklist for 2025-06-30" in alert
    assert ("exit code -6" if death == "abort" else "the process of this night is gone") in alert
