"""One invented book of two entities, as datasets of the contract and as it stands a night later.

Belongs here: what is in the book. Does not belong here: how any system would write it (`*_stand_in.py`).

Keys are the book's own; what a system calls the same thing its stand-in knows. Every foreign document is dated on a day that has a rate
whose inverse is exact, so that a system that keeps the inverse says the same.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from typing import Any

FIRST, SECOND = date(2025, 6, 30), date(2025, 7, 1)
"""The two mornings."""
CHANGED = "2025-06-30T23:30:00Z"
"""When everything of the second night happened: on 1 July where the first entity is."""

Rows = list[dict[str, Any]]
Book = dict[str, Rows]

RATES = {  # of USD, those of June in GBP
    date(2025, 4, 1): "0.8",
    date(2025, 5, 6): "0.625",
    date(2025, 6, 10): "0.78125",
}


def _rows(names: str, *lines: str) -> Rows:
    columns = names.split()
    rows = []
    for line in lines:
        values = [value.strip() for value in line.split("|")]
        assert len(values) == len(columns), line
        rows.append({name: value or None for name, value in zip(columns, values, strict=True)})
    return rows


def first(*, traits: Collection[str] = ()) -> Book:
    """The book on the first night. `traits`: what a system can say that others cannot: `entities`, `instalments`; or how it keeps things:
    `lines`, where each use of a payment or credit memo is a line of its own, used from the day it was posted."""
    book: Book = {
        "companies": _rows(
            "company_id name currency country timezone",
            "main | Wir Handel GmbH | EUR | DE | Europe/Berlin",
            "kent | We Trade Ltd | GBP | GB | Europe/London",
        ),
        "customers": _rows(
            "customer_id company_id name currency email status updated_at",
            "nord | main | Nord Ltd | EUR | ap@nord.example | active | 2025-01-02T08:00:00Z",
            "sud | main | Süd & Söhne «S» GmbH | EUR | kreditoren@sued.example | active | 2025-01-02T08:00:00Z",
            "west | main | West Inc. | USD | ap@west.example | active | 2025-01-02T08:00:00Z",
            "ost | main | Ost sp. z o.o. | EUR | | closed | 2025-01-02T08:00:00Z",
            "alt | main | Alt Nord Ltd | EUR | | active | 2025-01-02T08:00:00Z",
            "dover | kent | Dover plc | GBP | ap@dover.example | active | 2025-01-02T08:00:00Z",
        ),
        "invoices": _rows(
            "invoice_id company_id invoice_number customer_id document_type invoice_date due_date currency amount tax_amount po_number "
            "open_amount_reported updated_at",
            "i01 | main | INV-001 | nord | invoice | 2025-03-03 | 2025-04-02 | EUR | 120.00 | 20.00 | PO 55 | 0.00 | 2025-04-08T08:00:00Z",
            "i02 | main | INV-002 | nord | invoice | 2025-03-10 | 2025-04-09 | EUR | 250.50 | 0.00 | | 150.50 | 2025-04-08T08:00:00Z",
            "i03 | main | INV-003 | sud | invoice | 2025-03-15 | 2025-04-14 | EUR | 99.99 | 0.00 | Zß/7 | 39.99 | 2025-06-02T08:00:00Z",
            "i04 | main | INV-004 | sud | invoice | 2025-04-02 | 2025-05-02 | EUR | 400.00 | 0.00 | | 0.00 | 2025-05-05T08:00:00Z",
            "i05 | main | INV-005 | west | invoice | 2025-04-01 | 2025-05-01 | USD | 1000.00 | 0.00 | | 400.00 | 2025-05-20T08:00:00Z",
            "i06 | main | INV-006 | west | invoice | 2025-05-06 | 2025-06-05 | USD | 333.33 | 0.00 | | 333.33 | 2025-05-06T08:00:00Z",
            "i07 | main | INV-007 | ost | invoice | 2025-02-10 | 2025-03-12 | EUR | 75.25 | 0.00 | | 75.25 | 2025-02-10T08:00:00Z",
            "i08 | main | INV-008 | nord | invoice | 2025-05-20 | 2025-06-19 | EUR | 180.00 | 30.00 | | 180.00 | 2025-05-20T08:00:00Z",
            "i09 | main | INV-009 | ost | invoice | 2025-01-15 | 2025-02-14 | EUR | 60.00 | 0.00 | | 0.00 | 2025-05-30T08:00:00Z",
            "i10 | main | INV-010 | nord | invoice | 2025-05-02 | 2025-06-01 | EUR | 200.00 | 0.00 | | 0.00 | 2025-05-12T08:00:00Z",
            "i12 | main | INV-012 | alt | invoice | 2025-06-10 | 2025-07-10 | EUR | 45.45 | 0.00 | | 45.45 | 2025-06-10T08:00:00Z",
            "c01 | main | CN-001 | sud | credit_memo | 2025-03-28 | | EUR | 30.00 | 0.00 | | 10.00 | 2025-04-01T08:00:00Z",
            "c02 | main | CN-002 | west | credit_memo | 2025-05-06 | | USD | 50.00 | 0.00 | | 0.00 | 2025-05-15T08:00:00Z",
            "k01 | kent | KT-001 | dover | invoice | 2025-04-10 | 2025-05-10 | GBP | 500.00 | 0.00 | | 200.00 | 2025-05-15T08:00:00Z",
            "k02 | kent | KT-002 | dover | invoice | 2025-06-10 | 2025-07-10 | USD | 64.00 | 0.00 | | 64.00 | 2025-06-10T08:00:00Z",
        ),
        "payments": _rows(
            "payment_id company_id customer_id payment_date currency amount reference updated_at",
            "p01 | main | nord | 2025-04-08 | EUR | 220.00 | Nord April | 2025-04-08T08:00:00Z",
            "p04 | main | sud | 2025-05-05 | EUR | 400.00 | Süd Mai | 2025-05-05T08:00:00Z",
            "p05 | main | west | 2025-05-20 | USD | 600.00 | West May | 2025-05-20T08:00:00Z",
            "p07 | main | nord | 2025-06-12 | EUR | 20.00 | Nord too much | 2025-06-12T08:00:00Z",
            "p08 | main | sud | 2025-05-26 | EUR | 90.00 | Süd voraus | 2025-06-02T08:00:00Z",
            "p10 | main | nord | 2025-05-12 | EUR | 196.00 | Nord Skonto | 2025-05-12T08:00:00Z",
            "k11 | kent | dover | 2025-05-15 | GBP | 300.00 | Dover part | 2025-05-15T08:00:00Z",
        ),
        "refunds": _rows(
            "refund_id company_id customer_id refunded_on currency amount source_type source_id updated_at",
            "r01 | main | west | 2025-05-15 | USD | 50.00 | credit_memo | c02 | 2025-05-15T08:00:00Z",
            "r02 | main | sud | 2025-06-02 | EUR | 25.00 | payment | p08 | 2025-06-02T08:00:00Z",
        ),
        "allocations": _rows(
            "allocation_id invoice_id source_type source_id allocated_on amount updated_at",
            "a01 | i01 | payment | p01 | 2025-04-08 | 120.00 | 2025-04-08T08:00:00Z",
            "a02 | i02 | payment | p01 | 2025-04-08 | 100.00 | 2025-04-08T08:00:00Z",
            "a03 | i03 | credit_memo | c01 | 2025-04-01 | 20.00 | 2025-04-01T08:00:00Z",
            "a08 | i03 | payment | p08 | 2025-05-26 | 40.00 | 2025-06-02T08:00:00Z",
            "a04 | i04 | payment | p04 | 2025-05-05 | 400.00 | 2025-05-05T08:00:00Z",
            "a05 | i05 | payment | p05 | 2025-05-20 | 600.00 | 2025-05-20T08:00:00Z",
            "a09 | i09 | write_off | | 2025-05-30 | 60.00 | 2025-05-30T08:00:00Z",
            "a10 | i10 | payment | p10 | 2025-05-12 | 196.00 | 2025-05-12T08:00:00Z",
            "a11 | i10 | discount | | 2025-05-12 | 4.00 | 2025-05-12T08:00:00Z",
            "a21 | k01 | payment | k11 | 2025-05-15 | 300.00 | 2025-05-15T08:00:00Z",
        ),
        "exchange_rates": [
            {"rate_date": day.isoformat(), "currency": "USD", "base_currency": "GBP" if day.month == 6 else "EUR", "rate": rate}
            for day, rate in RATES.items()
        ],
    }
    if "instalments" in traits:
        book["invoices"] += _rows(
            "invoice_id company_id invoice_number customer_id document_type invoice_date due_date currency amount tax_amount "
            "open_amount_reported updated_at",
            "i14 | main | INV-014 | nord | invoice | 2025-05-01 | 2025-07-31 | EUR | 300.00 | 0.00 | 200.00 | 2025-06-03T08:00:00Z",
        )
        book["instalments"] = _rows(
            "invoice_id instalment_number due_date amount",
            "i14 | 1 | 2025-05-31 | 100.00",
            "i14 | 2 | 2025-06-30 | 100.00",
            "i14 | 3 | 2025-07-31 | 100.00",
        )
        book["payments"] += _rows(
            "payment_id company_id customer_id payment_date currency amount reference updated_at",
            "p14 | main | nord | 2025-06-03 | EUR | 100.00 | Nord Rate 1 | 2025-06-03T08:00:00Z",
        )
        book["allocations"] += _rows(
            "allocation_id invoice_id source_type source_id allocated_on amount updated_at",
            "a14 | i14 | payment | p14 | 2025-06-03 | 100.00 | 2025-06-03T08:00:00Z",
        )
    if "lines" in traits:
        _in_lines(book)
    return book if "entities" in traits else _of(book, "main", "EUR")


def _in_lines(book: Book) -> None:
    """Each payment and credit memo that is used in several ways, or in part, as lines: the first keeps the key."""
    for dataset, kind, day in (("payments", "payment", "payment_date"), ("invoices", "credit_memo", "invoice_date")):
        for row in [row for row in book[dataset] if row.get("document_type", kind) == kind]:
            key, left = next(iter(row.values())), Decimal(row["amount"])
            uses = [use for name in ("allocations", "refunds") for use in book[name] if use["source_id"] == key]
            lines = []
            for use in uses:
                lines.append(Decimal(use["amount"]))
                use["source_id"] = key if len(lines) == 1 else f"{key}/{len(lines)}"
                if "allocated_on" in use and use["invoice_id"] == "i03":  # stays open, and so names what is open
                    use["allocated_on"] = row[day]
            if left > sum(lines):
                lines.append(left - sum(lines))
            for place, amount in enumerate(lines, 1):
                line = row if place == 1 else {**row, next(iter(row)): f"{key}/{place}"}
                if place > 1:
                    book[dataset].append(line)
                line["amount"] = str(amount)
                if dataset == "invoices":
                    line["open_amount_reported"] = "0.00" if place <= len(uses) else str(amount)


def second(*, traits: Collection[str] = ()) -> Book:
    """The book a night later: a payment undone, an application taken back, a void, a renumbered and two re-dated invoices, a customer
    merged into another, and new business. `unapplied`: the system keeps that and when an application was taken back. `fixed`: it has
    numbers and dates of what was posted stand as they are. `forgets`: an application that was taken back is not there any more."""
    book = copy.deepcopy(first(traits=traits))
    change = _changer(book)
    change("payments", "p04", reversed_on="2025-07-01")
    change("allocations", "a04", reversed_on="2025-07-01")
    change("invoices", "i04", open_amount_reported="400.00")
    change("invoices", "c01", open_amount_reported=by_key(book["invoices"])["c01"]["amount"])
    change("invoices", "i03", open_amount_reported="59.99")
    if "unapplied" in traits:
        change("allocations", "a03", reversed_on="2025-07-01")
    else:
        gone = ("a03", "a04") if "forgets" in traits else ("a03",)
        book["allocations"] = [row for row in book["allocations"] if row["allocation_id"] not in gone]
    change("invoices", "i08", voided_on="2025-07-01", open_amount_reported="0.00")
    if "fixed" not in traits:
        change("invoices", "i06", invoice_number="INV-006A", due_date="2025-08-15")
        change("invoices", "i02", invoice_date="2025-03-12")
    change("customers", "alt", status="closed")
    change("invoices", "i12", customer_id="nord")
    change("invoices", "i05", open_amount_reported="300.00")
    common = {"company_id": "main", "updated_at": CHANGED}
    book["invoices"].append(
        {
            "invoice_id": "i13", **common, "invoice_number": "INV-013", "customer_id": "nord", "document_type": "invoice",
            "invoice_date": "2025-07-01", "due_date": "2025-07-31", "currency": "EUR", "amount": "77.10", "tax_amount": "0.00",
            "open_amount_reported": "67.10",
        }
    )  # fmt: skip
    for payment, customer, currency, amount, invoice in (
        ("p13", "nord", "EUR", "10.00", "i13"),
        ("p15", "west", "USD", "100.00", "i05"),
    ):
        book["payments"].append(
            {"payment_id": payment, **common, "customer_id": customer, "payment_date": "2025-07-01", "currency": currency,
             "amount": amount, "reference": f"new {payment}"}
        )  # fmt: skip
        book["allocations"].append(
            {"allocation_id": f"a-{payment}", "invoice_id": invoice, "source_type": "payment", "source_id": payment,
             "allocated_on": "2025-07-01", "amount": amount, "updated_at": CHANGED}
        )  # fmt: skip
    return book


def _changer(book: Book) -> Any:
    def change(dataset: str, key: str, **values: str) -> None:
        (row,) = [row for row in book[dataset] if next(iter(row.values())) == key]
        row.update(values, updated_at=CHANGED)

    return change


def _of(book: Book, company: str, currency: str) -> Book:
    """What of a book is one entity's."""
    invoices = {row["invoice_id"] for row in book["invoices"] if row["company_id"] == company}
    return {
        name: [
            row
            for row in rows
            if row.get("company_id", company) == company
            and row.get("invoice_id", next(iter(invoices))) in invoices
            and row.get("base_currency", currency) == currency
        ]
        for name, rows in book.items()
    }


def by_key(rows: Rows) -> dict[str, dict[str, Any]]:
    """Rows by the first of their values, which is their key."""
    return {next(iter(row.values())): row for row in rows}


def total(rows: Rows, **where: str) -> Decimal:
    """The amounts of the rows that say so, added."""
    return sum((Decimal(row["amount"]) for row in rows if all(row.get(k) == v for k, v in where.items())), Decimal(0))
