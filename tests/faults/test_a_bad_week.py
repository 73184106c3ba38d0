"""A week of mornings under faults, whole nights of the simulated company: at every morning either a right list, or a note and an alert.

Belongs here: which fault meets which night, and what must be true of the morning whatever it was. Does not belong here: what a right list
is (`simulation/law.py`), single faults (the modules beside this one).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from nights import House, opened, read_csv

from dagster_project import delivery
from dagster_project.contract import ISSUED_STEPS
from dagster_project.landing import Landing, store
from tests.reference.proof import write_files
from tests.simulation.law import PARAMETERS, STEPS, Ledger, spacing_faults
from tests.simulation.world import World

MONDAY = date(2025, 11, 24)
FAULTS = ("nothing", "killed", "no answer", "a full disk", "a clock that went back", "bytes that rot", "a bad workbook")
HARMLESS = ("nothing", "a clock that went back", "a bad workbook")
"""These cost nobody a list."""


class Week:
    """A company, its ERP over HTTP, and the house that runs its nights."""

    def __init__(self, seed: str, folder: Path, server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch):
        self.chance, self.folder, self.server, self.answer, self.monkeypatch = Random(seed), folder, server, answer, monkeypatch
        self.world = World(seed)
        for back in range(75, 0, -1):
            self.world.live(MONDAY - timedelta(days=back))
        server.on("/alert", answer(b"ok"))
        server.on("/beat", answer(b"ok"))
        self.house = House(
            folder / "home",
            {
                "source": "rest",
                "rest_url": server.url,
                "reporting_currency": "EUR",
                "alert_webhook": f"{server.url}/alert",
                "heartbeat_url": f"{server.url}/beat",
            },
        )

    def serve(self, day: date) -> None:
        """Let the ERP say what it knew the evening before."""
        book = self.world.known(day - timedelta(days=1))
        quoted = (date(2025, 1, 1), day - timedelta(days=1))
        book["exchange_rates"] = [{"rate_date": on, "currency": "USD", "base_currency": "EUR", "rate": "0.9"} for on in quoted]
        if not (folder := self.folder / "books" / day.isoformat()).exists():
            write_files(book, folder)
        for path in folder.glob("*.csv"):
            records = [{name: value for name, value in row.items() if value} for row in read_csv(path)]
            self.server.on(f"/{path.stem}", self.answer({"data": records, "total": len(records)}))

    def night(self, day: date, fault: str) -> None:
        """Run a night that the fault meets."""
        with self.monkeypatch.context() as patch:
            match fault:
                case "killed":
                    left = self.chance.randrange(4, 24)

                    def now(_: str) -> bool:
                        nonlocal left
                        left -= 1
                        return left <= 0

                    self.house.killed(day, now)
                    self.house.command("instance")  # what every next start does first
                    return
                case "no answer":
                    dataset = self.chance.choice(("customers", "invoices", "payments", "allocations"))
                    said: Any = self.chance.choice((b"<html><title>Log in</title>", {"data": [], "total": 7}, b"\xff\xfe"))
                    self.server.on(f"/{dataset}", self.answer(said))
                case "a full disk":
                    module, name = self.chance.choice(((store, "_write_text"), (delivery, "swap_into_place")))
                    patch.setattr(module, name, _full_once(getattr(module, name)))
                case "a clock that went back":
                    clock = store._clock
                    patch.setattr(store, "_clock", lambda: clock() - timedelta(days=3))
                case "bytes that rot":
                    path = self.chance.choice(sorted((self.house.home / "landing" / "invoices").rglob("rows.parquet")))
                    content = bytearray(path.read_bytes())
                    content[len(content) // 2] ^= 255
                    path.write_bytes(content)
                case "a bad workbook":
                    inbox = self.house.home / "inbox"
                    inbox.mkdir(parents=True, exist_ok=True)
                    (inbox / "filled.xlsx").write_bytes(self.chance.randbytes(3_000))
            self.house.run(day)

    # --- what must be true -----------------------------------------------------------------------------------------------

    def told(self, day: date) -> list[str]:
        alerts = [str(json.loads(call.body)["text"]) for call in self.server.heard if call.path == "/alert"]
        return [alert for alert in alerts if f" {day}" in alert.splitlines()[0]]

    def holds(self, day: date) -> bool:
        """Whether there is a list, which is right; where there is none, there is a note and somebody was told."""
        folder = self.house.worklist(day)
        if not (folder / "manifest.json").exists():
            assert (folder / "no-worklist.txt").read_text("utf-8").strip(), "silence"
            assert self.told(day), "nobody was told"
            return False
        law = Ledger(self.world.known(day - timedelta(days=1)), day)
        listed = {row["item_id"]: row for row in self._items(day)}
        assert listed.keys() ^ law.dunnable() == set()
        assert {item: row["open_amount"] for item, row in listed.items()} == {i: law.items[i].open_amount for i in listed}
        untouchable = law.untouchable()
        assert [(item, untouchable[item]) for item, row in listed.items() if not row["held_reason"] and item in untouchable] == []
        return True

    def issued(self) -> list[tuple[str, date, str, str]]:
        """Customer, day, item and step of everything that ever went out."""
        loads = Landing(self.house.settings.landing, self.house.settings.quarantine).loads(ISSUED_STEPS)
        files = sorted({str(load.rows) for load in loads if load.rows})
        return duckdb.execute("select customer_id, worklist_date, item_id, step from read_parquet(?)", [files]).fetchall()

    def _items(self, day: date) -> list[dict[str, Any]]:
        """The morning's items as they are published, which the list's own files repeat."""
        published = self.house.published
        if self.house.ask("select as_of from run") != [(day,)]:
            published = published / "history" / day.isoformat()
        with opened(published / "arrears.duckdb") as con:
            rows: list[dict[str, Any]] = con.sql("from dunning_items").to_arrow_table().to_pylist()
        written = {row["item_id"] for row in read_csv(self.house.worklist(day) / "worklist_items.csv")}
        assert written == {row["item_id"] for row in rows}
        return rows


def _full_once(write: Callable[..., Any]) -> Callable[..., Any]:
    """A disk that has no room for the first of these, and has some again when the note is left."""
    full = iter((True,))

    def tried(*given: Any) -> Any:
        if next(full, False):
            raise OSError(28, "No space left on device")
        return write(*given)

    return tried


@pytest.fixture
def week(tmp_path: Path, server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Week]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return lambda seed: Week(seed, tmp_path, server, answer, monkeypatch)


@pytest.mark.faults
@pytest.mark.parametrize("seed", ["a bad week", "another"])
def test_every_morning_of_a_bad_week_has_a_right_list_or_a_note_and_an_alert(seed: str, week: Callable[[str], Week]) -> None:
    company = week(seed)
    first, *others = FAULTS
    without = 0
    for number, fault in enumerate((first, *company.chance.sample(others, len(others)))):
        day = MONDAY + timedelta(days=number)
        company.serve(day)
        company.night(day, fault)
        if not company.holds(day):
            assert fault not in HARMLESS, (fault, company.told(day))
            without += 1
            company.serve(day)
            again = company.house.command("run", "--date", day.isoformat(), "--full", "--refresh")
            assert again.code == 0, (fault, again.err)
            assert company.holds(day), (fault, "mended and run again, the morning is there")
        company.world.live(day)

    assert without >= 3, "some faults have to cost a list"
    issued = company.issued()
    assert len({(item, step) for _, _, item, step in issued}) == len(issued), "no step goes out twice"
    ours = {(customer, day) for customer, day, _, step in issued if STEPS[step]["in_cadence"] == "true"}
    assert spacing_faults(ours, int(PARAMETERS["min_days_between_contacts"])) == []
