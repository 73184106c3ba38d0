"""What becomes of the invoices of one customer and one month: paid, short-paid, disputed, bounced, written off, in the end settled.

Belongs here: the closed story of such a group, from its first document to its last posting, at most a year later. Nothing in it
depends on the run's date, and nothing crosses to another group; a morning's book is a set of stories cut off at a day. Does not
belong here: cutting, numbering, or how a record looks (`book.py`).

Money is in integer cents, days are ordinals. A *batch* is the smallest part that settles by itself: the documents of one
payment run and everything posted against them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, sqrt
from random import Random
from typing import NamedTuple

from dagster_project.demo.population import ENTITIES, PRODUCT_LINES, TERMS, Customer
from dagster_project.demo.timeline import Calendar, Chance, first_day

LONGEST = 345  # days from the first of the month until everything is settled
CLOCKS = 200  # times of day there are, see timeline.OPENING


@dataclass(slots=True, eq=False)
class Document:
    """An invoice, debit memo or credit memo. `left` is what is still to be settled."""

    id: str
    customer: Customer
    entity: int
    kind: str
    day: int
    clock: int
    currency: str
    cents: int
    left: int
    tax: int | None = None
    due: int | None = None
    terms: str | None = None
    product: str | None = None
    number: str | None = None
    po: str | None = None
    order: str | None = None
    delivered: int | None = None
    sent: int | None = None
    voided: int | None = None
    moved: tuple[int, int] | None = None  # on which day the due date was moved, and to which
    corrects: Document | None = None
    doubles: bool = False  # bears the number of the one it corrects


@dataclass(slots=True, eq=False)
class Payment:
    """Cash: valued on `day`, entered on `posted`. Its reference names documents, or is a text."""

    id: str
    customer: Customer
    entity: int
    day: int
    posted: int
    clock: int
    currency: str
    cents: int
    left: int
    method: str
    names: list[Document] = field(default_factory=list)
    text: str | None = None
    reversed: int | None = None


@dataclass(slots=True, eq=False)
class Allocation:
    """An amount put against a document: dated `day`, entered on `posted`, perhaps taken back on `reversed`."""

    id: str
    document: Document
    kind: str
    source: Payment | Document | None
    day: int
    posted: int
    clock: int
    cents: int
    instalment: int | None
    reason: str | None
    reversed: int | None = None


class Instalment(NamedTuple):
    document: Document
    number: int
    due: int
    cents: int


class Dispute(NamedTuple):
    """`cents` is None where the whole invoice is contested."""

    id: str
    document: Document
    opened: int
    cents: int | None
    reason: str
    owner: str
    resolved: int
    outcome: str


class Promise(NamedTuple):
    id: str
    made: int
    promised: int
    cents: int
    document: Document | None
    plan: str | None


class Activity(NamedTuple):
    id: str
    day: int
    clock: int
    document: Document | None
    step: str | None
    channel: str
    outcome: str
    note: str | None
    actor: str


@dataclass(slots=True, eq=False)
class Batch:
    """Documents and everything that happens to them. `end` is the day of the last posting."""

    documents: list[Document]
    end: int
    payments: list[Payment] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)
    instalments: list[Instalment] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)


Part = tuple[Document, int, int | None]
"""What a payment puts on a document: cents, and the instalment where the payer names one."""

METHODS = (("sepa", "direct_debit"), ("ach", "check"), ("wire", "check"))  # the usual and the rare one, by entity
DISPUTES = ("price", "quantity", "damaged goods", "missing purchase order", "duplicate billing", "service", "late delivery")
OUTCOMES = ("no answer", "left voicemail", "reached", "promised payment", "asked for a copy", "will check internally")
STEPS = (
    # offset from the due date, step, channel
    (1, "first_notice", "email"),
    (7, "second_notice", "email"),
    (15, "third_notice", "email"),
    (30, "escalation", "call"),
)


class Story:
    """One customer's month of invoicing, told to its end."""

    def __init__(self, chance: Chance, calendar: Calendar, customer: Customer, month: int):
        self.calendar = calendar
        self.customer = customer
        self.month = month
        self.first = first_day(month)
        self.key = f"{month // 12 % 100:02d}{month % 12 + 1:02d}{customer.customer_id}"
        self.dice: Random = chance.dice("month", customer.customer_id, month)
        self.count = 0
        self.counts = {"P": 0, "A": 0, "D": 0, "V": 0, "Y": 0}
        traits = customer.traits
        self.entity, self.currency = traits.entity, traits.currency
        if customer.kind.name == "key":
            if traits.second_currency and month % 3 == 1:
                self.currency = traits.second_currency
            elif customer.slot % 3 == 0 and month % 4 == 2:  # a customer of two entities
                self.entity = 1 if self.entity == 0 else 0
                self.currency = ENTITIES[self.entity].currency
        self.foreign = self.currency != ENTITIES[self.entity].currency
        self.unpaid = customer.stops_paying(month)
        self.late = customer.lateness(month)
        self.batches: list[Batch] = []

    # --- the month's documents ---------------------------------------------------------------------------------------

    def tell(self) -> list[Batch]:
        dice = self.dice
        invoices = self._invoices(_poisson(dice, self.customer.volume(self.month)))
        plain: list[Document] = []
        for invoice in invoices:
            roll = dice.random()
            if self.unpaid or roll >= 0.045:
                plain.append(invoice)
            elif roll < 0.008:
                self._void(invoice, plain)
            elif roll < 0.009:
                self._twice(invoice, plain)
            elif roll < 0.025:
                self._dispute(invoice)
            elif invoice.cents > 120_000 and invoice.terms != "PREPAY":
                self._instalments(invoice)
            else:
                plain.append(invoice)
        for run in self._runs(plain):
            self._settle(run)
        return self.batches

    def _invoices(self, count: int) -> list[Document]:
        dice, calendar, customer = self.dice, self.calendar, self.customer
        traits = customer.traits
        length = first_day(self.month + 1) - self.first
        days = []
        for _ in range(count):
            day = calendar.next[self.first + int(dice.random() * length)]
            days.append(day if day < self.first + length else calendar.previous[self.first + length - 1])
        if traits.subscription:
            days.append(calendar.next[self.first])
        days.sort()
        invoices = []
        for day in days:
            if not customer.start < day < customer.end:
                continue
            review = customer.review_at(day)
            exception = customer.exception_at(day)
            invoice = self._document("invoice", day, 0)
            invoice.terms = (exception and exception.terms) or review.terms
            due = day + TERMS[invoice.terms][0]
            roll = dice.random()
            if roll < 0.007:  # longer terms than anybody approved
                due += dice.choice((15, 30, 30, 45))
            elif roll < 0.009:
                invoice.terms = "N90" if review.terms != "N90" else "N30"
                due = day + TERMS[invoice.terms][0]
            invoice.due = due
            service = traits.subscription and day == days[0]
            net = (
                round(traits.median * 62)
                if service
                else round(traits.median * exp(customer.kind.spread * dice.gauss(0, 1)) * 100)
            )
            if roll > 0.75:
                net = round(net / 1000) * 1000
            net = min(max(net, 2_500), 48_000_000)
            invoice.tax = round(net * traits.tax) if traits.tax else 0
            invoice.cents = invoice.left = net + invoice.tax
            roll = dice.random()
            invoice.product = "Service" if service else traits.product_line if roll < 0.6 else PRODUCT_LINES[int(roll * 997) % 5]
            if traits.requires_po:
                invoice.po = None if roll < 0.03 else f"45{int(roll * 1e6):06d}"
            elif roll < 0.25:
                invoice.po = f"PO-{int(roll * 4e5):05d}"
            invoice.order = f"SO{self.month % 100:02d}{int(roll * 1e5):05d}"
            invoice.delivered = day
            if invoice.product != "Service":
                roll = dice.random()
                if roll < 0.004:
                    invoice.delivered = day + 1 + int(roll * 1000)
                elif roll < 0.5:
                    invoice.delivered = calendar.previous[day - (1 if roll < 0.4 else 2 + int(roll * 100) % 3)]
            roll = dice.random()
            invoice.sent = day if roll > 0.08 else calendar.next[day + 1] if roll > 0.012 else calendar.next[day + 4]
            invoices.append(invoice)
        return invoices

    def _document(self, kind: str, day: int, cents: int) -> Document:
        self.count += 1
        clock = int(self.dice.random() * CLOCKS)
        return Document(
            f"{self.key}{self.count:02d}", self.customer, self.entity, kind, day, clock, self.currency, cents, left=cents
        )

    # --- what is not simply paid -------------------------------------------------------------------------------------

    def _batch(self, *documents: Document) -> Batch:
        batch = Batch([*documents], max(document.day for document in documents))
        self.batches.append(batch)
        return batch

    def _void(self, invoice: Document, plain: list[Document]) -> None:
        """Cancelled, and mostly written again under the same number."""
        day = self.calendar.after(invoice.day, self.dice.randrange(1, 12))
        invoice.voided, invoice.left = day, 0
        self._batch(invoice).end = day
        if self.dice.random() < 0.7 and day < first_day(self.month + 1) and day < self.customer.end:
            again = self._document("invoice", day, invoice.cents)
            again.corrects, again.tax, again.product, again.po = invoice, invoice.tax, invoice.product, invoice.po
            again.terms, again.order, again.delivered, again.sent = invoice.terms, invoice.order, invoice.delivered, day
            assert invoice.due is not None
            again.due = invoice.due + day - invoice.day
            plain.append(again)
            plain.sort(key=lambda document: document.day)

    def _twice(self, invoice: Document, plain: list[Document]) -> None:
        """Billed twice under one number; the second one is credited in full."""
        double = self._document("invoice", invoice.day, invoice.cents)
        double.corrects, double.doubles = invoice, True
        for name in ("tax", "product", "po", "order", "terms", "due", "delivered", "sent"):
            setattr(double, name, getattr(invoice, name))
        batch = self._batch(double)
        credit = self._memo(batch, self.calendar.after(invoice.day, self.dice.randrange(4, 20)), double.cents)
        self._allocate(batch, double, "credit_memo", credit, credit.day, double.cents, reason="billed twice")
        plain.append(invoice)

    def _dispute(self, invoice: Document) -> None:
        """Contested: the rest is paid, the contested part is credited or paid once that is settled."""
        dice, calendar = self.dice, self.calendar
        assert invoice.due is not None
        batch = self._batch(invoice)
        opened = calendar.after(invoice.day, dice.randrange(3, 35))
        resolved = calendar.after(opened, int(dice.lognormvariate(2.8, 0.6)) + 4)
        whole = dice.random() < 0.35
        contested = invoice.cents if whole else max(100, int(invoice.cents * (0.04 + 0.4 * dice.random())))
        verdict = dice.random()
        outcome = "credited" if verdict < 0.45 else "partly credited" if verdict < 0.65 else "rejected"
        credited = contested if outcome == "credited" else contested // 2 if outcome == "partly credited" else 0
        owner = self.customer.traits.sales_rep if dice.random() < 0.7 else "Customer service"
        amount = None if whole and dice.random() < 0.6 else contested
        reason = dice.choice(DISPUTES)
        batch.disputes.append(Dispute(self._next("D"), invoice, opened, amount, reason, owner, resolved, outcome))
        usual = calendar.next[max(min(invoice.due + round(self._lateness()), self.first + LONGEST - 40), opened)]
        if contested < invoice.cents:
            self._pay(batch, [(invoice, invoice.cents - contested, None)], usual)
        self._call(batch, calendar.after(opened, 2), invoice, None, "call", "disputed")
        credit_day = resolved
        if credited:
            credit = self._memo(batch, resolved, credited)
            self._allocate(batch, invoice, "credit_memo", credit, resolved, credited, reason="dispute")
        if invoice.left:
            self._pay(batch, [(invoice, invoice.left, None)], calendar.next[max(credit_day + dice.randrange(4, 20), usual)])

    def _instalments(self, invoice: Document) -> None:
        """An invoice that falls due in parts, the first when the whole would."""
        dice = self.dice
        assert invoice.due is not None
        batch = self._batch(invoice)
        parts = dice.choice((3, 3, 4))
        cents = invoice.cents // parts
        named = self.foreign or dice.random() < 0.5
        day = 0
        for number in range(1, parts + 1):
            amount = cents if number < parts else invoice.cents - cents * (parts - 1)
            due = invoice.due + 30 * (number - 1)
            batch.instalments.append(Instalment(invoice, number, due, amount))
            late = min(due + round(self._lateness()), self.first + LONGEST)
            day = self.calendar.next[max(late, day, invoice.day + 1)]
            self._pay(batch, [(invoice, amount, number if named else None)], day, late_entry=False)

    # --- payment runs ------------------------------------------------------------------------------------------------

    def _runs(self, invoices: list[Document]) -> list[list[Document]]:
        """Which invoices are paid together."""
        sweep = self.customer.traits.run
        if not sweep:
            return [[invoice] for invoice in invoices]
        runs: list[list[Document]] = []
        for invoice in invoices:
            if runs and invoice.day - runs[-1][0].day <= sweep and len(runs[-1]) < 12:
                runs[-1].append(invoice)
            else:
                runs.append([invoice])
        return runs

    def _lateness(self) -> float:
        customer, dice = self.customer, self.dice
        days = self.late + customer.traits.noise * dice.gauss(0, 1)
        slip = dice.random()
        if slip < 0.007:  # it happens to everybody: mislaid, on the wrong desk, on holiday
            days += 12 + 24 * dice.random() if slip > 0.0015 else 60 + 100 * dice.random()
        return days

    def _pay_day(self, due: int, earliest: int) -> int:
        """The business day a customer pays on: before the day it means to if it is on time, after it if not."""
        late = self._lateness()
        day = max(min(due + round(late), self.first + LONGEST - 60), earliest)
        weekday = self.customer.traits.weekday
        calendar = self.calendar
        if late <= 0.5:
            if weekday is not None:
                day -= (day + 6 - weekday) % 7
            return calendar.next[max(calendar.previous[day], earliest)]
        if weekday is not None and late > 3:
            ahead = (weekday - day - 6) % 7
            day += ahead if ahead <= 3 else ahead - 7
        return calendar.next[max(day, earliest)]

    def _settle(self, run: list[Document]) -> None:
        dice, calendar, customer = self.dice, self.calendar, self.customer
        batch = self._batch(*run)
        first, last = run[0], run[-1]
        dues = [document.due for document in run if document.due is not None]
        total = sum(document.cents for document in run)
        if self.unpaid:
            self._lose(batch, run, dues[0])
            return
        if first.terms == "PREPAY":
            self._prepay(batch, run)
            return
        _, percent, window, _ = TERMS[first.terms or "N30"]
        roll = dice.random()
        eager = customer.kind.name == "discount"
        if percent and window and self.late < 20 and (roll < 0.05 or eager):
            day = calendar.previous[first.day + window - int(roll * 30) % 3]
            if day >= last.day and roll < 0.93:
                self._pay_less(batch, run, day, int(percent), earned=True)
                return
            if roll > 0.96:
                self._pay_less(
                    batch, run, calendar.after(last.day, window + 2 + int(roll * 1e4) % 12), int(percent), earned=False
                )
                return
        day = self._pay_day((dues[0] + dues[-1]) // 2, last.day + 1)
        late = day - dues[0]
        if dice.random() < 0.004 and day > dues[0]:
            first.moved = (calendar.next[max(dues[0] - 5, first.day + 2)], dues[0] + dice.choice((14, 30)))
            batch.end = max(batch.end, first.moved[0])
        parts = [(document, document.cents, None) for document in run]
        roll = dice.random()
        if late > 45 and total > 400_000 and roll < 0.3:
            day = self._plan(batch, run, day, total)
        elif roll < (0.09 if late > 12 else 0.02):
            day = self._pay_partly(batch, run, day)
        elif 0.12 <= roll < 0.127:
            self._bounce(batch, parts, day)
        elif 0.13 <= roll < 0.155:
            self._net_credit(batch, run, day)
        elif 0.155 <= roll < 0.163:
            self._misapply(batch, parts, day)
        elif 0.163 <= roll < 0.171:
            self._pay_too_much(batch, parts, day, total)
        elif 0.171 <= roll < 0.186 or (self.foreign and roll < 0.25):
            self._pay_short(batch, parts, day)
        elif 0.25 <= roll < 0.253:
            self._adjust_up(batch, run, day)
        else:
            self._pay(batch, parts, day)
        self._chase(batch, run, dues[0], day)
        if late > 24 and self.late > 24 and dice.random() < 0.13:
            self._late_fee(batch, day, total, late)

    def _prepay(self, batch: Batch, run: list[Document]) -> None:
        """Cash first: it stays unapplied until the invoice is there."""
        for document in run:
            day = max(self.calendar.next[document.day - self.dice.randrange(5)], self.calendar.next[self.first])
            payment = self._pay(batch, [(document, document.cents, None)], day, late_entry=False)
            payment.names, payment.text = [], document.order

    def _pay_less(self, batch: Batch, run: list[Document], day: int, percent: int, earned: bool) -> None:
        """Less the early-payment discount; taken too late, the gap stays open until it is paid or let go."""
        parts = [(document, document.cents - round(document.cents * percent / 100), None) for document in run]
        payment = self._pay(batch, parts, day, late_entry=False)
        if earned:
            for document in run:
                self._allocate(batch, document, "discount", None, payment.posted, document.left, reason="early payment")
            return
        day = self.calendar.after(payment.posted, self.dice.randrange(18, 70))
        if self.dice.random() < 0.6:
            asked = self.calendar.after(payment.posted, 6)
            self._call(batch, asked, run[0], None, "email", "sent", "unearned discount charged back")
            self._pay(batch, [(document, document.left, None) for document in run], day)
        else:
            for document in run:
                self._allocate(batch, document, "adjustment", None, day, document.left, reason="unearned discount let go")

    def _plan(self, batch: Batch, run: list[Document], day: int, total: int) -> int:
        """A payment plan: agreed some weeks after the due date, then kept, mostly. The day it was agreed."""
        dice, calendar = self.dice, self.calendar
        due = run[0].due or day
        made = calendar.next[max(due + 12, run[-1].day + 3)]
        parts = 3 if total < 2_000_000 else 4
        plan = self._next("V")
        paid = 0
        for number in range(1, parts + 1):
            promised = calendar.after(made, 10 + 28 * (number - 1))
            amount = total // parts if number < parts else total - paid
            batch.promises.append(Promise(self._next("V"), made, promised, amount, None if len(run) > 1 else run[0], plan))
            paid += amount
            on = promised if dice.random() < 0.8 else calendar.after(promised, dice.randrange(3, 16))
            on = min(on, calendar.next[self.first + LONGEST - 20])
            self._pay(batch, _spread(run, amount), on, late_entry=False, prompt_entry=True)
        self._call(batch, made, run[0], None, "call", "payment plan agreed")
        return made

    def _pay_partly(self, batch: Batch, run: list[Document], day: int) -> int:
        total = sum(document.left for document in run)
        part = int(total * (0.3 + 0.4 * self.dice.random()))
        self._pay(batch, _spread(run, part), day, prompt_entry=True)
        rest = self.calendar.after(day, self.dice.randrange(6, 12 + min(30, max(4, int(self.late)))))
        self._pay(batch, [(document, document.left, None) for document in run if document.left], rest)
        return rest

    def _bounce(self, batch: Batch, parts: Sequence[Part], day: int) -> None:
        """The bank takes it back; the invoices are open again until it is paid once more."""
        payment = self._pay(batch, parts, day, prompt_entry=True)
        back = self.calendar.after(payment.posted, self.dice.randrange(3, 8))
        payment.reversed = back
        both = self.dice.random() < 0.5
        for allocation in batch.allocations:
            if allocation.source is payment:
                allocation.document.left += allocation.cents
                if both:
                    allocation.reversed = back
        self._pay(batch, parts, self.calendar.after(back, self.dice.randrange(3, 12)))

    def _net_credit(self, batch: Batch, run: list[Document], day: int) -> None:
        """A credit memo that waits until the customer takes it off its payment; some are cancelled instead."""
        dice = self.dice
        largest = max(run, key=lambda document: document.cents)
        issued = self.calendar.next[min(run[-1].day + 1 + int(dice.random() * 20), day)]
        credit = self._memo(batch, issued, max(500, int(largest.cents * (0.05 + 0.3 * dice.random()))))
        if dice.random() < 0.12:
            credit.voided, credit.left = self.calendar.after(issued, dice.randrange(10, 60)), 0
            batch.end = max(batch.end, credit.voided)
            self._pay(batch, [(document, document.cents, None) for document in run], day)
            return
        reason = dice.choice(("bonus", "return", "price correction"))
        self._allocate(batch, largest, "credit_memo", credit, day, credit.cents, reason=reason)
        self._pay(batch, [(document, document.left, None) for document in run if document.left], day)

    def _misapply(self, batch: Batch, parts: Sequence[Part], day: int) -> None:
        """Put against the invoice, taken back as an error, put there again."""
        payment = self._pay(batch, parts, day, prompt_entry=True)
        wrong = self.dice.choice([allocation for allocation in batch.allocations if allocation.source is payment])
        wrong.reversed = self.calendar.after(payment.posted, self.dice.randrange(2, 9))
        wrong.document.left += wrong.cents
        payment.left += wrong.cents
        again = wrong.reversed if self.foreign else self.calendar.after(wrong.reversed, self.dice.randrange(4))
        self._allocate(batch, wrong.document, "payment", payment, again, wrong.cents, reason="correction")

    def _pay_too_much(self, batch: Batch, parts: Sequence[Part], day: int, total: int) -> None:
        """Twice the same, or a slip: the excess waits until it is paid back."""
        dice, calendar = self.dice, self.calendar
        if dice.random() < 0.4:
            self._pay(batch, parts, day)
            double = self._payment(batch, calendar.after(day, dice.randrange(1, 12)), total)
            double.names = [] if self.foreign else [document for document, _, _ in parts]
            double.reversed, double.left = calendar.after(double.posted, dice.randrange(12, 60)), 0
            batch.end = max(batch.end, double.reversed)
            return
        excess = max(200, int(total * dice.choice((0.01, 0.1, 0.25))))
        payment = self._pay(batch, parts, day, extra=excess, prompt_entry=True)
        back = self._document("debit_memo", calendar.after(payment.posted, dice.randrange(15, 90)), excess)
        back.due, back.terms, back.tax, back.sent = back.day, None, 0, back.day
        batch.documents.append(back)
        self._allocate(batch, back, "payment", payment, back.day, excess, reason="refund")

    def _pay_short(self, batch: Batch, parts: Sequence[Part], day: int) -> None:
        """A few units are missing: bank charges, or a balance nobody chases."""
        document, cents, _ = parts[0]
        missing = min(cents // 10, 1_500 if self.foreign else 40 + int(self.dice.random() * 900))
        payment = self._pay(batch, [(document, cents - missing, None), *parts[1:]], day, prompt_entry=True)
        later = self.calendar.after(payment.posted, int(self.dice.random() * 30))
        if self.foreign:
            self._allocate(batch, document, "adjustment", None, later, document.left, reason="bank charges")
        else:
            self._allocate(batch, document, "write_off", None, later, document.left, reason="small balance")

    def _adjust_up(self, batch: Batch, run: list[Document], day: int) -> None:
        """Freight charged afterwards: a negative adjustment raises what is open."""
        freight = 1_000 + int(self.dice.random() * 9_000)
        on = self.calendar.next[min(run[0].day + 3, day)]
        self._allocate(batch, run[0], "adjustment", None, on, -freight, reason="freight charged")
        self._pay(batch, [(document, document.left, None) for document in run], self.calendar.next[max(day, on)])

    def _late_fee(self, batch: Batch, paid: int, total: int, late: int) -> None:
        dice, calendar = self.dice, self.calendar
        fee = self._document("debit_memo", calendar.after(paid, 4), max(500, round(total * 0.015 * late / 30)))
        fee.due, fee.terms, fee.tax, fee.product, fee.sent = fee.day + 15, "N15", 0, None, fee.day
        batch.documents.append(fee)
        roll = dice.random()
        if roll < 0.5:
            self._pay(batch, [(fee, fee.cents, None)], calendar.after(fee.due, dice.randrange(1, 40)))
        elif roll < 0.8:
            waived = calendar.after(fee.day, dice.randrange(8, 45))
            self._allocate(batch, fee, "adjustment", None, waived, fee.cents, reason="late fee waived")
        else:
            credit = self._memo(batch, calendar.after(fee.day, dice.randrange(8, 45)), fee.cents)
            self._allocate(batch, fee, "credit_memo", credit, credit.day, fee.cents, reason="late fee waived")

    def _lose(self, batch: Batch, run: list[Document], due: int) -> None:
        """Never paid, or not whole: chased, handed on, written off."""
        dice, calendar = self.dice, self.calendar
        last = calendar.previous[self.first + LONGEST]
        gone = min(calendar.after(due, dice.randrange(150, 250)), last)
        roll = dice.random()
        if roll < 0.35:
            part = int(sum(document.left for document in run) * (0.15 + 0.35 * dice.random()))
            self._pay(batch, _spread(run, part), min(calendar.after(due, dice.randrange(40, 140)), gone), prompt_entry=True)
        for document in run:
            self._allocate(batch, document, "write_off", None, gone, document.left, reason="uncollectable")
        self._chase(batch, run, due, min(gone, due + 70))

    # --- postings ----------------------------------------------------------------------------------------------------

    def _next(self, kind: str) -> str:
        self.counts[kind] += 1
        return f"{kind}{self.key}{self.counts[kind]:02d}"

    def _memo(self, batch: Batch, day: int, cents: int) -> Document:
        credit = self._document("credit_memo", day, cents)
        credit.tax = round(cents - cents / (1 + self.customer.traits.tax)) if self.customer.traits.tax else 0
        credit.sent = day
        batch.documents.append(credit)
        batch.end = max(batch.end, day)
        return credit

    def _payment(self, batch: Batch, day: int, cents: int, late_entry: bool = True) -> Payment:
        dice = self.dice
        posted = day if not late_entry or dice.random() > 0.03 else self.calendar.next[day + 1]
        clock, roll = int(dice.random() * CLOCKS), dice.random()
        usual, rare = METHODS[self.entity]
        method = usual if roll < 0.72 else "wire" if roll < 0.86 else rare
        if self.customer.kind.name == "one_off":
            method = "card"
        payment = Payment(
            self._next("P"), self.customer, self.entity, day, posted, clock, self.currency, cents, left=cents, method=method
        )
        batch.payments.append(payment)
        batch.end = max(batch.end, posted)
        return payment

    def _pay(
        self,
        batch: Batch,
        parts: Sequence[Part],
        day: int,
        extra: int = 0,
        late_entry: bool = True,
        prompt_entry: bool = False,
    ) -> Payment:
        """Cash over some documents: entered the same day (or the next, `late_entry`), applied then (or later, not `prompt_entry`)."""
        dice = self.dice
        payment = self._payment(batch, day, sum(cents for _, cents, _ in parts) + extra, late_entry)
        applied = payment.posted
        style = self.customer.traits.reference
        if not prompt_entry and late_entry and dice.random() < 0.06:
            applied = self.calendar.after(applied, dice.randrange(2, 19))
            # A foreign amount matched by its reference in parts would round to other cents than the ledger's.
            style = 2 if self.foreign else style
        if style in (0, 1) or (style == 3 and dice.random() < 0.5):
            payment.names = [document for document, _, _ in parts][: 6 if style == 0 else 1]
        elif style == 2:
            payment.text = f"EREF {int(dice.random() * 1e8):08d}"
        for document, cents, instalment in parts:
            if cents:
                self._allocate(
                    batch, document, "payment", payment, max(applied, document.day), cents, instalment, early=payment.day
                )
        return payment

    def _allocate(
        self,
        batch: Batch,
        document: Document,
        kind: str,
        source: Payment | Document | None,
        day: int,
        cents: int,
        instalment: int | None = None,
        reason: str | None = None,
        early: int | None = None,
    ) -> None:
        """Post an allocation on a day. A prepayment's bears the date of the cash, before its invoice's."""
        document.left -= cents
        clock = document.clock
        if source is not None:
            source.left -= cents
            clock = max(source.clock, document.clock)
        dated = early if early is not None and early < document.day else day
        batch.allocations.append(
            Allocation(self._next("A"), document, kind, source, dated, day, clock, cents, instalment, reason)
        )
        batch.end = max(batch.end, day)

    # --- chasing -----------------------------------------------------------------------------------------------------

    def _call(
        self,
        batch: Batch,
        day: int,
        document: Document | None,
        step: str | None,
        channel: str,
        outcome: str,
        note: str | None = None,
    ) -> None:
        actor = self.customer.traits.collector or "Accounts receivable"
        clock = int(self.dice.random() * CLOCKS)
        batch.activities.append(Activity(self._next("Y"), day, clock, document, step, channel, outcome, note, actor))

    def _chase(self, batch: Batch, run: list[Document], due: int, paid: int) -> None:
        """Reminders until the money comes, and what was promised on the way."""
        dice, calendar = self.dice, self.calendar
        late = paid - due
        if late < 2:
            return
        for offset, step, channel in STEPS:
            if offset >= late:
                break
            if dice.random() < 0.32:
                day = calendar.after(due, offset)
                if day < paid:
                    self._call(batch, day, run[0], step, channel, "sent" if channel == "email" else dice.choice(OUTCOMES))
        for day in range(due + 44, paid, 35):
            self._call(batch, calendar.next[day], None, None, "call", dice.choice(OUTCOMES))
        if late > 8 and dice.random() < 0.3:
            made = calendar.after(due, 3 + int(dice.random() * (late - 5)))
            if made >= paid:
                return
            kept = dice.random() < 0.62
            promised = paid if kept else calendar.next[made + 2 + int(dice.random() * max(1, paid - made - 4))]
            if len(run) <= 3 and dice.random() < 0.8:
                for document in run:
                    batch.promises.append(Promise(self._next("V"), made, promised, document.cents, document, None))
            else:
                batch.promises.append(
                    Promise(self._next("V"), made, promised, sum(document.cents for document in run), None, None)
                )
            self._call(batch, made, run[0], None, "call", "promised payment")


def _spread(run: list[Document], cents: int) -> list[Part]:
    """An amount over what is left of some documents, oldest first."""
    parts: list[Part] = []
    for document in run:
        part = min(document.left, cents)
        if part:
            parts.append((document, part, None))
            cents -= part
    return parts


def _poisson(dice: Random, expected: float) -> int:
    if expected > 8:
        return max(0, round(expected + sqrt(expected) * dice.gauss(0, 1)))
    limit, product, count = exp(-expected), dice.random(), 0
    while product > limit:
        product *= dice.random()
        count += 1
    return count
