"""A collector's week: the list goes out, comes back filled in, and the mornings after know what was said."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from xlsxwriter import Workbook

from dagster_project import form
from dagster_project.contract import DATASETS
from dagster_project.delivery import deliver
from dagster_project.incoming.intake import take_in
from dagster_project.landing import Landing
from dagster_project.seals import seal
from dagster_project.sources import Delivery, page_schema
from tests import compiled

MONDAY, TUESDAY, WEEK_AFTER = date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 10)
KEY = b"the key of the house, 32 bytes.."
CUSTOMERS = ("promises", "paid", "contests", "partly", "silent")


def land(landing: Landing, name: str, *records: dict[str, str]) -> None:
    page = pa.Table.from_pylist(list(records), page_schema(DATASETS[name]))
    landing.land(DATASETS[name], Delivery(iter([page]), True, "test"), MONDAY)


@pytest.fixture(scope="module")
def mornings(tmp_path_factory: pytest.TempPathFactory) -> dict[date, compiled.Built]:
    folder = tmp_path_factory.mktemp("week")
    landing = Landing(folder / "landing", folder / "quarantine")
    land(
        landing, "customers", *({"customer_id": name, "name": name, "collector": "anna", "currency": "EUR"} for name in CUSTOMERS)
    )
    facts = {
        "document_type": "invoice",
        "invoice_date": "2025-04-30",
        "due_date": "2025-05-30",
        "currency": "EUR",
        "amount": "100",
    }
    numbers = [(f"{name}-{number}", name) for name in CUSTOMERS for number in (1, 2)]
    land(landing, "invoices", *({**facts, "invoice_id": i, "invoice_number": i, "customer_id": name} for i, name in numbers))
    paid = {"payment_id": "P", "customer_id": "silent", "payment_date": "2025-05-30", "currency": "EUR", "amount": "1"}
    land(landing, "payments", paid)

    def built(as_of: date) -> compiled.Built:
        return compiled.build(compiled.compiled(), landing, as_of, when_asked=True)

    first = built(MONDAY)
    marts = {name: first.table(name) for name in ("dunning_worklist", "dunning_items")}
    deliver(folder / "worklists", landing, marts, as_of=MONDAY, policy="net_terms", run={}, rejected={}, key=KEY)
    fill(
        folder / "inbox" / "worklist-anna.xlsx", {row["invoice_id"]: row["item_id"] for row in marts["dunning_items"].to_pylist()}
    )
    taken = take_in(folder / "inbox", folder / "worklists", landing, TUESDAY, KEY)
    assert (taken.outcomes, taken.rejected, taken.refused) == (5, {}, {})
    return {as_of: built(as_of) for as_of in (TUESDAY, WEEK_AFTER)}


def fill(path: Path, items: dict[str, str]) -> None:
    """The answers, in a workbook that another program wrote: only the headers and ids are as on the list."""
    path.parent.mkdir()
    with Workbook(str(path)) as book:
        calls, contested = book.add_worksheet(form.CALL_LIST), book.add_worksheet(form.ITEM_LIST)
        calls.write_row(0, 0, [form.SEAL_HEADER, form.KEY_HEADER, *(question.header for question in form.QUESTIONS)])
        said = {
            "promises": ["Yes", "Promised to pay", "2025-06-05", 200],
            "paid": ["Yes", "Says it is paid"],
            "contests": ["Yes", "Disputes it"],
            "partly": ["Yes", "Disputes it"],
        }
        for row, (name, answers) in enumerate(said.items(), 1):
            calls.write_row(row, 0, [seal(KEY, MONDAY, "net_terms", "anna", name), name, *answers])
        contested.write_row(
            0, 0, [form.SEAL_HEADER, form.ITEM_KEY_HEADER, *(question.header for question in form.ITEM_QUESTIONS)]
        )
        item = items["partly-1"]
        contested.write_row(1, 0, [seal(KEY, MONDAY, "net_terms", "anna", "partly", item), item, "Price", 100])
        identity = book.add_worksheet(form.IDENTITY_SHEET)
        where = {
            "schema_version": "1",
            "as_of": MONDAY.isoformat(),
            "policy": "net_terms",
            "collector": "anna",
            "sheet": form.CALL_LIST,
        }
        for row, pair in enumerate(where.items()):
            identity.write_row(row, 0, pair)


def held(built: compiled.Built) -> dict[str, Any]:
    return {row["invoice_id"]: row["held_reason"] for row in built.rows("dunning_items")}


def test_the_next_morning_holds_what_was_promised_and_what_is_contested(mornings: dict[date, compiled.Built]) -> None:
    reasons = held(mornings[TUESDAY])

    assert {invoice for invoice, reason in reasons.items() if reason == "promise_pending"} == {"promises-1", "promises-2"}
    assert {invoice for invoice, reason in reasons.items() if reason == "disputed"} == {"contests-1", "contests-2", "partly-1"}
    assert {reasons[invoice] for invoice in ("paid-1", "partly-2", "silent-1")} == {"waiting_next_step"}


def test_a_week_later_the_broken_promise_is_chased_and_the_list_says_what_was_said(mornings: dict[date, compiled.Built]) -> None:
    reasons = held(mornings[WEEK_AFTER])
    calls = {row["customer_id"]: row["last_contact_outcome"] for row in mornings[WEEK_AFTER].rows("dunning_worklist")}

    assert {invoice for invoice, reason in reasons.items() if reason == "disputed"} == {"contests-1", "contests-2", "partly-1"}
    assert calls == {"promises": "promised", "paid": "says_it_is_paid", "partly": "disputed", "silent": "first_notice"}


def test_the_collectors_month_counts_the_calls_and_the_promise(mornings: dict[date, compiled.Built]) -> None:
    (tuesday,), (later,) = (mornings[day].rows("collector_activity") for day in (TUESDAY, WEEK_AFTER))

    assert (tuesday["collector"], tuesday["contacts_made"], tuesday["contacts_reached"]) == ("anna", 4, 4)
    assert (tuesday["promised_amount"], tuesday["broken_amount"], tuesday["kept_share"]) == (Decimal(200), Decimal(0), None)
    assert (later["broken_amount"], later["kept_share"]) == (Decimal(200), Decimal(0))
