"""What three hundred nights leave behind: nothing grows past what policy keeps.

Belongs here: the nights' artefacts, written by the code that writes them, with a clock that is set forward, and what is left of them.
Does not belong here: what is in them. A night is every other day, so that the longest of the retention policy's days come round.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from dagster_project import duck, upkeep
from dagster_project.contract import DATASETS
from dagster_project.defs.automation.ending import log_of, write_log
from dagster_project.defs.automation.upkeep import forget_runs
from dagster_project.landing import Landing, store
from dagster_project.night import use_instance
from dagster_project.settings import Settings
from dagster_project.sources import Delivery, page_schema
from dagster_project.warehouse import Warehouse, at_work_on, publish, tidy

from .test_dead_nights import a_night

FIRST, NIGHTS, APART = date(2024, 1, 1), 300, 2
INVOICES, PAYMENTS = DATASETS["invoices"], DATASETS["payments"]


def page(name: str, *rows: dict[str, str]) -> Iterator[pa.Table]:
    return iter([pa.Table.from_pylist(list(rows), page_schema(DATASETS[name]))])


class Nights:
    """A home that nights leave things in, one after the other."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch):
        self.settings, self.instance = settings, instance
        self.landing = Landing(settings.landing, settings.quarantine)
        self.now = datetime.combine(FIRST, time(5))
        monkeypatch.setattr(store, "_clock", lambda: self.now)
        monkeypatch.setattr(Settings, "today", lambda _: self.now.date())

    def live(self, number: int) -> None:
        day = FIRST + timedelta(days=number * APART)
        self.now = datetime.combine(day, time(5))
        run = self.instance.create_run_for_job(a_night, tags={"dagster/partition": day.isoformat()})
        self.instance.report_run_failed(run, "only its record is looked at")
        with at_work_on(self.settings.warehouse, day, run.run_id):
            self._land(number, day)
            self._build(day, run.run_id)
        (Path(self.instance.storage_directory()) / run.run_id / "compute_logs").mkdir(parents=True)
        write_log(self.instance, run.run_id, log_of(self.settings, day, run.run_id))
        (self.settings.inbox / "done").mkdir(parents=True, exist_ok=True)
        (self.settings.inbox / "done" / f"filled-{day}.xlsx").touch()
        self._age(run.run_id)
        upkeep.tend(self.settings, self.landing)
        if number % 4 == 0:  # the weekly job
            forget_runs(self.instance, (datetime.now(UTC).replace(tzinfo=None) - self.now).days + self.kept("run_history_days"))

    def _land(self, number: int, day: date) -> None:
        paid = {"customer_id": "C1", "payment_date": "2023-12-01", "currency": "EUR", "amount": "1"}
        rows = [{"payment_id": f"P{number}", **paid}, {"payment_id": f"X{number}", **paid, "amount": "x"}]
        self.landing.land(
            PAYMENTS, Delivery(page("payments", *rows), full=number % 3 == 0, origin="test"), day, quarantine_share=1
        )  # type: ignore[arg-type]
        if number % 5 == 0:
            self.landing.land(INVOICES, Delivery(page("invoices"), full=False, origin="test"), day)

    def _build(self, day: date, run_id: str) -> None:
        built = Warehouse(self.settings.warehouse / f"{day}.{run_id[:8]}")
        built.create()
        with closing(duck.connect(str(built.marts))) as con:
            con.execute("create schema marts.marts; create table marts.marts.open_items as select 1 as item_id")
        built.finish({})
        built.release()
        if day.day % 10 == 1:
            publish(built.marts, self.settings.published, day, {"run_id": run_id})
        tidy(self.settings.warehouse, self.settings.keep_warehouses)

    def _age(self, run_id: str) -> None:
        """What was written just now was written when the clock says."""
        then = self.now.replace(tzinfo=UTC).timestamp()
        for path in self.settings.home.rglob("*"):
            if self.settings.dagster_home not in path.parents and path.exists() and path.stat().st_mtime > then + 86_400:
                os.utime(path, (then, then), follow_symlinks=False)
        with closing(sqlite3.connect(self.settings.dagster_home / "history" / "runs.db", timeout=60)) as con:
            con.execute("update runs set create_timestamp = ? where run_id = ?", (self.now.isoformat(" "), run_id))
            con.commit()

    def kept(self, parameter: Any) -> int:
        return upkeep.kept(parameter, self.settings, self.now.date())

    def sizes(self) -> dict[str, int]:
        home, landed = self.settings.home, self.settings.landing
        return {
            **{
                f"loads of {name}": len(list((landed / name).iterdir()))
                for name in ("payments", "invoices")
                if (landed / name).exists()
            },
            "remembered as seen": len(json.loads((landed / ".chain" / "payments.seen.json").read_text("utf-8"))),
            "half landed": len(list((landed / ".staging").iterdir())),
            "refused": len(list((self.settings.quarantine / "payments").glob("*"))),
            "workbooks": len(list((self.settings.inbox / "done").iterdir())),
            "logs": len(list((home / "logs").iterdir())),
            "private files": len([path for path in self.settings.warehouse.glob("*.*") if path.is_dir()]),
            "published sets": len(list((self.settings.published / ".sets").iterdir())),
            "runs": self.instance.get_runs_count(),
            "files of events": len(list((self.settings.dagster_home / "history" / "runs").glob("*.db"))),
            "folders of output": len(list(Path(self.instance.storage_directory()).iterdir())),
            "bytes of runs": (self.settings.dagster_home / "history" / "runs.db").stat().st_size,
            "bytes of the index": (self.settings.dagster_home / "history" / "runs" / "index.db").stat().st_size,
        }


@pytest.mark.faults
def test_three_hundred_nights_leave_no_more_than_policy_keeps(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    use_instance(settings)
    with dg.DagsterInstance.get() as instance:
        nights = Nights(settings, instance, monkeypatch)
        early, most = {}, {}
        for number in range(NIGHTS):
            nights.live(number)
            if number > 60 and number % 20 == 0:
                sizes = nights.sizes()
                early = early or sizes
                most = {what: max(size, most.get(what, 0)) for what, size in sizes.items()}

        def nights_in(parameter: str) -> int:
            return nights.kept(parameter) // APART + 2

        assert early and most.keys() == early.keys()
        pieces = nights.kept("compact_after_loads") + 2 * math.ceil(math.log2(NIGHTS))
        assert max(most["loads of payments"], most["loads of invoices"]) <= pieces
        assert most["remembered as seen"] <= pieces
        assert most["half landed"] == 0
        assert nights_in("quarantine_days") - 3 <= most["refused"] <= nights_in("quarantine_days"), (
            "the oldest went, the others stay"
        )
        assert nights_in("inbox_done_days") - 3 <= most["workbooks"] <= nights_in("inbox_done_days")
        assert nights_in("log_days") - 3 <= most["logs"] <= nights_in("log_days")
        assert most["private files"] <= settings.keep_warehouses + 1
        assert most["published sets"] <= 2
        assert nights_in("run_history_days") - 3 <= most["runs"] <= nights_in("run_history_days") + 4
        assert most["files of events"] <= most["runs"] + 1 and most["folders of output"] <= most["runs"]
        assert most["bytes of runs"] <= 2 * early["bytes of runs"]
        assert most["bytes of the index"] <= 2 * early["bytes of the index"]
        assert nights.landing.damages(whole=True) == []
        assert {load.manifest.sequence for load in nights.landing.loads(PAYMENTS)} == set(range(1, NIGHTS + 1)), (
            "nothing landed is gone"
        )
