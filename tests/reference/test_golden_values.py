"""What the reference itself must answer: the published worked examples, the bucket table, and the days on which rules meet.

A reference that is wrong proves nothing. The same values stand beside the models, as the cases of their YAML.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from .ledger import (
    Ledger,
    MissingRate,
    Weight,
    bucket_of,
    direction,
    months_before,
    paydex_equivalent,
    snapshot_dates,
    weighed,
)

MORNING = date(2025, 6, 30)
EUR = {
    "companies": [{"company_id": "E1", "name": "Entity", "currency": "EUR"}],
    "customers": [{"customer_id": "K1", "name": "K"}],
}


def invoice(invoice_id: str, amount: str, on: date, due: date | None = None, **more: Any) -> dict[str, Any]:
    return {
        "invoice_id": invoice_id,
        "invoice_number": invoice_id,
        "customer_id": "K1",
        "document_type": "invoice",
        "invoice_date": on,
        "due_date": due,
        "currency": "EUR",
        "amount": Decimal(amount),
    } | more


def payment(payment_id: str, amount: str, on: date, **more: Any) -> dict[str, Any]:
    return {
        "payment_id": payment_id,
        "customer_id": "K1",
        "payment_date": on,
        "currency": "EUR",
        "amount": Decimal(amount),
    } | more


def allocation(invoice_id: str, source_id: str | None, amount: str, on: date, **more: Any) -> dict[str, Any]:
    return {
        "allocation_id": f"{source_id}>{invoice_id}/{on}",
        "invoice_id": invoice_id,
        "source_type": "payment",
        "source_id": source_id,
        "allocated_on": on,
        "amount": Decimal(amount),
    } | more


def open_on(ledger: Ledger, day: date) -> dict[str, Decimal]:
    return {item.item_id: item.open_amount for item in ledger.items(day)}


# --- golden values ----------------------------------------------------------------------------------------------------


def test_days_beyond_terms_weigh_by_value_and_count_early_as_nought() -> None:
    paid = [Weight(Decimal(amount), days, 0) for amount, days in ((1000, -5), (5000, 10), (200, 90), (3000, 0))]

    figures = weighed(paid, [])

    assert round(float(figures["dbt_days_paid"]), 4) == 7.3913
    assert round(float(figures["days_late_signed"]), 4) == 6.8478
    assert figures["dbt_days"] == figures["dbt_days_paid"]
    assert figures["on_time_share"] == Fraction(4000, 9200)


@pytest.mark.parametrize(
    ("days", "score"), [(-25, 95), (-10, 85), (0, 80), (15, 70), (22, 60), (30, 50), (45, 45), (60, 40), (120, 20), (400, 20)]
)
def test_the_paydex_equivalent_follows_the_published_anchors(days: int, score: int) -> None:
    assert paydex_equivalent(Fraction(days)) == score


@pytest.mark.parametrize(
    ("days", "bucket"),
    [(0, "current"), (1, "1-30"), (30, "1-30"), (31, "31-60"), (60, "31-60"), (61, "61-90"), (90, "61-90"), (91, "90+"),
     (None, "no_due_date")],
)  # fmt: skip
def test_the_buckets_are_inclusive(days: int | None, bucket: str) -> None:
    assert bucket_of(days) == bucket


def test_every_number_of_days_has_a_bucket() -> None:
    assert {bucket_of(days) for days in range(-400, 4001)} == {"current", "1-30", "31-60", "61-90", "90+"}


def test_one_payment_over_two_invoices_is_counted_once() -> None:
    day = date(2025, 6, 1)
    ledger = Ledger(
        EUR
        | {
            "invoices": [invoice("I1", "300", day), invoice("I2", "200", day)],
            "payments": [payment("P1", "500", day)],
            "allocations": [allocation("I1", "P1", "300", day), allocation("I2", "P1", "200", day)],
        },
        MORNING,
    )

    assert ledger.months_beyond_terms()["K1", day]["paid_amount"] == 500
    assert open_on(ledger, MORNING) == {}
    assert ledger.balance("K1", MORNING) == {}


# --- the days on which rules meet -------------------------------------------------------------------------------------


def test_an_invoice_is_there_from_its_date_and_not_overdue_on_its_due_date() -> None:
    ledger = Ledger(EUR | {"invoices": [invoice("I1", "100", date(2025, 5, 1), MORNING)]}, MORNING)

    assert open_on(ledger, date(2025, 4, 30)) == {}
    assert ledger.open_items()["I1"]["aging_bucket"] == "current"
    assert ledger.aging(MORNING + timedelta(days=1))["E1", "K1", "EUR"]["d1_30"] == 100


def test_a_prepayment_stays_unapplied_cash_until_its_invoice_exists() -> None:
    ledger = Ledger(
        EUR
        | {
            "invoices": [invoice("I1", "100", date(2025, 6, 10), date(2025, 7, 10))],
            "payments": [payment("P1", "100", date(2025, 6, 1))],
            "allocations": [allocation("I1", "P1", "100", date(2025, 6, 1))],
        },
        MORNING,
    )

    assert open_on(ledger, date(2025, 6, 9)) == {"payment/P1": -100}
    assert open_on(ledger, date(2025, 6, 10)) == {}


@pytest.mark.parametrize("what", ["allocation", "payment"])
def test_what_is_taken_back_opens_the_invoice_again(what: str) -> None:
    bounced = {"reversed_on": date(2025, 6, 20)}
    ledger = Ledger(
        EUR
        | {
            "invoices": [invoice("I1", "100", date(2025, 5, 1))],
            "payments": [payment("P1", "100", date(2025, 6, 1), **(bounced if what == "payment" else {}))],
            "allocations": [allocation("I1", "P1", "100", date(2025, 6, 1), **(bounced if what == "allocation" else {}))],
        },
        MORNING,
    )

    assert open_on(ledger, date(2025, 6, 19)) == {}
    assert open_on(ledger, date(2025, 6, 20)) == {"I1": 100} | ({"payment/P1": -100} if what == "allocation" else {})


@pytest.mark.parametrize(("voided", "left"), [("invoice", {"CM": -100}), ("credit_memo", {"I1": 100})])
def test_a_void_frees_the_other_side(voided: str, left: dict[str, int]) -> None:
    void = {"voided_on": date(2025, 6, 20)}
    memo = invoice("CM", "100", date(2025, 5, 5), document_type="credit_memo", **(void if voided == "credit_memo" else {}))
    ledger = Ledger(
        EUR
        | {
            "invoices": [invoice("I1", "100", date(2025, 5, 1), **(void if voided == "invoice" else {})), memo],
            "allocations": [allocation("I1", "CM", "100", date(2025, 5, 10), source_type="credit_memo")],
        },
        MORNING,
    )

    assert open_on(ledger, date(2025, 6, 19)) == {}
    assert open_on(ledger, date(2025, 6, 20)) == left


def test_over_allocation_is_shown_and_not_clipped() -> None:
    ledger = Ledger(
        EUR
        | {
            "invoices": [invoice("I1", "100", date(2025, 5, 1), date(2025, 5, 31))],
            "allocations": [allocation("I1", None, "130", date(2025, 6, 1), source_type="write_off")],
        },
        MORNING,
    )

    assert open_on(ledger, MORNING) == {"I1": -30}
    assert ledger.past_due(MORNING) == {}


def test_instalments_fill_oldest_first_and_anew_on_every_day() -> None:
    parts = [(1, date(2025, 3, 1)), (2, date(2025, 4, 1)), (3, date(2025, 5, 1))]
    ledger = Ledger(
        EUR
        | {
            "invoices": [invoice("I1", "300", date(2025, 2, 1))],
            "instalments": [
                {"invoice_id": "I1", "instalment_number": number, "due_date": due, "amount": Decimal(100)}
                for number, due in parts
            ],
            "payments": [
                payment("P1", "100", date(2025, 2, 1), reversed_on=date(2025, 3, 10)),
                payment("P2", "150", date(2025, 3, 1)),
            ],
            "allocations": [
                allocation("I1", "P1", "100", date(2025, 2, 1)),
                allocation("I1", "P2", "150", date(2025, 3, 1)),
            ],
        },
        MORNING,
    )

    assert open_on(ledger, date(2025, 3, 9)) == {"I1/3": 50}
    assert open_on(ledger, date(2025, 3, 10)) == {"I1/2": 50, "I1/3": 100}


def test_a_due_date_comes_from_the_document_then_its_terms_then_its_customers() -> None:
    day = date(2025, 1, 1)
    ledger = Ledger(
        EUR
        | {
            "customers": [{"customer_id": "K1", "name": "K", "payment_terms": "N30"}],
            "payment_terms": [{"payment_terms": "N14", "net_days": 14}, {"payment_terms": "N30", "net_days": 30}],
            "invoices": [
                invoice("own", "1", day, date(2025, 1, 5), payment_terms="N14"),
                invoice("terms", "1", day, payment_terms="N14"),
                invoice("customer", "1", day),
                invoice("unknown", "1", day, payment_terms="ZZ"),
            ],
        },
        MORNING,
    )

    assert {item_id: row["due_date"] for item_id, row in ledger.open_items().items()} == {
        "own": date(2025, 1, 5),
        "terms": date(2025, 1, 15),
        "customer": date(2025, 1, 31),
        "unknown": None,
    }


def test_rates_are_the_latest_on_or_before_the_day_and_never_invented() -> None:
    quotes = [(date(2025, 6, 1), "0.9"), (date(2025, 6, 30), "0.93"), (date(2025, 7, 1), "2")]
    ledger = Ledger(
        EUR
        | {
            "invoices": [invoice("I1", "0.50", date(2025, 5, 1), currency="USD")],
            "exchange_rates": [
                {"rate_date": day, "currency": "USD", "base_currency": "EUR", "rate": Decimal(rate)} for day, rate in quotes
            ],
        },
        MORNING,
    )

    assert ledger.open_items()["I1"]["open_amount_base"] == Decimal("0.47")  # 0.465, half up
    assert ledger.converted(Decimal("-0.50"), "USD", "EUR", MORNING) == Decimal("-0.47")
    assert ledger.rate("EUR", "USD", date(2025, 6, 29)) == Decimal("1.1111111111")
    with pytest.raises(MissingRate, match="USD to EUR on 2025-05-31"):
        ledger.rate("USD", "EUR", date(2025, 5, 31))


def test_a_payment_the_source_has_allocated_nowhere_pays_the_invoices_it_names() -> None:
    ledger = Ledger(
        EUR
        | {
            "invoices": [
                invoice("INV-1001", "100", date(2025, 5, 1), date(2025, 5, 31)),
                invoice("INV-1002", "200", date(2025, 5, 1), date(2025, 6, 10)),
            ],
            "payments": [
                payment("P1", "100", date(2025, 6, 1), reference="inv-1001"),
                payment("P2", "250", date(2025, 6, 2), reference="INV-1001, INV-1002."),
                payment("P3", "80", date(2025, 6, 3), reference="INV-10020"),
            ],
        },
        MORNING,
    )

    assert open_on(ledger, MORNING) == {"payment/P2": -50, "payment/P3": -80}


# --- months -----------------------------------------------------------------------------------------------------------


def test_there_are_24_month_ends_and_the_morning() -> None:
    assert snapshot_dates(date(2024, 2, 29))[-3:] == [date(2023, 12, 31), date(2024, 1, 31), date(2024, 2, 29)]
    assert len(snapshot_dates(date(2024, 2, 29))) == 25
    assert snapshot_dates(date(2025, 1, 1))[0] == date(2023, 1, 31)
    assert months_before(date(2025, 1, 31), 3) == date(2024, 10, 1)


def test_who_stops_paying_does_not_look_better() -> None:
    paid, owed = [Weight(Decimal(100), 0, 30)], [Weight(Decimal(900), 40)]

    figures = weighed(paid, owed)

    assert (figures["dbt_days_paid"], figures["dbt_days_open"], figures["dbt_days"]) == (0, 40, 36)


def test_nothing_to_weigh_is_none_and_not_nought() -> None:
    figures = weighed([Weight(Decimal(100), None, 12)], [])

    assert figures["paid_amount"] == 100
    assert figures["days_to_pay"] == 12
    assert {figures[name] for name in ("dbt_days_paid", "dbt_days_open", "dbt_days", "on_time_share")} == {None}


@pytest.mark.parametrize(
    ("months", "slope", "deviation", "recent", "prior", "expected"),
    [
        (3, 5, 1.0, 20, 10, "insufficient_history"),
        (4, 1, 1.0, 13, 10, "rising"),
        (4, 1, 1.0, Fraction(129, 10), 10, "steady"),
        (6, -1, 1.0, 7, 10, "falling"),
        (6, 0, 10.0, 10, 10, "erratic"),
        (6, 2, 9.9, None, 10, "steady"),
    ],
)
def test_the_direction_needs_both_a_slope_and_a_change(
    months: int, slope: int, deviation: float, recent: Any, prior: Any, expected: str
) -> None:
    assert direction(months, Fraction(slope), deviation, recent, prior) == expected
