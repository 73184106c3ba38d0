"""Stripe's invoices and payments through its connector, from a server that stands in for it: what is open of each is what Stripe says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from dagster_project.sources import Opening, SourceError
from dagster_project.sources.stripe import CONNECTOR
from tests.sources.nights import Desk, pulled, secrets_in
from tests.sources.one_book import FIRST, SECOND
from tests.sources.stand_in import Reply, serving
from tests.sources.stripe_stand_in import KEY, Stripe, at, invoice, note, payment


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    """Part payments, a payment of two invoices, a credit before and one after payment, a balance used, and what is no receivable."""
    with serving(Stripe()) as stand_in:
        assert isinstance(stand_in, Stripe)
        stand_in.lists["customers"] = [
            {"id": "cus_nord", "name": "Nord Ltd", "email": "ap@nord.example", "created": at("2025-01-02"), "livemode": True,
             "address": {"country": "DE"}, "currency": "eur", "tax_ids": {"data": [{"value": "DE1"}]}, "preferred_locales": ["de"]},
        ]  # fmt: skip
        stand_in.lists["invoices"] = [
            invoice("1", "2025-06-01", 11900, 5000),
            invoice("2", "2025-06-02", 20000, 20000),
            invoice("3", "2025-06-03", 10000, 0, due=7000, pre_payment_credit_notes_amount=3000),
            invoice("4", "2025-06-04", 10000, 9500, due=9500),
            invoice("5", "2025-06-05", 1500, 0, currency="jpy"),
            invoice("6", "2025-06-06", 12345, 0, currency="kwd"),
            invoice("7", "2025-06-07", 8000, 8000, customer="cus_gone", customer_name="Fort AG"),
            invoice("8", "2025-06-08", 6000, 0),
            {**invoice("draft", "2025-06-08", 6000), "status": "draft", "number": None},
            {**invoice("below", "2025-06-08", -6000), "status": "paid"},
            {**invoice("card", "2025-06-08", 6000), "collection_method": "charge_automatically"},
        ]
        stand_in.lists["invoice_payments"] = [
            payment("1", "1", "2025-06-10", 5000, "pi_both"),
            payment("2", "2", "2025-06-10", 15000, "pi_both"),
            payment("3", "2", "2025-06-12", 5000, "pi_rest"),
            payment("4", "4", "2025-06-20", 9500, "pi_four"),
            payment("5", "card", "2025-06-20", 6000, "pi_card"),
        ]
        stand_in.lists["credit_notes"] = [
            note("before", "3", "2025-06-15", 3000),
            note("after", "4", "2025-06-25", 0, post_payment_amount=2500, out_of_band_amount=500,
                 refunds=[{"refund": "re_after", "amount_refunded": 1000}]),
        ]  # fmt: skip
        common = {"object": "refund", "livemode": True, "currency": "eur", "status": "succeeded"}
        stand_in.lists["refunds"] = [
            {**common, "id": "re_after", "amount": 1000, "payment_intent": "pi_four", "created": at("2025-06-25")},
            {**common, "id": "re_other", "amount": 1000, "payment_intent": "pi_shop", "created": at("2025-06-25")},
            {**common, "id": "re_failed", "amount": 700, "payment_intent": "pi_four", "created": at("2025-06-26"), "status": "failed"},
        ]  # fmt: skip
        yield stand_in


@pytest.fixture
def desk(stripe: Stripe, tmp_path: Path) -> Desk:
    return Desk(tmp_path, CONNECTOR, {"key": KEY, "url": f"{stripe.url}/v1"}, {"size": 3, "wait": 0})


def left(desk: Desk) -> tuple[dict[str, str], dict[str, str]]:
    """What is open of each document (credits negative) and left of each payment, by what landed."""
    used: dict[str, Decimal] = defaultdict(Decimal)
    for edge in desk.rows("allocations"):
        if not edge["reversed_on"]:
            used[edge["invoice_id"]] += edge["amount"]
            used[str(edge["source_id"])] += edge["amount"]
    for refund in desk.rows("refunds"):
        used[str(refund["source_id"])] += refund["amount"]
    documents = {}
    for row in desk.rows("invoices"):
        open_ = Decimal(0) if row["voided_on"] else row["amount"] - used[row["invoice_id"]]
        documents[row["invoice_id"]] = f"{open_.normalize():f}"
        assert row["open_amount_reported"] is None or row["open_amount_reported"] == open_, row["invoice_id"]
    payments = {
        row["payment_id"]: f"{Decimal(0) if row['reversed_on'] else (row['amount'] - used[row['payment_id']]).normalize():f}"
        for row in desk.rows("payments")
    }
    return documents, payments


def test_two_nights_are_as_open_as_stripe_says(stripe: Stripe, desk: Desk) -> None:
    stripe.repeats, stripe.faults = (
        {4},
        {6: stripe.fault("Too many requests", 429), 8: Reply(b'{"object": "list", "data": [', 200)},
    )
    desk.night(FIRST)

    documents, payments = left(desk)
    assert documents == {
        "in_1": "69", "in_2": "0", "in_3": "70", "in_4": "0", "in_5": "1500", "in_6": "12.345", "in_7": "0", "in_8": "60", "cn_before": "0",
        "cn_after": "0",
    }  # fmt: skip
    assert payments == {"pi_both": "0", "pi_rest": "0", "pi_four": "0", "outside:in_7": "0"}
    assert desk.left_out["invoices"] == {
        "drafts": 1,
        "invoices below zero, which go to the customer's balance": 1,
        "credit notes' parts that went to the customer's balance": 1,
    }
    assert desk.left_out["refunds"] == {"refunds of other payments": 1, "refunds that failed": 1}
    assert secrets_in(desk.folder, [KEY]) == []

    invoices = {each["id"]: each for each in stripe.lists["invoices"]}
    invoices["in_1"].update(status="uncollectible")
    invoices["in_1"]["status_transitions"]["marked_uncollectible_at"] = at("2025-07-01", 23)
    invoices["in_8"].update(status="void")
    invoices["in_8"]["status_transitions"]["voided_at"] = at("2025-07-01", 0)
    invoices["in_3"].update(amount_due=10000, amount_remaining=10000, pre_payment_credit_notes_amount=0)
    stripe.lists["credit_notes"][0].update(status="void", voided_at=at("2025-07-01", 9))
    dispute = {"id": "dp_1", "status": "lost", "amount": 5000, "currency": "eur", "payment_intent": "pi_rest", "created": at("2025-06-30"),
               "livemode": True, "balance_transactions": [{"created": at("2025-07-01", 8)}]}  # fmt: skip
    stripe.lists["disputes"] = [dispute, {**dispute, "id": "dp_2", "amount": 1000, "payment_intent": "pi_four"}]
    stripe.lists["invoices"].append(invoice("9", "2025-07-01", 4200))
    stripe.begin_night()
    desk.night(SECOND)

    documents, payments = left(desk)
    assert documents == {
        "in_1": "0", "in_2": "50", "in_3": "100", "in_4": "0", "in_5": "1500", "in_6": "12.345", "in_7": "0", "in_8": "0", "in_9": "42",
        "cn_before": "0", "cn_after": "0",
    }  # fmt: skip
    assert payments["pi_rest"] == "0" and payments["pi_four"] == "-10", (
        "charged back in part: paid back, beyond what is left of it"
    )
    undone = {row["payment_id"]: row["reversed_on"] for row in desk.rows("payments") if row["reversed_on"]}
    assert undone == {"pi_rest": date(2025, 7, 1)}
    (written_off,) = [row for row in desk.rows("allocations") if row["source_type"] == "write_off"]
    assert (written_off["amount"], written_off["allocated_on"]) == (Decimal("69"), date(2025, 7, 1)), "the day in Berlin"


def test_records_say_what_stripe_says(stripe: Stripe, desk: Desk) -> None:
    (company,) = pulled(desk, "companies")
    assert (company["company_id"], company["name"], company["currency"], company["timezone"]) == (
        "acct_1", "Wir Handel GmbH", "EUR", "Europe/Berlin",
    )  # fmt: skip
    row = next(row for row in pulled(desk, "invoices") if row["invoice_id"] == "in_1")
    assert (row["invoice_number"], row["invoice_date"], row["due_date"]) == ("RE-1", "2025-06-01", "2025-07-15"), (
        "half past eleven in Berlin"
    )
    assert (row["amount"], row["tax_amount"], row["po_number"], row["currency"]) == ("119.00", "1.19", "PO 1", "EUR")
    customers = {
        row["customer_id"]: (row["name"], row["status"], row["registration_number"]) for row in pulled(desk, "customers")
    }
    assert customers == {"cus_nord": ("Nord Ltd", "active", "DE1"), "cus_gone": ("Fort AG", "closed", None)}
    put = {row["allocation_id"]: (row["source_type"], row["amount"]) for row in pulled(desk, "allocations")}
    assert put["in_4:balance"] == ("adjustment", "5.00")


def test_the_test_mode_is_refused_in_production_alone(stripe: Stripe, desk: Desk, tmp_path: Path) -> None:
    for each in stripe.lists["customers"]:
        each["livemode"] = False
    assert pulled(desk, "customers")

    with ExitStack() as stack:
        opening = Opening(FIRST, tmp_path, stack, production=True)
        source = CONNECTOR.opened(CONNECTOR.settings(**desk.own), opening)
        with pytest.raises(SourceError, match=r"customers: objects of the test mode came; in production they are refused"):
            list(source._all("customers"))  # type: ignore[attr-defined]
        with pytest.raises(SourceError, match="ARREARS_STRIPE_KEY is a key of the test mode"):
            CONNECTOR.opened(CONNECTOR.settings(key="rk_test_1", url=stripe.url), opening)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (401, r"check ARREARS_STRIPE_KEY"),
        (403, "does not let us read this"),
        (404, "no list came back: is ARREARS_STRIPE_URL right|there is nothing of Stripe's"),
    ],
)
def test_what_is_wrong_is_said(fault: int, says: str, stripe: Stripe, desk: Desk) -> None:
    stripe.faults = {1: stripe.fault("The provided key 'rk_live_****4a6e' does not have the required permissions", fault)}

    with pytest.raises(SourceError, match=says):
        pulled(desk, "customers")


def test_companies_and_rights_are_told(stripe: Stripe, desk: Desk) -> None:
    with ExitStack() as stack:
        source = desk.source(FIRST, stack)
        assert CONNECTOR.companies is not None and CONNECTOR.rights is not None
        assert [(company.key, company.name) for company in CONNECTOR.companies(source)] == [("acct_1", "Wir Handel GmbH")]
        stripe.faults = {len(stripe.heard) + 2: stripe.fault("missing rak_invoice_read", 403)}
        lacking = {right.name: right.lacks for right in CONNECTOR.rights(source) if right.lacks}
        assert list(lacking) == ["invoices"] and "rak_invoice_read" in lacking["invoices"]
