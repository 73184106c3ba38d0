"""The last screen of a night: what it says is what the published marts and the loads' manifests say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dagster_project.contract import DATASETS, WORKLIST_OUTCOMES
from dagster_project.landing import Landing
from dagster_project.settings import Settings
from dagster_project.sources import Delivery, page_schema
from dagster_project.summary import summary_of
from dagster_project.warehouse import Warehouse, publish

MONDAY, TUESDAY = date(2025, 6, 2), date(2025, 6, 3)
RUN = {"run_id": "r1", "policy": "net_terms"}


@pytest.fixture
def settings(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    return make_settings(source="files", files_dir=tmp_path)


def item(kind: str, amount: str, days: int | None, currency: str = "EUR") -> dict[str, Any]:
    return {
        "item_id": f"{kind}{amount}",
        "item_type": kind,
        "open_amount_reporting": Decimal(amount),
        "days_past_due": days,
        "reporting_currency": currency,
    }


@pytest.fixture
def published(settings: Settings, mart: Callable[..., pa.Table]) -> Callable[..., None]:
    """Publish a morning with these open items, held items and state of the control account."""

    def made(
        as_of: date, items: list[dict[str, Any]], *, held: int = 0, state: str = "tied", calls: int = 1, watched: int = 0
    ) -> None:
        built = Warehouse(settings.warehouse / f"{as_of}.test")
        built.create()
        control = {"company_id": "A", "state": state, "subledger_balance": Decimal("1234.5"), "currency": "EUR"}
        call = {"reporting_currency": "EUR", "item_count": 2, "past_due_amount": Decimal("150.00")}
        reason = {"held_reason": "contacted_recently", "open_amount_reporting": Decimal(10), "reporting_currency": "EUR"}
        tables = {
            "open_items": mart("open_items", *items),
            "control_reconciliation": mart("control_reconciliation", control),
            "dunning_worklist": mart(
                "dunning_worklist", *({**call, "customer_id": f"C{n}", "collector": f"desk {n % 2}"} for n in range(calls))
            ),
            "dunning_items": mart("dunning_items", *({**reason, "item_id": f"H{n}"} for n in range(held))),
        }
        flags = {
            "credit_reviews_due": {"is_cycle_overdue": True},
            "risk_tiers": {"drift": True},
            "credit_score_changes": {"alerting": True},
            "credit_limit_use": {"hold_candidate": True},
            "customer_data_issues": {"issue": "same_name"},
        }
        for name, flag in flags.items():
            tables[name] = mart(name, *({"customer_id": f"C{n}", **flag} for n in range(watched)))
        con = duckdb.connect()
        con.execute(f"attach '{built.marts}' as built; create schema built.marts; use built.marts")
        for name, table in tables.items():
            con.register("incoming", table)
            con.execute(f"create table {name} as from incoming")
        con.close()
        built.release()
        publish(built.marts, settings.published, as_of, RUN)

    return made


def lines(text: str) -> dict[str, list[str]]:
    """The text by its labels; a line without one belongs to the label before."""
    found: dict[str, list[str]] = {}
    label = ""
    for line in text.splitlines():
        label = line[:10].strip() or label
        found.setdefault(label, []).append(" ".join(line[10:].split()))
    return found


def test_what_is_owed_is_told_apart_from_what_we_owe(settings: Settings, published: Callable[..., None]) -> None:
    published(
        MONDAY,
        [
            item("invoice", "1000.00", -5),
            item("debit_memo", "250.00", 10),
            item("invoice", "-20.00", 3),
            item("credit_memo", "-300.00", None),
            item("payment", "-99.50", None),
        ],
    )

    said = lines(summary_of(settings, MONDAY))

    assert said["as of"] == ["2025-06-02"]
    assert said["open"][0] == "3 open items, 1,230.00 EUR"
    assert said["past due"] == ["2 items, 230.00 EUR (18.7%)"]
    assert said["credits"] == ["2 credits and unapplied payments, -399.50 EUR"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("tied", "ties to the ledger's control account"),
        ("untied", "does NOT tie to the ledger's control account"),
        ("unverified", "unverified: the source gives no control balance"),
    ],
)
def test_whether_the_books_tie_is_said_in_words(
    state: str, words: str, settings: Settings, published: Callable[..., None]
) -> None:
    published(MONDAY, [], state=state)

    assert lines(summary_of(settings, MONDAY))["control"] == [f"A: 1,234.50 EUR {words}"]


def test_whom_to_call_and_what_was_held_are_counted(settings: Settings, published: Callable[..., None]) -> None:
    published(MONDAY, [], held=3, calls=3)

    said = lines(summary_of(settings, MONDAY))

    assert said["worklist"] == ["3 customers, 6 items, 450.00 EUR past due, 2 collectors"]
    assert said["held"] == ["3 items 30.00 EUR contacted recently"]


def test_what_a_credit_manager_has_to_look_at_is_counted(settings: Settings, published: Callable[..., None]) -> None:
    published(MONDAY, [], watched=3)

    assert lines(summary_of(settings, MONDAY))["credit"] == [
        "3 credit reviews due, 3 past their date",
        "3 customers in drift",
        "3 bureau scores to look at",
        "3 hold candidates",
        "3 customer records to mend",
    ]


def test_a_quiet_morning_is_said_to_be_one(settings: Settings, published: Callable[..., None]) -> None:
    published(MONDAY, [], calls=0)

    said = lines(summary_of(settings, MONDAY))

    assert said["worklist"] == ["nobody is due to be contacted this morning"]
    assert said["open"][0] == "no open items"
    assert "held" not in said


def test_what_came_in_and_what_was_refused_are_told_with_where_to_look(
    settings: Settings, published: Callable[..., None]
) -> None:
    landing = Landing(settings.landing, settings.quarantine)
    paid = {"customer_id": "C1", "payment_date": "2025-06-01", "currency": "EUR"}
    records = [{**paid, "payment_id": f"P{n}", "amount": "x" if n == 0 else "1"} for n in range(1_500)]
    page = pa.Table.from_pylist(records, schema=page_schema(DATASETS["payments"]))
    landing.land(DATASETS["payments"], Delivery(iter([page]), full=True, origin="test"), MONDAY, quarantine_share=Decimal("0.01"))
    landing.land(DATASETS["disputes"], None, MONDAY)
    published(MONDAY, [])

    said = lines(summary_of(settings, MONDAY))

    assert said["rows"] == ["1,500 received, 1,499 landed, 1 quarantined (newest loads)"]
    assert said["refused"] == [f"payments 1: with their reasons in {settings.quarantine}/"]
    assert said["absent"] == ["disputes"]


def test_a_replayed_morning_is_summed_up_from_its_own_marts(settings: Settings, published: Callable[..., None]) -> None:
    published(TUESDAY, [item("invoice", "2000.00", 5)])
    published(MONDAY, [item("invoice", "1000.00", 5)])

    older, current = lines(summary_of(settings, MONDAY)), lines(summary_of(settings, TUESDAY))

    assert older["open"][0] == "1 open items, 1,000.00 EUR"
    assert older["open"][2].endswith("published/history/2025-06-02/arrears.duckdb")
    assert current["open"][0] == "1 open items, 2,000.00 EUR"
    assert current["open"][2].endswith("published/arrears.duckdb")


def test_the_answers_of_the_night_are_counted_and_the_cells_that_came_back_are_pointed_at(
    settings: Settings, published: Callable[..., None]
) -> None:
    published(MONDAY, [item("invoice", "1", 1)])
    assert not {"inbox", "mend"} & set(lines(summary_of(settings, MONDAY)))

    said = {"worklist_date": "2025-05-30", "policy": "net_terms", "customer_id": "C", "contacted": "yes", "file_name": "w.xlsx"}
    page = pa.Table.from_pylist([{**said, "outcome_id": name} for name in "ab"], page_schema(WORKLIST_OUTCOMES))
    landing = Landing(settings.landing, settings.quarantine)
    landing.land(WORKLIST_OUTCOMES, Delivery(iter([page]), full=False, origin="inbox"), MONDAY)
    settings.inbox.mkdir()
    (settings.inbox / "w.errors.csv").touch()
    told = lines(summary_of(settings, MONDAY))

    assert told["inbox"] == ["2 answers read back from filled workbooks"]
    assert told["mend"][0].endswith("inbox/w.errors.csv")
