"""A company that lives from day to day: what happens in it, and when its ledger learns of it.

Belongs here: inventing invoices, cash, disputes, promises and people's fates by chance, and what an ERP would export on a morning.
Does not belong here: what the pipeline makes of it (`law.py` says what it must).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

Record = dict[str, Any]
KEYS = {
    "companies": "company_id",
    "customers": "customer_id",
    "contacts": "contact_id",
    "invoices": "invoice_id",
    "instalments": ("invoice_id", "instalment_number"),
    "payments": "payment_id",
    "allocations": "allocation_id",
    "disputes": "dispute_id",
    "promises": "promise_id",
    "activities": "activity_id",
}

COMPANIES = (
    {"company_id": "DE1", "name": "Werk", "currency": "EUR", "country": "DE", "timezone": "Europe/Berlin", "calendar": "DE"},
    {"company_id": "US1", "name": "Works", "currency": "EUR", "country": "US", "timezone": "America/Chicago", "calendar": "US"},
)
ZONES = {company["company_id"]: company["timezone"] for company in COMPANIES}
COUNTRIES = {"DE1": ("DE", "DE", "FR", "GB"), "US1": ("US", "US", "SA")}

HABITS = ((-4, 2), (4, 18), (4, 18), (15, 45), (15, 45), (50, 90))
"""Days after the due date at which a customer means to pay."""


@dataclass(frozen=True)
class Said:
    """One thing the ledger was told: the newest that was told of a key is what it believes."""

    told_on: date
    dataset: str
    record: Record


class World:
    """A company. `live(day)` makes a day happen in it; `known(day)` is the ledger that evening."""

    def __init__(self, seed: str, customers: int = 24):
        self.chance = Random(seed)
        self.said: list[Said] = []
        self.numbers: dict[str, int] = {}
        for company in COMPANIES:
            self.tell(date(2000, 1, 1), "companies", company)
        self.habits: dict[str, tuple[int, int]] = {}
        self.customers = [self._customer(place) for place in range(customers)]
        self.never_called = {customer["customer_id"] for customer in self.customers[3::4]}
        """Nobody but us ever contacts these: what we say first is the first they hear."""
        for customer in self.customers:
            self.tell(date(2000, 1, 1), "customers", customer)
            for role in ("accounts_payable", "senior"):
                if customer["email"] and self.one_in(2):
                    contact = {"contact_id": self.number("K"), "customer_id": customer["customer_id"], "role": role}
                    self.tell(date(2000, 1, 1), "contacts", {**contact, "name": "Sam Example", "email": "sam@buyer.example"})

    # --- what the ledger knows ---------------------------------------------------------------------------------------

    def tell(self, told_on: date, dataset: str, record: Mapping[str, Any]) -> None:
        self.said.append(Said(told_on, dataset, dict(record)))

    def known(self, day: date) -> dict[str, list[Record]]:
        """Every dataset as the ERP would export it on the evening of a day."""
        newest: dict[str, dict[Any, Record]] = {name: {} for name in KEYS}
        for said in sorted(self.said, key=lambda each: each.told_on):
            if said.told_on <= day:
                names = KEYS[said.dataset]
                key = tuple(said.record[name] for name in names) if isinstance(names, tuple) else said.record[names]
                newest[said.dataset][key] = said.record
        return {name: list(records.values()) for name, records in newest.items()}

    def changed(self, after: date, day: date) -> set[str]:
        """The datasets of which something was learned since a day."""
        return {said.dataset for said in self.said if after < said.told_on <= day}

    # --- what happens ------------------------------------------------------------------------------------------------

    def one_in(self, n: int) -> bool:
        return self.chance.randrange(n) == 0

    def number(self, kind: str) -> str:
        self.numbers[kind] = self.numbers.get(kind, 0) + 1
        return f"{kind}{self.numbers[kind]:04}"

    def _customer(self, place: int) -> Record:
        company = "DE1" if place % 3 else "US1"
        customer_id = f"C{place:02}" if place else "US1"  # the first is our own other entity
        self.habits[customer_id] = HABITS[place % len(HABITS)]
        return {
            "customer_id": customer_id,
            "name": f"Buyer {place}",
            "company_id": "DE1" if not place else company,
            "country": COUNTRIES[company][place % len(COUNTRIES[company])],
            "email": None if place == 5 else f"ap@buyer{place}.example",
            "status": "active",
            "do_not_dun": place == 7,
            "collector": "../../etc/Ben",
        }

    def live(self, day: date) -> None:
        """Let a day happen. What is told later is told already, with the day it is told."""
        for customer in self.customers:
            if day.weekday() < 5 and self.one_in(7):
                self._invoice(customer, day)
            if self.one_in(60) and customer["customer_id"] not in self.never_called:
                self._activity(customer, day)
        if self.one_in(9):
            self._fate(self.chance.choice(self.customers[1:]), day)

    def _invoice(self, customer: Record, day: date) -> None:
        invoice_id = self.number("I")
        amount = Decimal(self.chance.randint(500, 900_000)) / 100
        due = None if self.one_in(40) else day + timedelta(days=self.chance.choice((7, 14, 14, 30)))
        invoice = {
            "invoice_id": invoice_id,
            "invoice_number": f"N-{invoice_id}",
            "customer_id": customer["customer_id"],
            "document_type": "debit_memo" if self.one_in(25) else "invoice",
            "invoice_date": day,
            "due_date": due,
            "currency": "USD" if customer["country"] == "SA" and self.one_in(3) else "EUR",
            "amount": amount,
            "company_id": customer["company_id"],
        }
        told_on = day + timedelta(days=self.chance.choice((0, 0, 0, 1, 2)))
        self.tell(told_on, "invoices", invoice)
        if due and self.one_in(10):
            part = (amount / 3).quantize(Decimal("0.01"))
            for number, share in enumerate((part, part, amount - 2 * part), start=1):
                due_date = due + timedelta(days=14 * (number - 1))
                instalment = {"invoice_id": invoice_id, "instalment_number": number, "due_date": due_date, "amount": share}
                self.tell(told_on, "instalments", instalment)
        if self.one_in(40):
            self.tell(told_on + timedelta(days=9), "invoices", {**invoice, "voided_on": told_on + timedelta(days=9)})
            return
        self._cash(customer, invoice, due or day)
        if due:
            self._argue(customer, invoice, due)

    def _cash(self, customer: Record, invoice: Record, due: date) -> None:
        """The money for an invoice: all at once or in two parts, booked on the day or some days later, now and then on account."""
        paid_on = max(due + timedelta(days=self.chance.randint(*self.habits[customer["customer_id"]])), invoice["invoice_date"])
        parts = [(paid_on, invoice["amount"])]
        if self.one_in(6):
            half = (invoice["amount"] * Decimal("0.4")).quantize(Decimal("0.01"))
            parts = [(paid_on, half), (paid_on + timedelta(days=self.chance.randint(5, 25)), invoice["amount"] - half)]
        for day, amount in parts:
            self._pay(invoice, day, amount, self.chance.choice((0, 0, 1, 3)), on_account=self.one_in(9))

    def _pay(self, invoice: Record, day: date, amount: Decimal, delay: int, on_account: bool = False) -> None:
        told_on = max(day, invoice["invoice_date"] + timedelta(days=2)) + timedelta(days=delay)
        payment = {
            "payment_id": self.number("P"),
            "customer_id": invoice["customer_id"],
            "payment_date": day,
            "currency": invoice["currency"],
            "amount": amount,
            "company_id": invoice["company_id"],
        }
        self.tell(told_on, "payments", payment)
        allocation = {
            "allocation_id": self.number("A"),
            "invoice_id": invoice["invoice_id"],
            "source_type": "payment",
            "source_id": payment["payment_id"],
            "allocated_on": day,
            "amount": amount,
        }
        matched_on = told_on + timedelta(days=12 if on_account else 0)
        self.tell(matched_on, "allocations", {**allocation, "allocated_on": matched_on if on_account else day})
        if self.one_in(25):  # a cheque that bounces
            back = matched_on + timedelta(days=4)
            self.tell(back, "payments", {**payment, "reversed_on": back})
            self._pay(invoice, back + timedelta(days=10), amount, 0)

    def _argue(self, customer: Record, invoice: Record, due: date) -> None:
        if self.one_in(12):
            opened = due + timedelta(days=self.chance.randint(-3, 6))
            amount = None if self.one_in(2) else (invoice["amount"] / 2).quantize(Decimal("0.01"))
            dispute = {"dispute_id": self.number("D"), "invoice_id": invoice["invoice_id"], "opened_on": opened, "amount": amount}
            self.tell(max(opened, invoice["invoice_date"]), "disputes", dispute)
            resolved = opened + timedelta(days=self.chance.randint(4, 25))
            self.tell(resolved, "disputes", {**dispute, "resolved_on": resolved, "outcome": "upheld"})
        elif self.one_in(8):
            made = due + timedelta(days=self.chance.randint(1, 10))
            promise = {
                "promise_id": self.number("R"),
                "customer_id": customer["customer_id"],
                "made_on": made,
                "promised_date": made + timedelta(days=self.chance.randint(2, 12)),
                "amount": invoice["amount"],
                "invoice_id": invoice["invoice_id"],
            }
            self.tell(made, "promises", promise)

    def _activity(self, customer: Record, day: date) -> None:
        """A call at eight in the evening, where the entity is: in Chicago that is tomorrow, by UTC."""
        activity = {
            "activity_id": self.number("Y"),
            "customer_id": customer["customer_id"],
            "channel": "call",
            "outcome": "reached",
        }
        local = datetime.combine(day, time(20), ZoneInfo(ZONES[customer["company_id"]]))
        self.tell(day, "activities", {**activity, "occurred_at": f"{local.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})

    def _fate(self, customer: Record, day: date) -> None:
        """Somebody goes bankrupt, goes to the agency, comes back, must not be written to, or cannot be reached any more."""
        changes: Iterator[Record] = iter(
            (
                {"status": "insolvent"},
                {"status": "at_agency"},
                {"status": "active"},
                {"status": "on_hold"},
                {"do_not_dun": True},
                {"do_not_dun": False},
                {"email": None},
            )
        )
        customer.update(self.chance.choice(list(changes)))
        self.tell(day, "customers", customer)
