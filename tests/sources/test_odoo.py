"""Odoo's receivables through their connector, from a server that stands in for it: the marts are those of the same book in files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dagster_project.sources import NotReachedError, SourceError
from dagster_project.sources.odoo import CONNECTOR
from tests.sources import one_book
from tests.sources.nights import Desk, by_files, differences, pulled, secrets_in
from tests.sources.odoo_stand_in import BAD_DEBT, BANK, DATABASE, INCOME, KEY, RECEIVABLE, USER, Odoo
from tests.sources.one_book import FIRST, SECOND
from tests.sources.stand_in import Reply, serving

TRAITS = frozenset({"entities", "instalments"})


@pytest.fixture
def odoo() -> Iterator[Odoo]:
    with serving(Odoo(one_book.first(traits=TRAITS))) as stand_in:
        assert isinstance(stand_in, Odoo)
        yield stand_in


@pytest.fixture
def desk(odoo: Odoo, tmp_path: Path) -> Desk:
    own = {"url": odoo.url, "key": KEY, "database": DATABASE, "discount_accounts": "SKO"}
    return Desk(tmp_path, CONNECTOR, own, {"size": 4, "wait": 0})


def test_two_nights_are_equal_to_those_of_the_same_book_in_files(odoo: Odoo, desk: Desk) -> None:
    desk.night(FIRST)
    assert differences(desk.marts(FIRST), by_files(1, TRAITS)) == []
    assert desk.left_out["customers"] == {"partners that are no customers": 3}
    assert desk.left_out["invoices"] == {"drafts": 1, "documents of suppliers": 1, "receivables without a customer": 0}
    assert desk.left_out["payments"] == {"payments that are not in the ledger yet": 1}

    odoo.begin_night(one_book.second(traits=TRAITS))
    odoo.stutters = True
    odoo.faults = {9: Reply(b"", 429, {"Retry-After": "0"}), 14: Reply(b"[{", 200)}
    desk.night(SECOND)

    assert differences(desk.marts(SECOND), by_files(2, TRAITS)) == []
    assert desk.manifests["allocations"].tombstones == 2, "what was put by a payment that is cancelled, and what was taken back"
    assert desk.manifests["invoices"].tombstones == 0
    assert not odoo.stutters
    ledger = [each.json["domain"] for each in odoo.heard if each.path.endswith("account.move/search_read")]
    assert ledger and all("write_date" in str(domain) or domain[0][:2] == ["id", "in"] for domain in ledger), "only what changed"
    assert secrets_in(desk.folder, [KEY]) == []


def entry(odoo: Odoo, key: str, receivable: str, other: int, **more: Any) -> dict[str, Any]:
    """One more entry of the second company: what it does to the receivable of the first customer, and its other account."""
    told = {**odoo.book["invoices"][0], "invoice_number": key, "updated_at": one_book.CHANGED}
    move = odoo.move(key, [2, "?"], "entry", told, "2025-06-15", **more)
    odoo.line(f"{key} other", move, other, -Decimal(receivable), told)
    return odoo.line(f"{key}/1", move, RECEIVABLE, Decimal(receivable), told)


def stays(odoo: Odoo) -> dict[str, list[dict[str, Any]]]:
    """The tables, which from now on are as a test has them."""
    tables = odoo.records(odoo.book)
    odoo.records = lambda book: tables  # type: ignore[method-assign]
    return tables


def test_entries_are_memos_money_or_what_they_settle_by_their_other_accounts(odoo: Odoo, desk: Desk) -> None:
    stays(odoo)
    for key, put, other in (("RAISE", "12.5", INCOME), ("LOWER", "-7", INCOME), ("CASH", "-5", BANK), ("OUT", "3", BANK)):
        entry(odoo, key, put, other)
    bad = entry(odoo, "BAD", "-9", BAD_DEBT)
    odoo.reconcile(odoo._owed["i02"], [bad], "6", {"allocation_id": "bad", "updated_at": one_book.CHANGED})
    nobody = entry(odoo, "NOBODY", "-4", INCOME)
    nobody["partner_id"] = False
    odoo.reconcile(odoo._owed["i02"], [nobody], "4", {"allocation_id": "nobody", "updated_at": one_book.CHANGED})

    memos = {row["invoice_number"]: (row["document_type"], row["amount"]) for row in pulled(desk, "invoices")}
    assert {key: memos.get(key) for key in ("RAISE", "LOWER", "BAD", "NOBODY")} == {
        "RAISE": ("debit_memo", "12.50"),
        "LOWER": ("credit_memo", "7.00"),
        "BAD": ("credit_memo", "3.00"),
        "NOBODY": None,
    }
    day = "2025-06-15"
    assert [row["amount"] for row in pulled(desk, "payments") if row["payment_date"] == day] == ["5.00"]
    assert [(row["amount"], row["source_type"]) for row in pulled(desk, "refunds") if row["refunded_on"] == day] == [
        ("3.00", None)
    ]
    put = {
        (row["source_type"], row["source_id"], row["amount"]) for row in pulled(desk, "allocations") if row["allocated_on"] == day
    }
    assert put == {("write_off", None, "6.00"), ("adjustment", None, "4.00")}


def test_a_payment_that_an_entry_reversed_is_reversed_on_that_day(odoo: Odoo, desk: Desk) -> None:
    stays(odoo)
    (money,) = odoo._owed["p07"]
    back = entry(odoo, "BOUNCED", "20", BANK, reversed_entry_id=money["move_id"])
    odoo.reconcile([back], [money], "20", {"allocation_id": "bounced", "updated_at": one_book.CHANGED})

    (bounced,) = [row for row in pulled(desk, "payments") if row["payment_id"] == f"aml:{money['id']}"]

    assert bounced["reversed_on"] == "2025-06-15"
    assert not [row for row in pulled(desk, "invoices") if row["invoice_number"] == "BOUNCED"]
    assert len(pulled(desk, "refunds")) == 2, "those of the book"


def test_what_was_deducted_is_taken_off_the_first_applications_and_a_foreign_one_has_both_amounts(odoo: Odoo, desk: Desk) -> None:
    tables = stays(odoo)
    partials = {each["id"]: each for each in tables["account.partial.reconcile"]}
    (granted,) = odoo._owed["p10"]
    partials[odoo.id("partial a05")]["credit_amount_currency"] = 480.0
    next(line for line in odoo._lines if line["id"] == odoo._owed["p05"][0]["id"])["currency_id"] = [125, "EUR"]

    rows = pulled(desk, "allocations")

    mine = {
        row["allocation_id"]: (row["source_type"], row["amount"]) for row in rows if row["source_id"] == f"aml:{granted['id']}"
    }
    id_ = str(odoo.id("partial a10"))
    assert mine == {id_: ("payment", "196.00")}
    assert ("discount", "4.00") in {
        (row["source_type"], row["amount"]) for row in rows if row["allocation_id"] == f"{id_}:discount"
    }
    (foreign,) = [row for row in rows if row["allocation_id"] == str(odoo.id("partial a05"))]
    assert (foreign["amount"], foreign["source_amount"]) == ("600.00", "480.00")
    (part,) = [row for row in rows if row["instalment_number"] == "1"]
    assert part["amount"] == "100.00", "what was put against a line is put against its part"


def test_records_say_what_odoo_says(odoo: Odoo, desk: Desk) -> None:
    invoice = next(row for row in pulled(desk, "invoices") if row["invoice_number"] == "INV-003")
    assert (invoice["po_number"], invoice["payment_terms"], invoice["open_amount_reported"]) == ("Zß/7", "30 days", "39.99")
    sud = next(row for row in pulled(desk, "customers") if row["name"].startswith("Süd"))
    assert (sud["credit_limit"], sud["payment_terms"], sud["language"]) == ("5000.0", "30 days", "de")
    contact = [(row["customer_id"], row["role"], row["email"]) for row in pulled(desk, "contacts")]
    assert contact == [(sud["customer_id"], "accounts_payable", "rechnung@sued.example")]
    terms = [
        (row["payment_terms"], row["net_days"], row["discount_pct"], row["discount_days"])
        for row in pulled(desk, "payment_terms")
    ]
    assert terms == [("30 days", "30", "2.0", "10")], "what falls due in parts is no term"
    paid = next(row for row in pulled(desk, "payments") if row["reference"] == "Süd Mai")
    assert paid["customer_id"] == sud["customer_id"], "a contact pays for the customer it belongs to"


def test_an_older_version_says_the_same_over_json_rpc(odoo: Odoo, desk: Desk, tmp_path: Path) -> None:
    new = {name: pulled(desk, name) for name in ("invoices", "payments", "allocations", "refunds")}
    tables = stays(odoo)
    for account in tables["account.account"]:
        kind = account.pop("account_type")
        account["internal_type"] = {"asset_receivable": "receivable", "asset_cash": "liquidity"}.get(kind, "other")
        account["internal_group"] = kind if kind in ("income", "expense") else "asset"
    for line in tables["account.payment.term.line"]:
        del line["nb_days"], line["delay_type"]
        line |= {"days": 14, "option": "after_invoice_month"}
    old = Desk(tmp_path / "old", CONNECTOR, {**desk.own, "user": USER}, desk.opened)

    assert {name: pulled(old, name) for name in new} == new
    assert [(row["net_days"], row["from_month_end"]) for row in pulled(old, "payment_terms")] == [("14", "true")]
    with ExitStack() as stack:
        assert len(list(old.source(FIRST, stack).aged(FIRST))) == 6  # type: ignore[attr-defined]


def test_what_is_left_by_customer_is_what_the_book_owes(odoo: Odoo, desk: Desk) -> None:
    names = {row["customer_id"]: row["name"] for row in pulled(desk, "customers")}
    assert CONNECTOR.aged is not None and CONNECTOR.companies is not None and CONNECTOR.rights is not None
    with ExitStack() as stack:
        source = desk.source(FIRST, stack)
        owed = {(names[each.customer_id], each.currency): str(each.balance) for each in CONNECTOR.aged(source, FIRST)}
        assert [company.name for company in CONNECTOR.companies(source)] == ["We Trade Ltd", "Wir Handel GmbH"]
        assert {right.lacks for right in CONNECTOR.rights(source)} == {""}

        odoo.hidden = {"account.partial.reconcile"}
        (lacking,) = [right for right in CONNECTOR.rights(source) if right.lacks]
        assert "You are not allowed to access" in lacking.lacks and "Accounting / Read-only" in lacking.lacks
    assert owed["Nord Ltd", "EUR"] == "510.50"
    assert owed["Süd & Söhne «S» GmbH", "EUR"] == "4.99"
    assert owed["Dover plc", "GBP"] == "251.20", "a foreign one in the company's currency"


@pytest.mark.parametrize(
    ("own", "fault", "says"),
    [
        ({"key": "wrong"}, None, r"Invalid apikey.*check ARREARS_ODOO_KEY"),
        ({"key": "wrong", "user": USER}, None, r"not taken in the database 'wir'\. Check ARREARS_ODOO_KEY"),
        ({"company": "We"}, None, r"'We' is not a company that the user sees: 1 We Trade Ltd, 2 Wir Handel GmbH"),
        ({}, Reply(b"<html>Not found</html>", 404), "JSON-2 came with Odoo 19: for an older one set ARREARS_ODOO_USER"),
        ({"user": USER}, Reply({"error": {"data": {"name": "psycopg2.OperationalError", "message": 'database "wir" does not exist'}}}),
         'database "wir" does not exist.*ARREARS_ODOO_DATABASE'),
        ({}, Reply({"name": "builtins.ValueError", "message": f"Invalid field x for {KEY}"}, 422), r"Invalid field x for \*\*\*"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    own: dict[str, str], fault: Reply | None, says: str, odoo: Odoo, desk: Desk, tmp_path: Path
) -> None:
    odoo.faults = {1: fault} if fault else {}
    other = Desk(tmp_path, CONNECTOR, {**desk.own, **own}, desk.opened)

    with pytest.raises(SourceError, match=says) as refused:
        pulled(other, "customers" if not own.get("company") else "companies")
    assert isinstance(refused.value, NotReachedError) or own.get("company") or (fault and fault.status == 422)


def test_only_one_company_is_read_where_one_is_named_and_a_key_revoked_in_the_middle_ends_it(
    odoo: Odoo, desk: Desk, tmp_path: Path
) -> None:
    alone = Desk(tmp_path / "kent", CONNECTOR, {**desk.own, "company": "We Trade Ltd"}, desk.opened)
    assert {row["company_id"] for row in pulled(alone, "invoices")} == {"1"}
    assert [(row["name"], row["country"], row["timezone"]) for row in pulled(alone, "companies")] == [
        ("We Trade Ltd", "GB", "Europe/London")
    ]

    odoo.begin_night()
    odoo.faults = {4: odoo.refused(odoo.heard)}  # type: ignore[arg-type]
    with pytest.raises(NotReachedError, match="an API key ends after three months at most"):
        pulled(alone, "invoices")
