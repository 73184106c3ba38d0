"""The ledger as its ERP showed it on a morning, and what the bureau had on file: tables of rows, ready to be served or written.

Belongs here: cutting the stories of `life.py` off at a day, numbering documents, the control account, exchange rates, scores,
and a few unreadable records such as every migrated ledger has. Does not belong here: HTTP (`server.py`).

The book of a day holds what was entered before 04:00 UTC of that day: everything through the evening before. The book of the
next day is the same book and one day more; a record differs only where something happened to it, and its `updated_at` says when.
Books reach back 26 months; what was still open then is carried in with its history. Whatever was settled before is gone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from random import Random

from dagster_project.demo import names
from dagster_project.demo.life import Allocation, Batch, Document, Payment, Story
from dagster_project.demo.population import ENTITIES, INDUSTRIES, LANGUAGES, REGIONS, TERMS, Customer, Population
from dagster_project.demo.timeline import CLOSING, OPENING, Calendar, Chance, first_day, month_of

SEED = "arrears"
MONTHS = 26  # complete months before the running one
CARRIED = 9  # months before those that are searched for what was still open
DAILY = 30  # days back for which the control account is told day by day, so that a recent morning can be checked again
LINE_MONTHS = 12  # complete months before the running one whose invoices have lines; older lines are archived

Row = tuple[object, ...]

COLUMNS = {
    "companies": "company_id name currency country timezone calendar",
    "customers": "customer_id name company_id country region industry currency customer_since credit_limit "
    "payment_terms registration_number email phone language collector sales_rep status requires_po do_not_dun gross_margin_pct "
    "strategic_value updated_at",
    "contacts": "contact_id customer_id role name email phone",
    "payment_terms": "payment_terms net_days discount_pct discount_days deposit_pct",
    "invoices": "invoice_id invoice_number customer_id document_type invoice_date currency amount company_id due_date "
    "payment_terms tax_amount po_number delivered_on sent_at order_number sales_rep product_line voided_on updated_at",
    "instalments": "invoice_id instalment_number due_date amount",
    "invoice_lines": "invoice_id line_number amount description quantity unit_price tax_amount",
    "payments": "payment_id customer_id payment_date currency amount company_id method reference reversed_on updated_at",
    "allocations": "allocation_id invoice_id source_type allocated_on amount source_id instalment_number reversed_on reason "
    "updated_at",
    "disputes": "dispute_id invoice_id opened_on amount reason owner resolved_on outcome",
    "promises": "promise_id customer_id made_on promised_date amount invoice_id plan_id",
    "activities": "activity_id customer_id occurred_at invoice_id step channel outcome note actor",
    "credit_exceptions": "exception_id customer_id kind requested_by requested_on approved_by approved_on granted_terms "
    "granted_limit expires_on reason",
    "credit_reviews": "review_id customer_id reviewed_on reviewer tier credit_limit note",
    "exchange_rates": "rate_date currency base_currency rate",
    "control_balances": "company_id as_of balance",
    "credit_scores": "bureau scored_on score_code raw_score customer_id registration_number model_code risk_class status dbt "
    "industry_dbt recommended_limit currency current_ratio quick_ratio debt_to_equity match_confidence fetched_at",
}
"""What the demo's ERP and bureau say about each dataset, in this order. A test holds it against the contract."""


@dataclass(frozen=True)
class Table:
    """A dataset of the book. A row has a value for each column; None is absent."""

    columns: tuple[str, ...]
    rows: list[Row]


def build(as_of: date, *, seed: str = SEED, scale: float = 1.0, unreadable: bool = True) -> dict[str, Table]:
    """The book of a morning.

    Args:
        as_of: the morning; the last events are of the day before.
        seed: another seed is another company.
        scale: multiplies the number of customers.
        unreadable: with the records that cannot be read, which a pipeline has to put aside.
    """
    return _Press(as_of, seed, scale).print(unreadable)


