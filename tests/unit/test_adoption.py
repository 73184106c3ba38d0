"""What the first night would do, as a report: who waits and until when, by collector, day and week, and what else is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dagster_project import adoption
from dagster_project.duck import connect
from dagster_project.rehearsal import Rehearsal
from dagster_project.settings import Settings
from dagster_project.warehouse import Warehouse

MONDAY = date(2025, 6, 30)
NAMED = [
    "open_items",
    "customer_data_issues",
    "invoice_errors",
    "control_reconciliation",
    "control_differences",
    "document_reconciliation",
    "dunning_worklist",
    "dunning_items",
    "credit_reviews_due",
    "risk_tiers",
    "credit_limit_use",
    "credit_exceptions",
    "policy_comparison",
    "risk_tier_reasons",
]
INSIDE: Mapping[str, Mapping[str, pa.DataType]] = {
    "intermediate.int_companies": {"reporting_currency": pa.string()},
    "intermediate.int_customers": {
        "customer_id": pa.string(),
        "email": pa.string(),
        "phone": pa.string(),
        "payment_terms": pa.string(),
    },
    "staging.stg_erp__contacts": {"customer_id": pa.string(), "email": pa.string(), "phone": pa.string()},
    "intermediate.int_risk_signals": {"customer_id": pa.string(), "is_as_of": pa.bool_(), "bureau_score": pa.decimal128(18, 4)},
    "intermediate.int_review_plan": {"customer_id": pa.string(), "planned_on": pa.date32()},
    "intermediate.int_credit_exceptions": {
        "customer_id": pa.string(),
        "tier": pa.string(),
        "allowed": pa.decimal128(18, 4),
        "granted": pa.decimal128(18, 4),
        "dated_on": pa.date32(),
        "is_before_policy": pa.bool_(),
    },
    "intermediate.int_pilot_arms": {"customer_id": pa.string(), "arm": pa.string()},
    "policy.policy_adopted": {"adopted_on": pa.date32()},
}
"""What is read that is no mart, and of it these columns."""

Rows = list[dict[str, Any]]


@pytest.fixture
def told(tmp_path: Path, mart: Callable[..., pa.Table], make_settings: Callable[..., Settings]) -> Callable[..., list[str]]:
    """The lines of a report, blanks run together, on a book of these rows."""

    def told(marts: Mapping[str, Rows], inside: Mapping[str, Rows], **how: Any) -> list[str]:
        built = Warehouse(tmp_path / "built")
        built.create()
        for path, tables in (
            (built.marts, {f"marts.{name}": mart(name, *marts.get(name, [])) for name in NAMED}),
            (
                built.private,
                {name: pa.Table.from_pylist(inside.get(name, []), pa.schema(kinds.items())) for name, kinds in INSIDE.items()},
            ),
        ):
            con = connect()
            con.execute(f"attach '{path}' as file; use file")
            for name, rows in tables.items():
                con.register("given_rows", rows)
                con.execute(f"create schema if not exists {name.split('.')[0]}; create table {name} as from given_rows")
            con.close()
        built.release()
        settings = make_settings(source="files", files_dir=tmp_path)
        text = adoption.report(settings, Rehearsal(MONDAY, built=built, **how))
        return [" ".join(line.replace("-", "").split()) if line.startswith("|") else line for line in text.splitlines()]

    return told


def on_the_list(rank: int, customer: str, collector: str, step: str, amount: int, **more: Any) -> dict[str, Any]:
    known = {"rank": rank, "customer_id": customer, "collector": collector, "step": step, "past_due_amount": Decimal(amount)}
    return {**known, "change": "new", **more}


def item(customer: str, collector: str, step: str, severity: int, amount: int, until: date | None = None) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "collector": collector,
        "item_id": customer,
        "step": step,
        "severity": severity,
        "dunnable_amount_reporting": Decimal(amount),
        "open_amount_reporting": Decimal(amount),
        "days_past_due": 40,
        "held_reason": "waiting_its_turn" if until else None,
        "held_until": until,
    }


def test_the_backlog_is_a_plan_by_step_collector_and_day(told: Callable[..., list[str]]) -> None:
    """Ann has 1 today and 12 that wait, one a working day: ten days are shown, the rest by its week. Bob is through."""
    days = [MONDAY + timedelta(days=day) for day in range(1, 20) if (MONDAY + timedelta(days=day)).isoweekday() < 6][:12]
    waiting = [item(f"W{number:02}", "Ann", "second_notice", 30, 100, day) for number, day in enumerate(days)]
    marts = {
        "dunning_worklist": [
            on_the_list(1, "A", "Ann", "second_notice", 900),
            on_the_list(2, "B", "Bob", "first_notice", 50, last_contact_on=date(2025, 1, 1)),
        ],
        "dunning_items": [item("A", "Ann", "second_notice", 30, 900), item("B", "Bob", "first_notice", 20, 50), *waiting],
    }

    lines = told(
        marts, {"intermediate.int_companies": [{"reporting_currency": "EUR"}], "policy.policy_adopted": [{"adopted_on": MONDAY}]}
    )

    assert (
        "- 2 customers would be contacted this morning, 1 of them for the first time; 12 wait their turn, the last until 2025-07-16."
        in lines
    )
    steps = [lines.index(line) for line in ("| First notice | 1 | 50 | | |", "| Second notice | 1 | 900 | 12 | 1,200 |")]
    assert steps == sorted(steps), "the softest first"
    assert "| Ann | 1 | 900 | 12 | 20250716 |" in lines
    assert "| Bob | 1 | 50 | | this morning |" in lines
    plan = lines[lines.index("| Day | Contacts | Ann | Bob |") + 2 :][:12]
    assert plan[0] == "| Mon 20250630 | 2 | 1 | 1 |"
    assert plan[1:10] == [f"| {day:%a} {day:%Y%m%d} | 1 | 1 | |" for day in days[:9]]
    assert plan[10:] == ["| week of 20250714 | 3 | 3 | |", ""], "nobody twice, nobody lost"


def test_first_reviews_are_told_by_week_and_exceptions_of_before_by_tier(told: Callable[..., list[str]]) -> None:
    planned = [MONDAY, MONDAY + timedelta(days=6), MONDAY + timedelta(days=7), MONDAY + timedelta(days=200)]
    owed = [Decimal(number) for number in (500, 400, -30, 7)]
    marts: dict[str, Rows] = {
        "risk_tiers": [{"customer_id": f"C{n}", "tier_in_force": "3"} for n in range(4)],
        "credit_limit_use": [
            {"customer_id": f"C{n}", "status": "active", "balance": amount, "limit_source": "policy"}
            for n, amount in enumerate(owed)
        ],
        "credit_reviews_due": [
            {"customer_id": "C9", "trigger": "over_limit", "due_on": MONDAY, "exposure_amount": Decimal(70)},
            {"customer_id": "C8", "trigger": "cycle", "due_on": MONDAY + timedelta(days=1), "exposure_amount": Decimal(70)},
        ],
        "credit_exceptions": [{"customer_id": "C1", "declared": True, "is_counted": True}],
    }
    inside: dict[str, Rows] = {
        "intermediate.int_companies": [{"reporting_currency": "EUR"}],
        "policy.policy_adopted": [{"adopted_on": MONDAY}],
        "intermediate.int_customers": [{"customer_id": f"C{n}", "email": "a@b.example" if n else None} for n in range(4)],
        "intermediate.int_review_plan": [{"customer_id": f"C{n}", "planned_on": day} for n, day in enumerate(planned)],
        "intermediate.int_credit_exceptions": [
            {"customer_id": "C1", "tier": "2", "allowed": 45, "granted": days, "dated_on": MONDAY, "is_before_policy": before}
            for days, before in ((60, True), (60, True), (90, True), (120, False))
        ],
    }

    lines = told(marts, inside)

    assert "- 1 credit review would be due; 4 more are planned until 2026-01-16." in lines
    assert "| Over limit | 1 | 70 |" in lines
    weeks = lines[lines.index("| Week from | Reviews | They owe, EUR |") + 2 :][:4]
    assert weeks == ["| 20250630 | 2 | 900 |", "| 20250707 | 1 | 0 |", "| later, until 20260116 | 1 | 7 |", ""]
    assert "| Approved | 1 | 1 |" in lines
    assert "| 2 | 45 | 3 | 1 | 60 | 90 | 20250630 |" in lines, "what is since policy binds is no part of it"
    assert "| No email address | 1 of 3 | 500 | nobody can be written to |" in lines, "who owes nothing is not counted"


def test_tiers_and_the_pilot_are_of_who_owes(told: Callable[..., list[str]]) -> None:
    marts: dict[str, Rows] = {
        "policy_comparison": [
            {
                "customer_id": name,
                "policy": "net_terms",
                "is_selected": True,
                "tier_rank": rank,
                "tier_indicated": str(rank),
                "tier_name": "low",
                "net_days": 60,
                "exposure_amount": Decimal(owes),
                "exposure_above_limit_amount": Decimal(above),
            }
            for name, rank, owes, above in (("A", 1, 300, 0), ("B", 1, 100, 0), ("C", 1, 0, 0), ("D", 3, 50, 20))
        ],
        "dunning_worklist": [on_the_list(1, "A", "Ann", "first_notice", 10)],
        "dunning_items": [item("B", "Ann", "first_notice", 20, 10, MONDAY + timedelta(days=1))],
    }
    inside: dict[str, Rows] = {
        "intermediate.int_companies": [{"reporting_currency": "EUR"}],
        "policy.policy_adopted": [{"adopted_on": MONDAY}],
        "intermediate.int_pilot_arms": [{"customer_id": name, "arm": "pilot" if name in "AC" else "control"} for name in "ABCD"],
    }

    lines = told(marts, inside)

    assert "| 1 | low | 3 | 2 | 400 | 0 | 60 |" in lines
    assert "| 3 | low | 1 | 1 | 50 | 20 | 60 |" in lines
    assert "| 1 | 1 of 2 | 300 | 75% | 1 of 2 |" in lines
    assert "| all | 1 of 3 | 300 | 67% | 1 of 2 |" in lines


def test_all_that_stands_in_the_way_is_told_and_no_cell_breaks_its_row(told: Callable[..., list[str]]) -> None:
    marts: dict[str, Rows] = {
        "customer_data_issues": [
            {"customer_id": "A", "issue": "same_name", "severity": "low", "label": "Same | name", "what_to_do": "Merge\nthem"}
        ]
    }
    inside: dict[str, Rows] = {"policy.policy_adopted": [{"adopted_on": MONDAY}]}

    lines = told(marts, inside, stops=["one\x1b[2J", "two"], warnings=["three"])

    assert "- No list would go out: 2 things stand in the way (1)." in lines
    assert [line for line in lines if line[:2] in ("1.", "2.")] == ["1. one\ufffd[2J", "2. two"]
    assert "- three" in lines
    assert "| Same \\| name | 1 | 0 | Merge\ufffdthem |" in lines
    assert "- Nobody owes anything." in lines


def test_a_report_stands_where_it_can_be_handed_round(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    adoption.keep(settings, MONDAY, "first")

    path = adoption.keep(settings, MONDAY, "second")

    assert path == settings.home / "adopt" / "2025-06-30.md"
    assert path.read_text("utf-8") == "second"
    assert list(path.parent.iterdir()) == [path]
