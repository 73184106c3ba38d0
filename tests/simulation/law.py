"""What must be true of every morning, worked out from the ledger alone: slow, obvious, sharing nothing with the SQL.

Belongs here: balances, days off, what is dunnable and what nobody may be asked for. Does not belong here: what happens
(`world.py`) and running the mornings (`test_six_weeks.py`).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import holidays

from dagster_project.paths import DBT_PROJECT

from .collector import Answer

Record = Mapping[str, Any]


def policy(seed: str, pack: str = "net_terms") -> list[dict[str, str]]:
    with (DBT_PROJECT / "seeds" / "policy" / f"{seed}.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row.get("policy", "*") in ("*", pack)]


PARAMETERS = {row["parameter"]: row["value"] for row in policy("dunning_policy")}
STEPS = {row["step"]: row for row in policy("dunning_steps")}
FIRST_CONTACTS = sorted(policy("first_contact_steps"), key=lambda row: int(row["more_than_days_late"]))


@cache
def is_holiday(calendar: str, day: date) -> bool:
    listed = holidays.country_holidays(calendar, years=day.year)
    return day.weekday() in listed.weekend or day in listed


@dataclass(frozen=True)
class Item:
    item_id: str
    invoice: Record
    due_date: date | None
    open_amount: Decimal


class Ledger:
    """A book as one morning knows it."""

    def __init__(self, book: Mapping[str, Sequence[Record]], as_of: date):
        self.book = book
        self.as_of = as_of
        self.customers = {row["customer_id"]: row for row in book["customers"]}
        self.companies = {row["company_id"]: row for row in book["companies"]}
        self.payments = {row["payment_id"]: row for row in book["payments"]}
        self.allocations: dict[str, list[Record]] = defaultdict(list)
        for row in book["allocations"]:
            self.allocations[row["invoice_id"]].append(row)

    @cached_property
    def items(self) -> dict[str, Item]:
        """Every open invoice and debit memo; one with instalments is an item for each, the oldest filled first."""
        found = {}
        for invoice in self.book["invoices"]:
            gone = invoice.get("voided_on") and invoice["voided_on"] <= self.as_of
            if invoice["invoice_date"] > self.as_of or gone:
                continue
            paid = sum(
                (row["amount"] for row in self.allocations[invoice["invoice_id"]] if self._counts(row, invoice)), Decimal(0)
            )
            parts = sorted(
                (row for row in self.book["instalments"] if row["invoice_id"] == invoice["invoice_id"]),
                key=lambda row: row["instalment_number"],
            )
            if not parts:
                found[invoice["invoice_id"]] = Item(invoice["invoice_id"], invoice, invoice["due_date"], invoice["amount"] - paid)
            for part in parts:
                filled = min(paid, part["amount"])
                paid -= filled
                item_id = f"{invoice['invoice_id']}/{part['instalment_number']}"
                found[item_id] = Item(item_id, invoice, part["due_date"], part["amount"] - filled)
        return {item_id: item for item_id, item in found.items() if item.open_amount > 0}

    def _counts(self, allocation: Record, invoice: Record) -> bool:
        payment = self.payments[allocation["source_id"]]
        bounced = payment.get("reversed_on") and payment["reversed_on"] <= self.as_of
        in_time = max(allocation["allocated_on"], payment["payment_date"], invoice["invoice_date"]) <= self.as_of
        return in_time and not bounced

    def is_open(self, invoice: Record, day: date) -> bool:
        """Whether somebody here works on a day and somebody there may be written to."""
        customer = self.customers[invoice["customer_id"]]
        calendars = {self.companies[invoice["company_id"]]["calendar"], customer["country"]}
        return not any(is_holiday(calendar, day) for calendar in calendars) and not is_quiet(day)

    def day_of(self, activity: Record) -> date:
        """The day a customer was called, where the entity is that it buys from."""
        company = self.companies[self.customers[activity["customer_id"]]["company_id"]]
        return datetime.fromisoformat(activity["occurred_at"]).astimezone(ZoneInfo(company["timezone"])).date()

    def dunnable(self) -> set[str]:
        """What is past due, what a step's day has come for, and what somebody must find a due date for."""
        items = self.items.values()
        return {each.item_id for each in items if not each.due_date or self._is_past_due(each) or self._a_step_has_come(each)}

    def _is_past_due(self, item: Item) -> bool:
        return item.due_date is not None and item.due_date < self.as_of

    def _a_step_has_come(self, item: Item) -> bool:
        for step in STEPS.values():
            anchor = item.invoice["invoice_date"] if step["anchor"] == "invoice_date" else item.due_date
            if anchor:
                day = anchor + timedelta(days=int(step["offset_days"]))
                while not self.is_open(item.invoice, day):
                    day += timedelta(days=1)
                if day <= self.as_of:
                    return True
        return False

    def untouchable(self) -> dict[str, str]:
        """Items nobody may be asked for, each with the reason, whatever the list says."""
        found = {}
        for item in self.items.values():
            customer = self.customers[item.invoice["customer_id"]]
            if customer["status"] in ("insolvent", "at_agency"):
                found[item.item_id] = customer["status"]
            elif customer["do_not_dun"]:
                found[item.item_id] = "do not dun"
            elif customer["customer_id"] in self.companies:
                found[item.item_id] = "one of our own entities"
            elif item.due_date is None:
                found[item.item_id] = "no due date"
            elif self._disputed(item) or self._promised(item.invoice["invoice_id"]):
                found[item.item_id] = "disputed or promised"
            elif not self.is_open(item.invoice, self.as_of):
                found[item.item_id] = "a day off"
        return found

    def firmest_first_contact(self, customer_id: str) -> int | None:
        """The severity of the firmest step that a customer may be sent first, by the oldest thing it owes; none where nothing is late."""
        owed = [item for item in self.items.values() if item.invoice["customer_id"] == customer_id and item.due_date]
        late = max((self.as_of - item.due_date).days for item in owed if item.due_date)
        steps = [row["step"] for row in FIRST_CONTACTS if late > int(row["more_than_days_late"])]
        return int(STEPS[steps[-1]]["severity"]) if steps else None

    def _disputed(self, item: Item) -> bool:
        """Contested in full."""
        return any(
            row["invoice_id"] == item.invoice["invoice_id"] and row["amount"] is None and row["opened_on"] <= self.as_of
            for row in self.book["disputes"]
            if not (row.get("resolved_on") and row["resolved_on"] <= self.as_of)
        )

    def _promised(self, invoice_id: str) -> bool:
        """Promised for a day that has not passed."""
        promises = (row for row in self.book["promises"] if row["invoice_id"] == invoice_id)
        return any(row["made_on"] <= self.as_of <= row["promised_date"] and not self._kept(row) for row in promises)

    def _kept(self, promise: Record) -> bool:
        """Whether what was promised has come in since: what is asked for then was not promised."""
        paid = sum(
            row["amount"]
            for row in self.book["allocations"]
            if row["invoice_id"] == promise["invoice_id"]
            and promise["made_on"] <= self.payments[row["source_id"]]["payment_date"] <= self.as_of
        )
        return bool(paid >= promise["amount"])

    def must_wait_for(self, answer: Answer, item_id: str) -> bool:
        """Whether what a customer told a collector still keeps an item off the list: promised in full and nothing paid since (nor
        anything come up that is older: a promise goes to the oldest first), or contested for less than the days policy gives the
        ledger to take it up."""
        if answer.day >= self.as_of:
            return False
        if answer.promised_date:
            paid = any(
                row["customer_id"] == answer.customer_id and row["payment_date"] >= answer.day for row in self.book["payments"]
            )
            owed = [item for item in self.items.values() if item.invoice["customer_id"] == answer.customer_id]
            still_covers = sum(item.open_amount for item in owed if item.invoice["invoice_date"] <= answer.day) <= answer.amount
            return self.as_of <= answer.promised_date and not paid and still_covers
        known = any(row["invoice_id"] == item_id.partition("/")[0] for row in self.book["disputes"])
        days = int(PARAMETERS["workbook_dispute_days"])
        return answer.outcome == "Disputes it" and not known and (self.as_of - answer.day).days < days


def is_quiet(day: date) -> bool:
    """Whether policy leaves everybody alone on a day, every year (month and day; a stretch may run over the year's end)."""
    today = day.isoformat()[5:]
    for row in policy("dunning_quiet_days"):
        first, last = row["first_day"], row["last_day"]
        if first <= today <= last if first <= last else today >= first or today <= last:
            return True
    return False


def spacing_faults(contacts: Iterable[tuple[str, date]], least: int) -> list[tuple[str, date, date]]:
    """Pairs of contacts of one customer that follow each other too soon."""
    by_customer: dict[str, list[date]] = {}
    for customer, day in sorted(set(contacts)):
        by_customer.setdefault(customer, []).append(day)
    return [
        (customer, before, after)
        for customer, days in by_customer.items()
        for before, after in pairwise(days)
        if (after - before).days < least
    ]
