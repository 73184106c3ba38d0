"""The morning's folder of worklists: there whole, remembered once, or a note that says why there is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from filelock import FileLock

from dagster_project import delivery, duck
from dagster_project.contract import ISSUED_FORECASTS, ISSUED_STEPS
from dagster_project.delivery import OvertakenError, deliver, hold_back
from dagster_project.landing import Landing, rows_select
from dagster_project.outgoing import WorklistError

MONDAY, TUESDAY, WEDNESDAY = date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4)

ITEM = {
    "customer_id": "C1",
    "collector": "anna",
    "currency": "USD",
    "reporting_currency": "EUR",
    "open_amount": Decimal("100.0000"),
    "disputed_amount": Decimal(0),
    "covered_amount": Decimal(0),
    "dunnable_amount": Decimal("100.0000"),
    "open_amount_reporting": Decimal("90.00"),
    "disputed_amount_reporting": Decimal(0),
    "dunnable_amount_reporting": Decimal("90.00"),
    "days_past_due": 10,
    "severity": 30,
    "step": "first_notice",
}


@pytest.fixture
def morning(mart: Callable[..., pa.Table]) -> Callable[..., dict[str, pa.Table]]:
    """Marts of one customer with as many items to ask for as there are `steps`, and one that is held back."""

    def made(*steps: str, **action: Any) -> dict[str, pa.Table]:
        acted = [
            {**ITEM, "item_id": f"I{n}", "invoice_id": f"I{n}", "document_number": f"N{n}", "step": step}
            for n, step in enumerate(steps)
        ]
        held = {
            **ITEM,
            "item_id": "H1",
            "invoice_id": "H1",
            "document_number": "H1",
            "held_reason": "disputed",
            "held_list": "disputes",
        }
        call = {
            **{name: ITEM[name] for name in ("customer_id", "collector", "reporting_currency", "severity", "step")},
            "rank": 1,
            "step_label": "First notice",
            "channel": "email",
            "template": "first_overdue_notice",
            "document_currencies": "USD",
            "item_count": len(acted),
            "past_due_item_count": len(acted),
            "past_due_amount": 90 * Decimal(len(acted)),
            "not_due_amount": Decimal(0),
            "priority": Decimal(1),
            **action,
        }
        return {
            "dunning_items": mart("dunning_items", *acted, held),
            "dunning_worklist": mart("dunning_worklist", *([call] if acted else [])),
        }

    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "worklists"


def send(root: Path, landing: Landing, marts: Mapping[str, pa.Table], as_of: date, knew: Collection[str] | None = None) -> Any:
    said = {"run_id": "r1"}
    return deliver(root, landing, marts, as_of=as_of, policy="net_terms", run=said, rejected={}, key=b"k" * 32, knew=knew)


def remembered(landing: Landing) -> list[tuple[Any, ...]]:
    loads = landing.loads(ISSUED_STEPS)
    columns = "worklist_date, item_id, step, customer_id, invoice_id, policy, open_amount, currency"
    with duck.scratch(landing.folder) as con:
        return con.execute(f"select {columns} from ({rows_select(ISSUED_STEPS, con, loads)}) order by all").fetchall()


def visible(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name != ".lock")


def listed(root: Path, as_of: date) -> int:
    return int(json.loads((root / as_of.isoformat() / "manifest.json").read_text())["totals"]["items"])


def test_a_list_that_goes_out_is_remembered_step_by_step_and_what_is_held_is_not(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    manifest = send(root, landing, morning("first_notice", "escalation"), MONDAY)

    assert (manifest.totals.items, manifest.totals.held_items) == (2, 1)
    assert (root / "2025-06-02" / "worklist.xlsx").is_file()
    amount = Decimal("100.0000")
    assert remembered(landing) == [
        (MONDAY, "I0", "first_notice", "C1", "I0", "net_terms", amount, "USD"),
        (MONDAY, "I1", "escalation", "C1", "I1", "net_terms", amount, "USD"),
    ]
    assert [load.as_of for load in landing.loads(ISSUED_STEPS)] == [MONDAY], "the morning's own is known only to later ones"


def test_the_same_morning_again_replaces_the_list_and_remembers_no_step_twice(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    send(root, landing, morning("first_notice"), MONDAY)
    send(root, landing, morning("first_notice", "first_notice"), MONDAY)

    assert listed(root, MONDAY) == 2
    assert [row[:3] for row in remembered(landing)] == [(MONDAY, "I0", "first_notice"), (MONDAY, "I1", "first_notice")]


def test_a_step_that_the_newer_list_of_the_morning_lacks_stays_issued_for_somebody_may_have_taken_it(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    send(root, landing, morning("first_notice", "escalation"), MONDAY)
    send(root, landing, morning("first_notice"), MONDAY)

    assert listed(root, MONDAY) == 1
    assert [row[:3] for row in remembered(landing)] == [(MONDAY, "I0", "first_notice"), (MONDAY, "I1", "escalation")]


def test_an_older_morning_that_is_replayed_gets_its_list_but_issues_nothing(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    send(root, landing, morning("escalation"), TUESDAY)
    send(root, landing, morning("first_notice"), MONDAY)

    assert listed(root, MONDAY) == 1
    assert [row[:3] for row in remembered(landing)] == [(TUESDAY, "I0", "escalation")]


def test_a_morning_built_before_an_earlier_one_went_out_does_not_ask_again_for_what_that_asked(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    send(root, landing, morning("escalation"), MONDAY, knew=[])
    known = [load.load_id for load in landing.loads(ISSUED_STEPS)]
    send(root, landing, morning("first_notice"), TUESDAY, knew=known)

    with pytest.raises(
        OvertakenError, match=r"the list of 2025-06-03 went out while the morning of 2025-06-04.*make run DATE=2025-06-04"
    ):
        send(root, landing, morning("first_notice"), WEDNESDAY, knew=known)
    assert visible(root) == ["2025-06-02", "2025-06-03"]
    assert len(remembered(landing)) == 2

    send(root, landing, morning("escalation"), MONDAY, knew=[])  # a replay issues nothing, whatever it knew
    send(root, landing, morning("second_notice"), WEDNESDAY, knew=[load.load_id for load in landing.loads(ISSUED_STEPS)])
    assert len(remembered(landing)) == 3


def test_a_morning_with_nobody_to_contact_is_a_list_too(root: Path, landing: Landing, morning: Callable[..., Any]) -> None:
    send(root, landing, morning(), MONDAY)

    assert listed(root, MONDAY) == 0
    assert remembered(landing) == []


def test_a_kill_before_the_list_is_seen_costs_a_reminder_and_never_sends_one_twice(
    root: Path, landing: Landing, morning: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "swap_into_place", killed)
        with pytest.raises(KeyboardInterrupt):
            send(root, landing, morning("first_notice"), MONDAY)

    assert visible(root) == []
    assert len(remembered(landing)) == 1

    send(root, landing, morning("first_notice"), MONDAY)
    assert (visible(root), len(remembered(landing))) == (["2025-06-02"], 1)


def test_marts_that_contradict_each_other_leave_the_old_list_and_issue_nothing(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    send(root, landing, morning("first_notice"), MONDAY)

    with pytest.raises(WorklistError):
        send(root, landing, morning("first_notice", "escalation", past_due_amount=Decimal(1)), MONDAY)

    assert listed(root, MONDAY) == 1
    assert visible(root) == ["2025-06-02"]
    assert len(remembered(landing)) == 1


def test_what_killed_runs_left_is_cleared_away(root: Path, landing: Landing, morning: Callable[..., Any]) -> None:
    send(root, landing, morning("first_notice"), MONDAY)
    (root / ".2025-06-02.new").mkdir()
    (root / ".2025-06-02.new" / "worklist.csv").write_text("half")
    (root / "2025-06-02").rename(root / ".2025-06-02.previous")

    assert hold_back(root, as_of=MONDAY, reasons=["late"]) is None, "the old list, put back, still stands"
    assert visible(root) == ["2025-06-02"]
    assert listed(root, MONDAY) == 1


def test_two_deliveries_never_mix(root: Path, landing: Landing, morning: Callable[..., Any]) -> None:
    marts = morning("first_notice")
    root.mkdir()
    with FileLock(root / ".lock"):
        other = threading.Thread(target=send, args=(root, landing, marts, MONDAY))
        other.start()
        other.join(timeout=0.5)
        assert other.is_alive(), "it waits"
        assert visible(root) == []
    other.join(timeout=30)

    assert visible(root) == ["2025-06-02"]


# --- no list ----------------------------------------------------------------------------------------------------------


def test_a_morning_without_a_list_says_why_and_which_list_stays_in_force(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    send(root, landing, morning("first_notice"), MONDAY)
    send(root, landing, morning("first_notice"), WEDNESDAY)

    path = hold_back(root, as_of=TUESDAY, reasons=["the balance does not tie", "a rate is missing"], look_at=["the log"])

    assert path == root / "2025-06-03" / "no-worklist.txt"
    text = path.read_text("utf-8")
    assert all(part in text for part in ("the balance does not tie", "a rate is missing", "the log"))
    assert "The worklist of 2025-06-02 stays" in text, "not Wednesday's, which lies ahead"
    assert len(remembered(landing)) == 2, "a note issues nothing"


def test_a_note_is_not_taken_for_a_list(root: Path, landing: Landing, morning: Callable[..., Any]) -> None:
    send(root, landing, morning("first_notice"), MONDAY)
    hold_back(root, as_of=TUESDAY, reasons=["late"])

    text = (hold_back(root, as_of=WEDNESDAY, reasons=["late again"]) or root).read_text("utf-8")
    assert "The worklist of 2025-06-02 stays" in text

    again = hold_back(root, as_of=WEDNESDAY, reasons=["now for another reason"])
    assert again is not None
    assert "another reason" in again.read_text("utf-8")


def test_the_first_morning_of_all_has_no_list_to_fall_back_on(root: Path) -> None:
    path = hold_back(root, as_of=MONDAY, reasons=["late"])

    assert path is not None
    assert "There is no earlier worklist" in path.read_text("utf-8")


def test_a_good_list_of_the_morning_is_never_replaced_by_a_note(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    send(root, landing, morning("first_notice"), MONDAY)
    before = {path: path.read_bytes() for path in (root / "2025-06-02").rglob("*") if path.is_file()}

    assert hold_back(root, as_of=MONDAY, reasons=["late"]) is None

    assert {path: path.read_bytes() for path in (root / "2025-06-02").rglob("*") if path.is_file()} == before


def test_once_it_is_mended_the_list_takes_the_place_of_the_note(
    root: Path, landing: Landing, morning: Callable[..., Any]
) -> None:
    hold_back(root, as_of=MONDAY, reasons=["late"])

    send(root, landing, morning("first_notice"), MONDAY)

    assert not (root / "2025-06-02" / "no-worklist.txt").exists()
    assert listed(root, MONDAY) == 1


def test_a_forecast_is_kept_as_it_was_made_and_a_replay_keeps_none(
    root: Path, landing: Landing, morning: Callable[..., Any], mart: Callable[..., pa.Table]
) -> None:
    def forecast(as_of: date, expected: int) -> dict[str, pa.Table]:
        week = {"as_of": as_of, "week_start": as_of + timedelta(days=1), "week": 1, "scope": "total", "currency": "EUR"}
        amounts = {name: Decimal(expected) for name in ("open_items", "not_billed", "promised", "expected", "overdue_part")}
        bands = {name: Decimal(expected) for name in ("p20", "p50", "p80", "naive")}
        return morning("first_notice") | {"cash_forecast_weekly": mart("cash_forecast_weekly", week | amounts | bands)}

    def kept() -> list[tuple[Any, ...]]:
        with duck.scratch(landing.folder) as con:
            rows = rows_select(ISSUED_FORECASTS, con, landing.loads(ISSUED_FORECASTS))
            return con.execute(f"select distinct made_on, company_id, expected from ({rows}) order by all").fetchall()

    send(root, landing, forecast(TUESDAY, 200), TUESDAY)
    send(root, landing, forecast(TUESDAY, 200), TUESDAY)
    send(root, landing, forecast(MONDAY, 100), MONDAY)

    assert kept() == [(TUESDAY, "*", Decimal("200.0000"))]
