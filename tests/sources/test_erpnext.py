"""ERPNext's receivables through its connector, from a server that stands in for it: the marts are those of the same book in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dagster_project.sources import SourceError
from dagster_project.sources.erpnext import CONNECTOR
from tests.sources import one_book
from tests.sources.erpnext_stand_in import KEY, SECRET_OF_KEY, ErpNext
from tests.sources.nights import Desk, by_files, differences, pulled, secrets_in
from tests.sources.one_book import FIRST, SECOND
from tests.sources.stand_in import Reply, serving

TRAITS = frozenset({"entities", "instalments", "fixed"})


@pytest.fixture
def site() -> Iterator[ErpNext]:
    with serving(ErpNext(one_book.first(traits=TRAITS))) as stand_in:
        assert isinstance(stand_in, ErpNext)
        yield stand_in


@pytest.fixture
def desk(site: ErpNext, tmp_path: Path) -> Desk:
    own = {"url": site.url, "key": KEY, "secret": SECRET_OF_KEY, "discount_accounts": "Skonto"}
    return Desk(tmp_path, CONNECTOR, own, {"size": 4, "wait": 0})


def test_two_nights_are_equal_to_those_of_the_same_book_in_files(site: ErpNext, desk: Desk) -> None:
    desk.night(FIRST)
    assert differences(desk.marts(FIRST), by_files(1, TRAITS)) == []
    assert desk.left_out["invoices"] == {"drafts": 1, "invoices without a row in the payment ledger": 0}

    site.begin_night(one_book.second(traits=TRAITS))
    site.repeats, site.faults = {8}, {5: Reply(b"", 429, {"Retry-After": "0"}), 12: Reply(b'{"data": [{', 200)}
    desk.night(SECOND)

    assert differences(desk.marts(SECOND), by_files(2, TRAITS)) == []
    assert secrets_in(desk.folder, [SECRET_OF_KEY]) == []


def ledger(site: ErpNext, *rows: tuple[tuple[str, str], tuple[str, str], str, bool], **documents: list[dict[str, Any]]) -> None:
    """Further rows of the payment ledger, and the vouchers they are of."""
    records = site.records(site.book)
    document = {"company_id": "main", "customer_id": "nord", "currency": "EUR"}
    for voucher, against, amount, delinked in rows:
        site.row(voucher, against, document, "2025-06-15", Decimal(amount), {"updated_at": one_book.CHANGED}, delinked=delinked)
    for doctype, added in documents.items():
        records[doctype.replace("_", " ")] += added
    site.records = lambda book: records  # type: ignore[method-assign]


def test_journals_are_money_memos_or_what_brings_others_together(site: ErpNext, desk: Desk) -> None:
    bank, memo, raises = (("Journal Entry", name) for name in ("JV-BANK", "JV-CREDIT", "JV-DEBIT"))
    invoice = ("Sales Invoice", "INV-002")
    stamp = {"docstatus": 1, "company": "Wir Handel GmbH", "modified": "2025-06-15 08:00:00"}
    ledger(
        site,
        (bank, invoice, "-10", False),
        (bank, bank, "-5", False),
        (memo, invoice, "-7", False),
        (raises, raises, "12.50", False),
        Journal_Entry=[
            {"name": "JV-BANK", "voucher_type": "Bank Entry", **stamp},
            {"name": "JV-CREDIT", "voucher_type": "Journal Entry", **stamp},
            {"name": "JV-DEBIT", "voucher_type": "Journal Entry", **stamp},
        ],
    )

    memos = {
        row["invoice_number"]: (row["document_type"], row["amount"])
        for row in pulled(desk, "invoices")
        if "JV" in row["invoice_id"]
    }
    paid = {row["payment_id"]: row["amount"] for row in pulled(desk, "payments")}
    put = {(row["source_type"], row["amount"]) for row in pulled(desk, "allocations") if "JV" in (row["source_id"] or "")}

    assert memos == {"JV-CREDIT": ("credit_memo", "7.00"), "JV-DEBIT": ("debit_memo", "12.50")}
    assert paid["JV-BANK:payment:CUST-nord"] == "15.00"
    assert put == {("payment", "10.00"), ("credit_memo", "7.00")}


def test_a_payment_unlinked_from_an_invoice_ends_there_and_goes_on_as_money_on_account(site: ErpNext, desk: Desk) -> None:
    ledger(
        site,
        (("Payment Entry", "ACC-PAY-p07"), ("Sales Invoice", "INV-002"), "-20", True),
        (("Payment Entry", "ACC-PAY-p07"), ("Sales Invoice", "INV-002"), "20", True),
    )

    (ended,) = [row for row in pulled(desk, "allocations") if row["source_id"] == "ACC-PAY-p07"]

    assert (ended["amount"], ended["reversed_on"]) == ("20.00", "2025-07-01"), "the day where the site is"


def test_what_was_paid_at_the_till_is_a_payment_of_its_own(site: ErpNext, desk: Desk) -> None:
    ledger(site, (("Sales Invoice", "INV-002"), ("Sales Invoice", "INV-002"), "-50.50", False))

    (row,) = [row for row in pulled(desk, "invoices") if row["invoice_id"] == "INV-002"]
    (put,) = [row for row in pulled(desk, "allocations") if row["source_id"] == "till:INV-002"]

    assert (row["amount"], put["amount"]) == ("250.50", "50.50")


def test_only_one_company_is_read_where_one_is_named(desk: Desk, site: ErpNext, tmp_path: Path) -> None:
    alone = Desk(tmp_path / "kent", CONNECTOR, {**desk.own, "company": "We Trade Ltd"}, desk.opened)

    assert {row["company_id"] for row in pulled(alone, "invoices")} == {"We Trade Ltd"}
    assert [(row["name"], row["country"], row["timezone"]) for row in pulled(alone, "companies")] == [
        ("We Trade Ltd", "GB", "Europe/Berlin")
    ]
    with pytest.raises(SourceError, match="is not a company that the user sees: We Trade Ltd, Wir Handel GmbH"):
        pulled(Desk(tmp_path, CONNECTOR, {**desk.own, "company": "Wir"}, desk.opened), "companies")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (401, "check ARREARS_ERPNEXT_KEY and ARREARS_ERPNEXT_SECRET"),
        (403, "User has no permission for Customer.*role Accounts User"),
        (404, "no list came back: is ARREARS_ERPNEXT_URL a site of Frappe's"),
        (417, "Invalid field: industrie"),
    ],
)
def test_what_is_wrong_is_said(fault: int, says: str, site: ErpNext, desk: Desk) -> None:
    told = {401: site.refused(site.heard), 403: site.denied("Customer"), 404: Reply({}, 404)}  # type: ignore[arg-type]
    site.faults = {1: told.get(fault) or Reply({"exception": "frappe.exceptions.DataError: Invalid field: industrie"}, fault)}

    with pytest.raises(SourceError, match=says):
        pulled(desk, "customers")


def test_its_own_aged_report_is_read_by_customer_without_its_sums(site: ErpNext, desk: Desk) -> None:
    def report(*lines: Any) -> Reply:
        return Reply({"message": {"columns": [], "result": [*lines, ["Total", "", 3.5]]}})

    line = {"party": "nord", "voucher_no": "INV-002", "outstanding": 150.5, "currency": "EUR"}
    site.faults = {
        2: report({"party": "dover", "voucher_no": "KT-001", "outstanding": 200.0}),
        3: report(
            line, {**line, "voucher_no": "ACC-PAY-p07", "outstanding": -20.00000001}, {"party": "Total", "outstanding": 130.5}
        ),
    }
    assert CONNECTOR.aged is not None

    with ExitStack() as stack:
        source = desk.source(FIRST, stack)
        said = {(each.customer_id, each.currency, str(each.balance)) for each in CONNECTOR.aged(source, FIRST)}
        asked = json.loads(site.heard[1].json["filters"])
        site.faults = {len(site.heard) + 1: Reply({"message": {"prepared_report": True}})}
        with pytest.raises(SourceError, match="the report Accounts Receivable has no lines; it is prepared in the background"):
            list(CONNECTOR.aged(source, FIRST))

    assert {(customer, balance) for customer, _, balance in said} == {("dover", "200.00"), ("nord", "150.50"), ("nord", "-20.00")}
    assert (asked["report_date"], asked["ageing_based_on"]) == ("2025-06-30", "Due Date")