class _Press:
    """Turns stories into rows for one morning."""

    def __init__(self, as_of: date, seed: str, scale: float):
        self.day = as_of.toordinal()
        self.month = month_of(self.day)
        self.begin = first_day(self.month - MONTHS)
        self.chance = Chance(seed)
        earliest = first_day(self.month - MONTHS - CARRIED)
        self.calendar = Calendar()
        self.text = self.calendar.text
        self.population = Population(self.chance, self.calendar, earliest, self.day, scale)
        self.rates = _Rates(self.chance, self.calendar, earliest - 10, self.day)
        self.rows: dict[str, list[Row]] = {dataset: [] for dataset in COLUMNS}
        self.documents: list[Document] = []
        self.payments: list[Payment] = []
        self.allocations: list[Allocation] = []
        self.parts: dict[Document, list[tuple[int, int]]] = defaultdict(list)

    def print(self, unreadable: bool) -> dict[str, Table]:
        known: set[Customer] = set()
        for batches in self._months():
            for batch in batches:
                self._batch(batch)
                known.add(batch.documents[0].customer)
        self._documents()
        for customer in self.population.customers:
            if customer.start < self.day and (customer.end > self.begin or customer in known):
                self._customer(customer)
        self._masters()
        self._control()
        if unreadable:
            for dataset, broken in _UNREADABLE.items():
                self.rows[dataset] += (tuple(record.get(column) for column in COLUMNS[dataset].split()) for record in broken)
        return {dataset: Table(tuple(COLUMNS[dataset].split()), rows) for dataset, rows in self.rows.items()}

    # --- documents and cash ------------------------------------------------------------------------------------------

    def _months(self) -> Iterator[list[Batch]]:
        """The batches of every month, oldest first, numbered; of the months before the book only what was still open."""
        for month in range(self.month - MONTHS - CARRIED, self.month + 1):
            batches = [
                batch
                for customer in self.population.customers
                if customer.months[0] <= month <= customer.months[1]
                for batch in Story(self.chance, self.calendar, customer, month).tell()
            ]
            self._number(month, batches)
            yield batches if month >= self.month - MONTHS else [batch for batch in batches if batch.end >= self.begin]

    def _number(self, month: int, batches: list[Batch]) -> None:
        """Number a month's invoices in the order they were written; memos are numbered by what they belong to."""
        documents = [document for batch in batches for document in batch.documents]
        invoices = [document for document in documents if document.kind == "invoice" and document.corrects is None]
        invoices.sort(key=lambda document: (document.day, document.clock, document.id))
        counts = [0] * len(ENTITIES)
        for invoice in invoices:
            counts[invoice.entity] += 1
            prefix = ENTITIES[invoice.entity].prefix
            invoice.number = f"{prefix}{month // 12 % 100:02d}{month % 12 + 1:02d}-{counts[invoice.entity]:04d}"
        for document in documents:
            if document.corrects is not None:
                document.number = f"{document.corrects.number}{'' if document.doubles else '/1'}"
            elif document.kind != "invoice":
                document.number = f"{'CM' if document.kind == 'credit_memo' else 'DM'}-{document.id}"

    def _batch(self, batch: Batch) -> None:
        """What of a batch had happened by the morning."""
        today, text = self.day, self.text
        seen = False
        for document in batch.documents:
            if document.day < today:
                self.documents.append(document)
                seen = True
        if not seen and not batch.payments:
            return
        self.payments += (payment for payment in batch.payments if payment.posted < today)
        self.allocations += (allocation for allocation in batch.allocations if allocation.posted < today)
        for document, number, due, cents in batch.instalments:
            if document.day < today:
                self.rows["instalments"].append((document.id, number, text[due], _money(cents)))
                self.parts[document].append((number, cents))
        for id, document, opened, amount, reason, owner, resolved, outcome in batch.disputes:
            if opened < today:
                done = resolved < today
                self.rows["disputes"].append(
                    (
                        id,
                        document.id,
                        text[opened],
                        None if amount is None else _money(amount),
                        reason,
                        owner,
                        text[resolved] if done else None,
                        outcome if done else None,
                    )
                )
        customer = batch.documents[0].customer.customer_id
        for promise, made, promised, cents, about, plan in batch.promises:
            if made < today:
                self.rows["promises"].append(
                    (promise, customer, text[made], text[promised], _money(cents), about.id if about else None, plan)
                )
        opening = OPENING[batch.documents[0].entity]
        for activity, day, clock, about, step, channel, outcome, note, actor in batch.activities:
            if day < today:
                at = text[day] + opening[clock]
                self.rows["activities"].append(
                    (activity, customer, at, about.id if about else None, step, channel, outcome, note, actor)
                )

    def _documents(self) -> None:
        """The rows of documents, payments and allocations as they stood this morning."""
        today, text = self.day, self.text
        rows = self.rows["invoices"]
        for document in self.documents:
            opening, closing = OPENING[document.entity], CLOSING[document.entity]
            clock, due = document.clock, document.due
            updated = text[document.day] + opening[clock]
            sent = None
            if document.sent is not None and document.sent < today:
                sent = text[document.sent] + closing[clock]
                updated = sent
            if document.moved is not None and document.moved[0] < today:
                due = document.moved[1]
                updated = max(updated, text[document.moved[0]] + closing[clock])
            voided = None
            if document.voided is not None and document.voided < today:
                voided = text[document.voided]
                updated = max(updated, voided + closing[clock])
            rows.append(
                (
                    document.id,
                    document.number,
                    document.customer.customer_id,
                    document.kind,
                    text[document.day],
                    document.currency,
                    _money(document.cents),
                    ENTITIES[document.entity].company_id,
                    None if due is None else text[due],
                    document.terms,
                    None if document.tax is None else _money(document.tax),
                    document.po,
                    None if document.delivered is None else text[document.delivered],
                    sent,
                    document.order,
                    document.customer.traits.sales_rep,
                    document.product,
                    voided,
                    updated,
                )
            )
        rows = self.rows["payments"]
        for payment in self.payments:
            updated = text[payment.posted] + OPENING[payment.entity][payment.clock]
            reversed_on = None
            if payment.reversed is not None and payment.reversed < today:
                reversed_on = text[payment.reversed]
                updated = reversed_on + CLOSING[payment.entity][payment.clock]
            reference = payment.text
            if payment.names:
                reference = "Invoice " + ", ".join(str(document.number) for document in payment.names)
            rows.append(
                (
                    payment.id,
                    payment.customer.customer_id,
                    text[payment.day],
                    payment.currency,
                    _money(payment.cents),
                    ENTITIES[payment.entity].company_id,
                    payment.method,
                    reference,
                    reversed_on,
                    updated,
                )
            )
        rows = self.rows["allocations"]
        for allocation in self.allocations:
            entity = allocation.document.entity
            updated = text[allocation.posted] + OPENING[entity][allocation.clock]
            reversed_on = None
            if allocation.reversed is not None and allocation.reversed < today:
                reversed_on = text[allocation.reversed]
                updated = reversed_on + CLOSING[entity][allocation.clock]
            rows.append(
                (
                    allocation.id,
                    allocation.document.id,
                    allocation.kind,
                    text[allocation.day],
                    _money(allocation.cents),
                    None if allocation.source is None else allocation.source.id,
                    allocation.instalment,
                    reversed_on,
                    allocation.reason,
                    updated,
                )
            )
        self._lines()

    def _lines(self) -> None:
        """The lines of the last year's invoices: they add up to the invoice, its tax to its tax, but for the odd slip."""
        rows = self.rows["invoice_lines"]
        begin = first_day(self.month - LINE_MONTHS)
        roll = self.chance.roll
        for document in self.documents:
            if document.day < begin or document.kind != "invoice":
                continue
            draw = int(roll("lines", document.id) * 1_000_000)
            count = 1 if draw % 10 < 6 else 2 if draw % 10 < 9 else 3
            tax = document.tax or 0
            net = document.cents - tax
            slip = 100 if draw % 997 < 2 else 0
            product = document.product or "Service"
            for number in range(1, count + 1):
                part = net if number == count else net * (20 + draw // 10 % 30) // 100
                part_tax = tax if number == count else round(tax * part / net) if net else 0
                net, tax = net - part, tax - part_tax
                quantity = (1, 1, 2, 4, 5, 10, 20, 25)[draw // (7 * number) % 8]
                item = _ITEMS[product][(draw // 11 + number) % len(_ITEMS[product])]
                line = part + part_tax + (slip if number == 1 else 0)
                price = part * 100 // quantity
                rows.append(
                    (
                        document.id,
                        number,
                        _money(line),
                        item,
                        quantity,
                        f"{price // 10_000}.{price % 10_000:04d}",
                        _money(part_tax),
                    )
                )

    # --- the control account -----------------------------------------------------------------------------------------

    def _control(self) -> None:
        """The receivables control account at each month's end, of late each day, and this morning, by the ledger's arithmetic.

        Each open item is converted on its own and rounded half up; an item is an instalment where there are any.
        """
        month_ends = {first_day(month) - 1 for month in range(self.month - MONTHS + 1, self.month + 1)}
        dates = sorted(month_ends | set(range(self.day - DAILY, self.day + 1)))
        sums = [[0] * len(dates) for _ in ENTITIES]
        rates = {
            (entity, currency): [self.rates.at(currency, ENTITIES[entity].currency, day) for day in dates]
            for entity in range(len(ENTITIES))
            for currency in ("EUR", "USD", "GBP")
        }
        # How each document and payment changes: (day, cents taken off, instalment), by the rules on when allocations take effect.
        changes: dict[Document | Payment, list[tuple[int, int, int | None]]] = defaultdict(list)
        never = self.day + 1
        for allocation in self.allocations:
            document, source = allocation.document, allocation.source
            start = max(allocation.day, document.day)
            ends = [allocation.reversed, document.voided]
            if isinstance(source, Payment):
                start = max(start, source.day)
                ends.append(source.reversed)
            elif source is not None:
                start = max(start, source.day)
                ends.append(source.voided)
            end = min((end for end in ends if end is not None and end < self.day), default=never)
            if start >= end:
                continue
            for side in (document, source):
                if side is not None:
                    changes[side].append((start, allocation.cents, allocation.instalment))
                    if end < never:
                        changes[side].append((end, -allocation.cents, allocation.instalment))

        def add(entity: int, currency: str, sign: int, cents: int, begin: int, end: int, moves: list[tuple[int, int]]) -> None:
            moves.sort()
            at, count, table, factors = 0, len(moves), sums[entity], rates[entity, currency]
            index = bisect_left(dates, begin)
            while index < len(dates) and dates[index] < end:
                while at < count and moves[at][0] <= dates[index]:
                    cents -= moves[at][1]
                    at += 1
                if cents:
                    rate = factors[index]
                    if rate is None:
                        table[index] += sign * cents
                    else:
                        table[index] += sign * ((abs(cents) * rate + 500_000) // 1_000_000) * (1 if cents > 0 else -1)
                elif at == count:
                    return
                index += 1

        for document in self.documents:
            moves = changes.get(document, [])
            end = document.voided if document.voided is not None and document.voided < self.day else never
            sign = -1 if document.kind == "credit_memo" else 1
            for cents, part in self._items(document, moves):
                add(document.entity, document.currency, sign, cents, document.day, end, part)
        for payment in self.payments:
            end = payment.reversed if payment.reversed is not None and payment.reversed < self.day else never
            applied = [(day, cents) for day, cents, _ in changes.get(payment, [])]
            add(payment.entity, payment.currency, -1, payment.cents, payment.day, end, applied)
        for entity, totals in zip(ENTITIES, sums, strict=True):
            for day, total in zip(dates, totals, strict=True):
                self.rows["control_balances"].append((entity.company_id, self.text[day], _money(total)))

    def _items(self, document: Document, moves: list[tuple[int, int, int | None]]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """The open items of a document, with what changed each: itself, or its instalments, the oldest filled first."""
        parts = self.parts.get(document)
        if not parts:
            yield document.cents, [(day, cents) for day, cents, _ in moves]
            return
        unnamed = sorted((day, cents) for day, cents, number in moves if number is None)
        for number, cents in parts:
            taken = [(day, amount) for day, amount, named in moves if named == number]
            room = cents - sum(amount for _, amount in taken)
            while unnamed and room > 0:
                day, amount = unnamed.pop(0)
                taken.append((day, min(amount, room)))
                if amount > room:
                    unnamed.insert(0, (day, amount - room))
                room -= min(amount, room)
            yield cents, taken

    # --- customers ---------------------------------------------------------------------------------------------------

    def _customer(self, customer: Customer) -> None:
        today, text, traits = self.day, self.text, customer.traits
        status, updated = "active", ""
        clock = int(self.chance.roll(customer.customer_id, "clock") * 200)
        opening, closing = OPENING[traits.entity], CLOSING[traits.entity]
        for day, changed in customer.statuses(self.calendar, self.chance):
            if day < today:
                status, updated = changed, text[day] + opening[clock]
        review = customer.reviews[0]
        for later in customer.reviews:
            if later.day < today:
                if (later.terms, later.limit) != (review.terms, review.limit):
                    updated = max(updated, text[later.day] + closing[clock])
                review = later
                if later.day >= self.begin - 400:
                    self.rows["credit_reviews"].append(
                        (
                            f"R{customer.customer_id}-{later.day}",
                            customer.customer_id,
                            text[later.day],
                            later.reviewer,
                            later.tier,
                            f"{later.limit}.00",
                            later.note,
                        )
                    )
        language = LANGUAGES[names.COUNTRIES[traits.country][0]]
        region, _ = REGIONS[traits.country]
        self.rows["customers"].append(
            (
                customer.customer_id,
                traits.name,
                ENTITIES[traits.entity].company_id,
                traits.country,
                region,
                traits.industry,
                traits.currency,
                text[customer.start],
                f"{review.limit}.00",
                review.terms,
                traits.registration,
                traits.email,
                traits.phone,
                language,
                traits.collector,
                traits.sales_rep,
                status,
                traits.requires_po,
                traits.do_not_dun,
                f"{traits.margin:.1f}",
                traits.strategic,
                updated,
            )
        )
        self._contacts(customer)
        for exception in customer.exceptions:
            if self.begin - 400 <= exception.requested < today:
                approved = exception.approved is not None and exception.approved < today
                self.rows["credit_exceptions"].append(
                    (
                        f"X{customer.customer_id}-{exception.requested}",
                        customer.customer_id,
                        exception.kind,
                        exception.requester,
                        text[exception.requested],
                        exception.approver if approved else None,
                        text[exception.approved] if approved and exception.approved else None,
                        exception.terms,
                        None if exception.limit is None else f"{exception.limit}.00",
                        text[exception.expires],
                        exception.reason,
                    )
                )
        self._scores(customer)

    def _contacts(self, customer: Customer) -> None:
        traits = customer.traits
        dice = self.chance.dice("contacts", customer.customer_id)
        for number, role in enumerate(("accounts_payable", "senior", "executive")[: traits.contacts], start=1):
            name = names.person(dice)
            mail = f"{'.'.join(names.ascii_word(word) for word in name.split())}@{names.domain(traits.name)}"
            phone = names.phone(dice, traits.country) if dice.random() < 0.85 else None
            self.rows["contacts"].append(
                (f"K{customer.customer_id}{number}", customer.customer_id, role, name, mail if traits.email else None, phone)
            )

    def _scores(self, customer: Customer) -> None:
        """What the bureaus wrote: quarterly, monthly for watched accounts, once in a long while for some, never for others."""
        traits, key = customer.traits, customer.customer_id
        if traits.bureau < 0.08 or customer.slot == 0:
            return
        every = 30 if traits.bureau < 0.11 else 1 if traits.monthly_score else 3
        dnb, creditsafe = traits.bureau < 0.72, traits.bureau > 0.3 or traits.stress or customer.kind.name == "failing"
        phase = customer.slot
        for month in range(max(self.month - MONTHS - 3, month_of(customer.start)), min(self.month, customer.months[1]) + 1):
            if (month + phase) % every:
                continue
            dice = self.chance.dice("scores", key, month)
            day = first_day(month) + dice.randrange(27)
            if not max(customer.start, self.begin - 90) <= day < min(self.day, customer.end + 90):
                continue
            self._scored(customer, month, day, dice, dnb, creditsafe)

    def _scored(self, customer: Customer, month: int, day: int, dice: Random, dnb: bool, creditsafe: bool) -> None:
        traits, key = customer.traits, customer.customer_id
        rows, text = self.rows["credit_scores"], self.text[day]
        fetched = text + OPENING[traits.entity][dice.randrange(200)]
        days = max(0.0, customer.outside_lateness(month) + dice.gauss(0, 2))
        health = max(0.02, min(0.98, customer.health(month) + dice.gauss(0, 0.025)))
        by_number = traits.bureau > 0.93
        ids = (None if by_number else key, traits.registration)
        gone = any(status == "insolvent" and at < day for at, status in customer.statuses(self.calendar, self.chance)[1:])
        confidence = str(dice.choice((7, 8, 9, 10, 10)))
        nothing: Row = (None,) * 6
        if dnb:
            paydex = str(max(1, min(100, _paydex(days) + dice.randrange(-2, 3))))
            if dice.random() < 0.012:
                paydex = dice.choice(("0", "UN"))
            rows.append(("dnb", text, "paydex", paydex, *ids, "paydex", None, None, *nothing, None, confidence, fetched))
            if (month + customer.slot) % 6 == 0:
                american = traits.country in ("US", "CA")
                raw = round(1001 + health * 874) if american else max(1, round(health * 100))
                score = "0" if dice.random() < 0.01 else str(raw)
                grade = str(5 - min(4, int(health * 5))) if american else str(4 - min(3, int(health * 4)))
                model = "us_failure_v7" if american else "eu_failure_percentile"
                rows.append(("dnb", text, "failure_score", score, *ids, model, grade, None, *nothing, None, confidence, fetched))
                if traits.country == "US" and traits.bureau < 0.5:
                    late = max(0.0, min(1.0, 1 - days / 90))
                    rows.append(
                        (
                            *("dnb", text, "delinquency_score", str(round(101 + late * 569)), *ids, "us_delinquency_v4"),
                            *(str(5 - min(4, int(late * 5))), None, *nothing, None, confidence, fetched),
                        )
                    )
        if creditsafe:
            preview = customer.slot % 149 == 5
            score = "NR" if dice.random() < 0.008 else str(round(health * (500 if preview else 100)))
            industry = INDUSTRIES[traits.industry] + dice.randrange(-1, 2)
            liquid = 0.35 + 2.1 * health
            statements = dice.random() < 0.85
            rows.append(
                (
                    *("creditsafe", text, "credit_score", score, *ids, "preview_2" if preview else "international_score"),
                    *("EDCBA"[min(4, int(health * 5))], "insolvent" if gone else "active", str(round(days)), str(industry)),
                    *(f"{round(traits.median * traits.invoices * health * 3, -2):.2f}", traits.currency),
                    *(
                        (f"{liquid:.2f}", f"{liquid * 0.68:.2f}", f"{0.25 + 3.2 * (1 - health):.2f}")
                        if statements
                        else (None,) * 3
                    ),
                    *(None, fetched),
                )
            )

    # --- what everybody shares ---------------------------------------------------------------------------------------

    def _masters(self) -> None:
        self.rows["companies"] += (
            (entity.company_id, entity.name, entity.currency, entity.country, entity.timezone, entity.country)
            for entity in ENTITIES
        )
        self.rows["payment_terms"] += ((terms, *rest) for terms, rest in TERMS.items())
        self.rows["exchange_rates"] += self.rates.rows()


class _Rates:
    """Daily rates in millionths, of business days before the morning. 1 `currency` = rate / 1,000,000 `base`."""

    KNOT = 40  # days between two turning points

    def __init__(self, chance: Chance, calendar: Calendar, first: int, today: int):
        self.chance = chance
        self.calendar = calendar
        self.today = today
        self.first = first

    def at(self, currency: str, base: str, day: int) -> int | None:
        """The latest rate on or before a day, as known this morning; None for a currency in itself."""
        if currency == base:
            return None
        return self._quoted(currency, base, self.calendar.previous[min(day, self.today - 1)])

    def rows(self) -> Iterator[Row]:
        for day in range(self.first, self.today):
            if self.calendar.previous[day] == day:
                for currency, base in (("USD", "EUR"), ("GBP", "EUR"), ("EUR", "USD"), ("GBP", "USD")):
                    rate = self._quoted(currency, base, day)
                    yield self.calendar.text[day], currency, base, f"{rate // 1_000_000}.{rate % 1_000_000:06d}"

    def _quoted(self, currency: str, base: str, day: int) -> int:
        dollar, sterling = self._in_euro("USD", 0.905, day), self._in_euro("GBP", 1.165, day)
        value = {
            ("USD", "EUR"): dollar,
            ("GBP", "EUR"): sterling,
            ("EUR", "USD"): 1 / dollar,
            ("GBP", "USD"): sterling / dollar,
        }[currency, base]
        return round(value * 1_000_000)

    def _in_euro(self, currency: str, middle: float, day: int) -> float:
        knot, along = divmod(day, self.KNOT)
        before, after = (self.chance.roll("rate", currency, at) - 0.5 for at in (knot, knot + 1))
        swing = before + (after - before) * along / self.KNOT
        daily = self.chance.roll("rate of the day", currency, day) - 0.5
        return middle * (1 + 0.08 * swing + 0.006 * daily)


def _money(cents: int) -> str:
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02d}"


def _paydex(days: float) -> int:
    """D&B's published scale of days beyond terms, linear between its points."""
    scale = ((0, 80), (15, 70), (22, 60), (30, 50), (60, 40), (90, 30), (120, 20), (400, 1))
    for (low, high_score), (high, low_score) in pairwise(scale):
        if days <= high:
            return round(high_score + (low_score - high_score) * (days - low) / (high - low))
    return 1


_ITEMS = {
    "Drives": ("Servo drive SD-40", "Spindle drive SX-12", "Linear drive LD-8", "Frequency converter FC-75"),
    "Gearboxes": ("Planetary gearbox PG-20", "Bevel gearbox BG-6", "Worm gearbox WG-11"),
    "Controls": ("Motion controller MC-3", "Operator panel OP-10", "Safety relay SR-2"),
    "Spare parts": ("Bearing set", "Seal kit", "Encoder cable 5 m", "Brake module", "Coupling"),
    "Service": ("Maintenance contract, monthly", "Field service, hours", "Remote diagnosis", "Training"),
}

_OLD = "2001-01-02T03:04:05Z"
_UNREADABLE: Mapping[str, tuple[Mapping[str, object], ...]] = {
    # Brought over from the system before this one and never cleaned. Nothing points to them, and they never change.
    "customers": ({"customer_id": "OLD-0001", "name": "Altbestand Ungeklärt", "status": "frozen", "updated_at": _OLD},),
    "contacts": (
        {"contact_id": "OLD-K1", "customer_id": "OLD-0001", "role": "janitor", "name": "N. N."},
        {"contact_id": "OLD-K2", "role": "senior", "name": "Unknown"},
    ),
    "invoices": (
        {"invoice_id": "OLD-1", "invoice_number": "M-1001", "customer_id": "OLD-0001", "document_type": "invoice"}
        | {"invoice_date": "2000-02-30", "currency": "EUR", "amount": "118.00", "updated_at": _OLD},
        {"invoice_id": "OLD-2", "invoice_number": "M-1002", "customer_id": "OLD-0001", "document_type": "invoice"}
        | {"invoice_date": "2000-03-14", "currency": "EUR", "amount": "1.204,50", "updated_at": _OLD},
        {"invoice_id": "OLD-3", "invoice_number": "M-1003", "customer_id": "OLD-0001", "document_type": "proforma"}
        | {"invoice_date": "2000-03-15", "currency": "EUR", "amount": "75.00", "updated_at": _OLD},
        {"invoice_id": "OLD-4", "invoice_number": "M-1004", "document_type": "invoice", "invoice_date": "2000-03-16"}
        | {"currency": "EUR", "amount": "310.00", "updated_at": _OLD},
    ),
    "payments": (
        {"payment_id": "OLD-P1", "customer_id": "OLD-0001", "payment_date": "soon", "currency": "EUR", "amount": "75.00"}
        | {"updated_at": _OLD},
        {"payment_id": "OLD-P2", "customer_id": "OLD-0001", "payment_date": "2000-04-01", "currency": "EUR", "amount": "n/a"}
        | {"updated_at": _OLD},
    ),
    "disputes": ({"dispute_id": "OLD-D1", "invoice_id": "OLD-2", "opened_on": "31.03.2000", "reason": "price"},),
    "promises": (
        {
            "promise_id": "OLD-V1",
            "customer_id": "OLD-0001",
            "made_on": "2000-04-02",
            "promised_date": "2000-04-31",
            "amount": "75.00",
        },
    ),
    "activities": (
        {"activity_id": "OLD-Y1", "customer_id": "OLD-0001", "occurred_at": "yesterday", "channel": "call"},
        {"activity_id": "OLD-Y2", "occurred_at": "2000-04-03T09:00:00Z", "channel": "email"},
    ),
    "exchange_rates": (
        {"rate_date": "2000-01-03", "currency": "DEM", "base_currency": "EUR", "rate": "0,511292"},
        {"rate_date": "2000-01-03", "currency": "ATS", "base_currency": "EUR"},
    ),
    "credit_scores": (
        {"bureau": "dnb", "scored_on": "2000-13-01", "score_code": "paydex", "raw_score": "80", "customer_id": "OLD-0001"},
        {"bureau": "dnb", "scored_on": "2000-12-01", "score_code": "paydex", "raw_score": "80"},
    ),
}
