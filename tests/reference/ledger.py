"""What is owed, how old it is and how late it was paid, in plain Python: the second opinion the marts are held against.

Belongs here: the rules of balances, aging and days beyond terms, written to be read, one record at a time, with `Decimal` and
`Fraction`. Does not belong here: anything the pipeline uses — no SQL, no policy seed, no data frame — and anything clever. Where a
rule can be read in two ways, the comment says which one is meant.

A book is a mapping of dataset name to records; a record is a mapping of the contract's column names to `str`, `date`, `Decimal`,
`int` or None. Columns and datasets that are absent are None and empty.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

Record = Mapping[str, Any]
Book = Mapping[str, Sequence[Record]]

HISTORY_MONTHS = 24
TRIFLE = Decimal(10)
"""What a customer has past due with an entity is weighed from so much on, in reporting currency."""
SHORTEST_NUMBER = 4
DASHES = "‐‑‒–—―−﹘﹣－"
EXACT = Context(prec=60)
DIGITS = {"JPY": 0, "KWD": 3}
"""How many digits the amounts of a currency have, where that is not two (of those that the books know)."""
BUCKETS = (("current", None, 0), ("1-30", 1, 30), ("31-60", 31, 60), ("61-90", 61, 90), ("90+", 91, None))
AMOUNT_COLUMNS = {
    "current": "current_amount",
    "1-30": "d1_30",
    "31-60": "d31_60",
    "61-90": "d61_90",
    "90+": "d90_plus",
    "no_due_date": "no_due_date",
}
PAYDEX = ((-30, 100), (-20, 90), (-10, 85), (0, 80), (15, 70), (22, 60), (30, 50), (60, 40), (90, 30), (120, 20))


class MissingRate(Exception):
    """No rate between two currencies on or before a day."""


@dataclass(frozen=True)
class Item:
    """One open item on a day. Credits and unapplied cash are negative and have no due date, no days, no bucket."""

    day: date
    item_id: str
    item_type: str
    invoice_id: str | None
    document_number: str
    company_id: str
    customer_id: str
    document_date: date
    due_date: date | None
    currency: str
    original_amount: Decimal
    open_amount: Decimal

    @property
    def is_receivable(self) -> bool:
        return self.item_type in ("invoice", "debit_memo")

    @property
    def days_past_due(self) -> int | None:
        return (self.day - self.due_date).days if self.due_date else None

    @property
    def bucket(self) -> str | None:
        return bucket_of(self.days_past_due) if self.is_receivable else None


@dataclass(frozen=True)
class Piece:
    """The part of an allocation that lies on one instalment (None: the invoice has none) on a day."""

    allocation: Record
    instalment: Record | None
    amount: Decimal


@dataclass(frozen=True)
class Weight:
    """An amount in reporting currency and the days it is weighed with; no days where there is no due date to count from, or it is a
    trifle."""

    amount: Decimal
    days: int | None
    days_to_pay: int | None = None


# --- small things -----------------------------------------------------------------------------------------------------


def bucket_of(days_past_due: int | None) -> str:
    if days_past_due is None:
        return "no_due_date"
    for name, first, last in BUCKETS:
        if (first is None or days_past_due >= first) and (last is None or days_past_due <= last):
            return name
    raise AssertionError(f"no bucket holds {days_past_due}")


def month_end(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def months_before(day: date, months: int) -> date:
    """The first day of the month so many months before the day's own."""
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def snapshot_dates(as_of: date) -> list[date]:
    """The last days of the 24 complete months before the running one, oldest first, and the day itself."""
    return [month_end(months_before(as_of, back)) for back in range(HISTORY_MONTHS, 0, -1)] + [as_of]


def asked_by(terms: Record, invoiced_on: date) -> date:
    """The day that terms make of an invoice date. The entities of these books have no holidays, and no work on Saturdays and Sundays."""
    day = month_end(invoiced_on) if terms.get("from_month_end") else invoiced_on
    day += timedelta(days=terms["net_days"])
    if terms.get("to_month_end"):
        day = month_end(day)
    if number := terms.get("due_day"):
        while day.day != number and not (day.day < number and day == month_end(day)):
            day += timedelta(days=1)
    step = {"next": 1, "previous": -1}.get(terms.get("business_days") or "", 0)
    while step and day.isoweekday() > 5:
        day += timedelta(days=step)
    return day


def believed(due_date: date, invoiced_on: date) -> date | None:
    """A due date, unless it lies so far before the invoice, or after it, that nobody can mean it."""
    return due_date if -30 <= (due_date - invoiced_on).days <= 3650 else None


def ratio(numerator: Decimal | Fraction | int, denominator: Decimal | Fraction | int) -> Fraction | None:
    return Fraction(numerator) / Fraction(denominator) if denominator else None


def paydex_equivalent(days: Fraction | None) -> Fraction | None:
    """The score of so many days beyond terms: linear between the published anchors, and no further than they go."""
    if days is None:
        return None
    if days <= PAYDEX[0][0]:
        return Fraction(PAYDEX[0][1])
    for (from_days, from_score), (to_days, to_score) in pairwise(PAYDEX):
        if days <= to_days:
            return from_score + (days - from_days) * Fraction(to_score - from_score, to_days - from_days)
    return Fraction(PAYDEX[-1][1])


def _spelt(text: str) -> str:
    return "".join("-" if letter in DASHES else letter for letter in text.lower())


def _number(text: str) -> str:
    """A number as it is compared: without what is printed before its first letter or digit and after its last."""
    letters = [place for place, letter in enumerate(text) if letter.isalnum()]
    return _spelt(text)[letters[0] : letters[-1] + 1] if letters else ""


def _places(reference: str, number: str) -> set[tuple[int, int]]:
    """From where to where a number stands in a payment's reference with no letter or digit on either side."""
    said, found = f" {_spelt(reference)} ", set()
    for at in range(len(said)):
        if number and said.startswith(number, at) and not said[at - 1].isalnum() and not said[at + len(number)].isalnum():
            found.add((at, at + len(number)))
    return found


def smallest_amount(currency: str) -> Decimal:
    """A cent, a yen, a fils."""
    return Decimal(1).scaleb(-DIGITS.get(currency, 2))


class Ledger:
    """A book, read on the morning of `as_of`."""

    def __init__(self, book: Book, as_of: date, reporting_currency: str | None = None):
        self.as_of = as_of
        self.customers = {record["customer_id"]: record for record in book.get("customers", ())}
        self.terms = {record["payment_terms"]: record for record in book.get("payment_terms", ())}
        self.documents = {record["invoice_id"]: record for record in book.get("invoices", ())}
        self.payments = {record["payment_id"]: record for record in book.get("payments", ())}
        self.receivables_of: dict[str, list[Record]] = defaultdict(list)
        for record in self.documents.values():
            if record["document_type"] != "credit_memo":
                self.receivables_of[record["customer_id"]].append(record)
        self.instalments: dict[str, list[Record]] = defaultdict(list)
        for record in book.get("instalments", ()):
            if record["invoice_id"] in self.documents:
                issued = self.documents[record["invoice_id"]]["invoice_date"]
                self.instalments[record["invoice_id"]].append({**record, "due_date": believed(record["due_date"], issued)})
        for invoice_id, schedule in self.instalments.items():
            schedule.sort(key=lambda r: (r["due_date"] or date.max, r["instalment_number"]))
            missing = self.documents[invoice_id]["amount"] - sum(record["amount"] for record in schedule)
            unit = smallest_amount(self.documents[invoice_id]["currency"])
            if abs(missing) <= unit * len(schedule) and schedule[-1]["amount"] + missing >= 0:
                schedule[-1] = {**schedule[-1], "amount": schedule[-1]["amount"] + missing}
        self._read_companies(book, reporting_currency)
        self._read_refunds(book.get("refunds", ()))
        self._read_rates(book)
        self._read_allocations(book.get("allocations", ()))
        self._read_allocations(self._with_reference_matches(book.get("allocations", ())))

    # --- who, in which currency --------------------------------------------------------------------------------------

    def _read_companies(self, book: Book, reporting_currency: str | None) -> None:
        self.base = {record["company_id"]: record["currency"] for record in book.get("companies", ())}
        self.assumed = not self.base
        if self.assumed:  # no entities delivered: one, MAIN, in the only currency there is, else in the group's
            currencies = {record["currency"] for record in self.documents.values()}
            self.base = {"MAIN": currencies.pop() if len(currencies) == 1 else reporting_currency}
        kept = Counter(self.base.values())
        most = [name for name in sorted(self.base) if kept[self.base[name]] == max(kept.values())]
        self.reporting = reporting_currency or self.base[most[0]]

    def company_of(self, record: Record) -> str:
        """The entity a record names, else its customer's, else the only one."""
        if self.assumed:
            return "MAIN"
        customer = self.customers.get(record["customer_id"], {})
        only = next(iter(self.base)) if len(self.base) == 1 else None
        return record.get("company_id") or customer.get("company_id") or only or "MAIN"

    def _read_rates(self, book: Book) -> None:
        self.quotes: dict[tuple[str, str], dict[date, Decimal]] = defaultdict(dict)
        for record in book.get("exchange_rates", ()):
            self.quotes[record["currency"], record["base_currency"]][record["rate_date"]] = record["rate"]

    def rate(self, currency: str, to_currency: str, day: date) -> Decimal:
        """The latest rate on or before a day, in whichever direction it was quoted: the inverse to 10 places, and only where the
        pair itself was not quoted that same day."""
        rates = {
            rate_date: EXACT.divide(Decimal(1), rate).quantize(Decimal("1e-10"), ROUND_HALF_UP)
            for rate_date, rate in self.quotes[to_currency, currency].items()
        } | self.quotes[currency, to_currency]
        known = [rate_date for rate_date in rates if rate_date <= day]
        if not known:
            raise MissingRate(f"{currency} to {to_currency} on {day}")
        return rates[max(known)]

    def converted(self, amount: Decimal, currency: str, to_currency: str, day: date) -> Decimal:
        """Rounded half up to the currency's own digits where it is converted, untouched where there is nothing to convert."""
        if currency == to_currency:
            return amount
        return EXACT.multiply(amount, self.rate(currency, to_currency, day)).quantize(
            smallest_amount(to_currency), ROUND_HALF_UP, EXACT
        )

    # --- allocations -------------------------------------------------------------------------------------------------

    def _read_allocations(self, records: Iterable[Record]) -> None:
        """Index the allocations that have a receivable and, where they name one, a source: in another currency where they
        say what they take of it."""
        self.onto: dict[str, list[Record]] = defaultdict(list)
        self.out_of: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in records:
            invoice = self.documents.get(record["invoice_id"])
            if not invoice or invoice["document_type"] == "credit_memo":
                continue
            if record["source_type"] in ("payment", "credit_memo"):
                source = self.source_of(record)
                if not source or (source["currency"] != invoice["currency"] and record.get("source_amount") is None):
                    continue
                self.out_of[record["source_type"], record["source_id"]].append(record)
            self.onto[record["invoice_id"]].append(record)

    def source_of(self, allocation: Record) -> Record | None:
        if allocation["source_type"] == "payment":
            return self.payments.get(allocation["source_id"])
        document = self.documents.get(allocation["source_id"])
        is_credit = allocation["source_type"] == "credit_memo" and document and document["document_type"] == "credit_memo"
        return document if is_credit else None

    def effective_on(self, allocation: Record) -> date:
        """The latest of its own date, its source's and its invoice's; the day of the match that it confirms."""
        if allocation.get("confirms_since"):
            return allocation["confirms_since"]
        source = self.source_of(allocation) or {}
        dates = [allocation["allocated_on"], self.documents[allocation["invoice_id"]]["invoice_date"]]
        dates += [source.get("payment_date"), source.get("invoice_date")]
        return max(day for day in dates if day)

    def ended_on(self, allocation: Record) -> date | None:
        """The earliest of its own reversal, its source's end and its invoice's voiding."""
        source = self.source_of(allocation) or {}
        dates = [allocation.get("reversed_on"), self.documents[allocation["invoice_id"]].get("voided_on")]
        dates += [source.get("reversed_on"), source.get("voided_on")]
        return min((day for day in dates if day), default=None)

    def stands(self, allocation: Record, day: date) -> bool:
        ended_on = self.ended_on(allocation)
        return self.effective_on(allocation) <= day and (ended_on is None or ended_on > day)

    # --- refunds -----------------------------------------------------------------------------------------------------

    def _read_refunds(self, records: Iterable[Record]) -> None:
        """Those that name a source that is there, in their currency, by that; the others by whose account they come out of. Of a
        refund that names an id without saying of what, it is the payment's before it is the credit memo's."""
        self.refunds_of: dict[tuple[str, str], list[Record]] = defaultdict(list)
        self.refunds_from: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
        for record in records:
            named = [
                ("payment", self.payments.get(record.get("source_id"))),
                ("credit_memo", self.credit_memo(record.get("source_id"))),
            ]
            fitting = [
                (kind, record["source_id"])
                for kind, source in named
                if source and source["currency"] == record["currency"] and record.get("source_type") in (None, kind)
            ]
            if fitting:
                self.refunds_of[fitting[0]].append(record)
            else:
                self.refunds_from[self._account(record)].append(record)

    def _account(self, record: Record) -> tuple[str, str, str]:
        return self.company_of(record), record["customer_id"], record["currency"]

    def credit_memo(self, document_id: str | None) -> Record | None:
        document = self.documents.get(document_id)
        return document if document and document["document_type"] == "credit_memo" else None

    @staticmethod
    def refund_stands(refund: Record, day: date) -> bool:
        return refund["refunded_on"] <= day and (refund.get("reversed_on") is None or refund["reversed_on"] > day)

    def paid_back(self, account: tuple[str, str, str], day: date) -> dict[tuple[str, str], Decimal]:
        """Where the refunds that name nothing lie on a day: on unapplied cash, then credit memos, oldest first; what is more than
        there is, on the newest refunds themselves."""
        refunds = sorted(
            (refund for refund in self.refunds_from[account] if self.refund_stands(refund, day)),
            key=lambda refund: (refund["refunded_on"], refund["refund_id"]),
        )
        sources = [(0, r["payment_date"], ("payment", key), r) for key, r in self.payments.items()]
        sources += [(1, r["invoice_date"], ("credit_memo", key), r) for key, r in self.documents.items() if self.credit_memo(key)]
        ordered = sorted((order, dated, key) for order, dated, key, record in sources if self._account(record) == account)
        room = [(key, self._unused(key, day)) for _, _, key in ordered]
        laid: dict[tuple[str, str], Decimal] = {}
        for refund in refunds:
            left = refund["amount"]
            for place, (key, amount) in enumerate(room):
                taken = min(left, amount)
                if taken > 0:
                    laid[key] = laid.get(key, Decimal(0)) + taken
                    room[place] = (key, amount - taken)
                    left -= taken
            if left:
                laid["refund", refund["refund_id"]] = left
        return laid

    # --- reference matches -------------------------------------------------------------------------------------------

    def _with_reference_matches(self, told: Sequence[Record]) -> list[Record]:
        """What the source says, and what comes of payments that name invoices on the days on which it is silent about them. Where it
        begins by allocating the very amount to the same invoice, once, that goes on from the day of the match."""
        rows = list(told)
        for match in self._reference_matches(told):
            confirming = [
                record
                for record in self.onto[match["invoice_id"]]
                if (record["source_type"], record["source_id"]) == ("payment", match["source_id"])
                and record["amount"] == match["amount"]
                and self.effective_on(record) == match["reversed_on"]
                and self.stands(record, match["reversed_on"])
            ]
            if len(confirming) == 1:
                rows = [{**row, "confirms_since": match["allocated_on"]} if row is confirming[0] else row for row in rows]
            else:
                rows.append(match)
        return rows

    def _reference_matches(self, told: Sequence[Record]) -> Iterator[Record]:
        """Day by day: a payment that the source has not allocated yet goes to the invoices its reference names which are there and
        open, as it comes or as they come, the earliest payment first, the oldest due first, never more than there is. A number borne
        by two invoices open then names neither."""
        spoken: dict[str, date] = {}
        for record in told:
            if record["source_type"] == "payment":
                spoken[record["source_id"]] = min(record["allocated_on"], spoken.get(record["source_id"], date.max))
        for customer_id, invoices in self.receivables_of.items():
            silent = [
                payment
                for payment in sorted(self.payments.values(), key=lambda record: (record["payment_date"], record["payment_id"]))
                if payment["customer_id"] == customer_id and payment.get("reference")
            ]
            made: list[Record] = []
            for day in sorted(
                {payment["payment_date"] for payment in silent} | {invoice["invoice_date"] for invoice in invoices}
            ):
                for payment in silent:
                    if self.exists(payment, day) and spoken.get(payment["payment_id"], date.max) > day:
                        made += self._matches_on(day, payment, invoices, made, spoken.get(payment["payment_id"]))
            yield from made

    def _matches_on(
        self, day: date, payment: Record, invoices: Sequence[Record], made: Sequence[Record], spoken_on: date | None
    ) -> list[Record]:
        def matched(column: str, value: str) -> Decimal:
            standing = [match for match in made if match[column] == value and self.stands(match, day)]
            return sum((match["amount"] for match in standing), Decimal(0))

        left = self._unused(("payment", payment["payment_id"]), day) - matched("source_id", payment["payment_id"])
        named = self._named(payment, [invoice for invoice in invoices if invoice["invoice_date"] <= day])
        room = {
            invoice["invoice_id"]: self.open_amount(invoice["invoice_id"], day) - matched("invoice_id", invoice["invoice_id"])
            for invoice in named
        }
        still_open = [invoice for invoice in named if room[invoice["invoice_id"]] > 0]
        numbers = [_number(invoice["invoice_number"]) for invoice in still_open]
        found: list[Record] = []
        for invoice in sorted(still_open, key=lambda record: self._oldest_due(record["invoice_id"])):
            is_its_day = max(payment["payment_date"], invoice["invoice_date"]) == day
            amount = min(left, room[invoice["invoice_id"]])
            if is_its_day and numbers.count(_number(invoice["invoice_number"])) == 1 and amount > 0:
                left -= amount
                found.append(
                    {
                        "allocation_id": f"reference/{payment['payment_id']}/{invoice['invoice_id']}",
                        "invoice_id": invoice["invoice_id"],
                        "source_type": "payment",
                        "source_id": payment["payment_id"],
                        "allocated_on": day,
                        "reversed_on": spoken_on,
                        "amount": amount,
                    }
                )
        return found

    def _named(self, payment: Record, invoices: Sequence[Record]) -> list[Record]:
        """Those in the payment's currency, and of the entity it names, whose number stands in its reference, and not only as a part
        of longer numbers that stand there too."""
        names_entity = payment.get("company_id") and not self.assumed
        may_be_meant = [
            (invoice, _number(invoice["invoice_number"]))
            for invoice in invoices
            if invoice["currency"] == payment["currency"]
            and (not names_entity or self.company_of(invoice) == payment["company_id"])
            and len(invoice["invoice_number"]) >= SHORTEST_NUMBER
        ]
        places = {number: _places(payment["reference"], number) for _, number in may_be_meant}

        def is_part(at: int, to: int) -> bool:
            return any(
                first <= at and to <= last and last - first > to - at for wider in places.values() for first, last in wider
            )

        return [invoice for invoice, number in may_be_meant if any(not is_part(*place) for place in places[number])]

    def _oldest_due(self, invoice_id: str) -> tuple[date, date, str]:
        invoice = self.documents[invoice_id]
        return (self.due_date(invoice) or date.max, invoice["invoice_date"], invoice_id)

    # --- balances on a day -------------------------------------------------------------------------------------------

    def exists(self, document: Record, day: date) -> bool:
        """From its date until it is voided or, a payment, reversed."""
        began = document.get("invoice_date") or document["payment_date"]
        ended = document.get("voided_on") or document.get("reversed_on")
        return began <= day and (ended is None or ended > day)

    def open_amount(self, invoice_id: str, day: date) -> Decimal:
        """Of an invoice or debit memo."""
        invoice = self.documents[invoice_id]
        if not self.exists(invoice, day):
            return Decimal(0)
        return invoice["amount"] - sum(a["amount"] for a in self.onto[invoice_id] if self.stands(a, day))

    def available(self, credit_memo_id: str, day: date) -> Decimal:
        return self._left(("credit_memo", credit_memo_id), self.documents[credit_memo_id], day)

    def unapplied(self, payment_id: str, day: date) -> Decimal:
        return self._left(("payment", payment_id), self.payments[payment_id], day)

    def _left(self, key: tuple[str, str], source: Record, day: date) -> Decimal:
        account = self._account(source)
        taken = self.paid_back(account, day).get(key, Decimal(0)) if account in self.refunds_from else Decimal(0)
        return self._unused(key, day) - taken

    def _unused(self, key: tuple[str, str], day: date) -> Decimal:
        """What is left of a payment or credit memo without the refunds that name nothing."""
        source = self.payments[key[1]] if key[0] == "payment" else self.documents[key[1]]
        if not self.exists(source, day):
            return Decimal(0)
        paid_back = sum(refund["amount"] for refund in self.refunds_of[key] if self.refund_stands(refund, day))
        used = sum(self.taken(a, source) for a in self.out_of[key] if self.stands(a, day))
        return source["amount"] - used - paid_back

    def taken(self, allocation: Record, source: Record) -> Decimal:
        """What an allocation takes of its payment or credit memo, in the currency of that."""
        settled_in_another = source["currency"] != self.documents[allocation["invoice_id"]]["currency"]
        return allocation["source_amount"] if settled_in_another else allocation["amount"]

    def balance(self, customer_id: str, day: date) -> dict[str, Decimal]:
        """What a customer owes, by currency: open invoices and debit memos, less credit memos and unapplied payments."""
        balances: dict[str, Decimal] = defaultdict(Decimal)
        for document_id, document in self.documents.items():
            if document["customer_id"] == customer_id:
                is_credit = document["document_type"] == "credit_memo"
                amount = -self.available(document_id, day) if is_credit else self.open_amount(document_id, day)
                balances[document["currency"]] += amount
        for payment_id, payment in self.payments.items():
            if payment["customer_id"] == customer_id:
                balances[payment["currency"]] -= self.unapplied(payment_id, day)
        for account in list(self.refunds_from):
            if account[1] == customer_id:
                balances[account[2]] += sum(v for (kind, _), v in self.paid_back(account, day).items() if kind == "refund")
        return {currency: amount for currency, amount in balances.items() if amount}

    # --- items -------------------------------------------------------------------------------------------------------

    def due_date(self, document: Record) -> date | None:
        """The document's own, else from the terms it names, else, where it names none, from its customer's."""
        if document.get("due_date"):
            return believed(document["due_date"], document["invoice_date"])
        code = document.get("payment_terms") or self.customers.get(document["customer_id"], {}).get("payment_terms")
        if code not in self.terms:
            return None
        return believed(asked_by(self.terms[code], document["invoice_date"]), document["invoice_date"])

    def pieces(self, invoice_id: str, day: date) -> list[Piece]:
        """Where the allocations that stand on a day lie. Those naming an instalment lie on it; the others, by the day they took
        effect, fill the oldest first as it stands on this day. What is too much, and what raises the invoice, lies on the last."""
        standing = [allocation for allocation in self.onto[invoice_id] if self.stands(allocation, day)]
        schedule = self.instalments.get(invoice_id, [])
        if not schedule:
            return [Piece(allocation, None, allocation["amount"]) for allocation in standing]
        by_number = {instalment["instalment_number"]: instalment for instalment in schedule}
        pieces, waiting = [], []
        for allocation in standing:
            named = by_number.get(allocation.get("instalment_number"))
            if named or allocation["amount"] < 0:
                pieces.append(Piece(allocation, named or schedule[-1], allocation["amount"]))
            else:
                waiting.append(allocation)
        room = {number: instalment["amount"] for number, instalment in by_number.items()}
        for piece in pieces:
            room[piece.instalment["instalment_number"]] -= piece.amount
        for allocation in sorted(waiting, key=lambda a: (self.effective_on(a), a["allocation_id"])):
            left = allocation["amount"]
            for instalment in schedule:
                number = instalment["instalment_number"]
                amount = left if instalment is schedule[-1] else min(left, max(room[number], Decimal(0)))
                if amount > 0:
                    pieces.append(Piece(allocation, instalment, amount))
                    room[number] -= amount
                    left -= amount
        return pieces

    def items(self, day: date) -> list[Item]:
        """Everything with a balance that is not zero on a day."""
        found = [
            item for document in self.documents.values() if self.exists(document, day) for item in self._items(document, day)
        ]
        for payment_id, payment in self.payments.items():
            if self.exists(payment, day):
                found.append(
                    Item(
                        day=day,
                        item_id=f"payment/{payment_id}",
                        item_type="payment",
                        invoice_id=None,
                        document_number=payment_id,
                        company_id=self.company_of(payment),
                        customer_id=payment["customer_id"],
                        document_date=payment["payment_date"],
                        due_date=None,
                        currency=payment["currency"],
                        original_amount=-payment["amount"],
                        open_amount=-self.unapplied(payment_id, day),
                    )
                )
        for account in list(self.refunds_from):
            laid = self.paid_back(account, day)
            for refund in self.refunds_from[account]:
                company_id, customer_id, currency = account
                found.append(
                    Item(
                        day=day,
                        item_id=f"refund/{refund['refund_id']}",
                        item_type="refund",
                        invoice_id=None,
                        document_number=refund["refund_id"],
                        company_id=company_id,
                        customer_id=customer_id,
                        document_date=refund["refunded_on"],
                        due_date=None,
                        currency=currency,
                        original_amount=refund["amount"],
                        open_amount=laid.get(("refund", refund["refund_id"]), Decimal(0)),
                    )
                )
        return [item for item in found if item.open_amount]

    def _items(self, document: Record, day: date) -> Iterator[Item]:
        invoice_id = document["invoice_id"]
        common = {
            "day": day,
            "item_type": document["document_type"],
            "invoice_id": invoice_id,
            "document_number": document["invoice_number"],
            "company_id": self.company_of(document),
            "customer_id": document["customer_id"],
            "document_date": document["invoice_date"],
            "currency": document["currency"],
        }
        if document["document_type"] == "credit_memo":
            amount = -self.available(invoice_id, day)
            yield Item(item_id=invoice_id, due_date=None, original_amount=-document["amount"], open_amount=amount, **common)
            return
        schedule = self.instalments.get(invoice_id, [])
        if not schedule:
            amount = self.open_amount(invoice_id, day)
            due_date = self.due_date(document)
            yield Item(item_id=invoice_id, due_date=due_date, original_amount=document["amount"], open_amount=amount, **common)
        pieces = self.pieces(invoice_id, day)
        for instalment in schedule:
            paid = sum(piece.amount for piece in pieces if piece.instalment is instalment)
            yield Item(
                item_id=f"{invoice_id}/{instalment['instalment_number']}",
                due_date=instalment["due_date"],
                original_amount=instalment["amount"],
                open_amount=instalment["amount"] - paid,
                **common,
            )

    def open_items(self) -> dict[str, dict[str, Any]]:
        """This morning's open items, as the mart has them."""
        rows = {}
        for item in self.items(self.as_of):
            base = self.base[item.company_id]
            rows[item.item_id] = {
                "company_id": item.company_id,
                "customer_id": item.customer_id,
                "item_type": item.item_type,
                "document_number": item.document_number,
                "document_date": item.document_date,
                "due_date": item.due_date,
                "currency": item.currency,
                "original_amount": item.original_amount,
                "open_amount": item.open_amount,
                "base_currency": base,
                "open_amount_base": self.converted(item.open_amount, item.currency, base, self.as_of),
                "reporting_currency": self.reporting,
                "open_amount_reporting": self.converted(item.open_amount, item.currency, self.reporting, self.as_of),
                "days_past_due": item.days_past_due,
                "aging_bucket": item.bucket,
            }
        return rows

    def aging(self, day: date) -> dict[tuple[str, str, str], dict[str, Any]]:
        """By entity, customer and currency: each bucket, and credits and unapplied cash beside them, never in them."""
        rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        for item in self.items(day):
            columns = [*AMOUNT_COLUMNS.values(), "total_open", "credits", "balance", "past_due"]
            key = (item.company_id, item.customer_id, item.currency)
            row = rows.setdefault(key, {**dict.fromkeys(columns, Decimal(0)), "oldest_days_past_due": None})
            row["balance"] += item.open_amount
            if not item.is_receivable:
                row["credits"] -= item.open_amount
                continue
            row["total_open"] += item.open_amount
            row[AMOUNT_COLUMNS[item.bucket]] += item.open_amount
            if item.due_date and item.due_date < day:
                row["past_due"] += item.open_amount
                if item.open_amount > 0:  # nothing is old of an over-allocated item
                    row["oldest_days_past_due"] = max(row["oldest_days_past_due"] or 0, item.days_past_due)
        return rows

    def subledger(self, day: date) -> dict[str, Decimal]:
        """What the items of each entity add up to on a day, in its own currency, each item converted by itself."""
        totals = dict.fromkeys(self.base, Decimal(0))
        for item in self.items(day):
            totals[item.company_id] += self.converted(item.open_amount, item.currency, self.base[item.company_id], day)
        return totals

    # --- days beyond terms -------------------------------------------------------------------------------------------

    def cash_applied(self, customer_id: str, first: date, last: date, standing_on: date) -> list[Weight]:
        """What of a customer's invoices was paid by allocations that took effect in a span of days and stand on a day: by the
        payment's own date against the due date of what it pays, in reporting currency at the rate of the day it took effect."""
        weights = []
        for invoice in self.receivables_of.get(customer_id, ()):
            for piece in self.pieces(invoice["invoice_id"], standing_on):
                effective_on = self.effective_on(piece.allocation)
                if piece.allocation["source_type"] != "payment" or not first <= effective_on <= last:
                    continue
                paid_on = self.payments[piece.allocation["source_id"]]["payment_date"]
                due_date = piece.instalment["due_date"] if piece.instalment else self.due_date(invoice)
                amount = self.converted(piece.amount, invoice["currency"], self.reporting, effective_on)
                is_trifle = due_date and paid_on > due_date and self.paid_a_trifle(invoice, amount, paid_on)
                weights.append(
                    Weight(
                        amount=amount,
                        days=(paid_on - due_date).days if due_date and not is_trifle else None,
                        days_to_pay=None if is_trifle else (paid_on - invoice["invoice_date"]).days,
                    )
                )
        return weights

    def paid_a_trifle(self, invoice: Record, amount: Decimal, paid_on: date) -> bool:
        """Whether no more than a trifle was past due, of the customer with the entity, on the eve of a payment that came late."""
        if amount >= TRIFLE:
            return False
        eve = paid_on - timedelta(days=1)
        late = [
            self.converted(item.open_amount, item.currency, self.reporting, eve)
            for document in self.receivables_of[invoice["customer_id"]]
            if self.company_of(document) == self.company_of(invoice) and self.exists(document, eve)
            for item in self._items(document, eve)
            if item.due_date and item.due_date < paid_on and item.open_amount > 0
        ]
        return sum(late, Decimal(0)) < TRIFLE

    def past_due(self, day: date) -> dict[str, list[Weight]]:
        """What each customer has past due and open on a day, but for what comes to a trifle with an entity. An over-allocated item
        owes nothing."""
        late: dict[tuple[str, str], list[Weight]] = defaultdict(list)
        for item in self.items(day):
            if item.is_receivable and (item.days_past_due or 0) > 0 and item.open_amount > 0:
                amount = self.converted(item.open_amount, item.currency, self.reporting, day)
                late[item.customer_id, item.company_id].append(Weight(amount, item.days_past_due))
        owed = defaultdict(list)
        for (customer_id, _), weights in late.items():
            if sum(weight.amount for weight in weights) >= TRIFLE:
                owed[customer_id] += weights
        return owed

    def months_beyond_terms(self) -> dict[tuple[str, date], dict[str, Any]]:
        """By customer and month: the 24 complete months and the running one, where there was anything to weigh."""
        rows = {}
        for day in snapshot_dates(self.as_of):
            owed = self.past_due(day)
            for customer_id in self.receivables_of:
                paid = self.cash_applied(customer_id, day.replace(day=1), day, standing_on=day)
                if paid or owed[customer_id]:
                    rows[customer_id, day.replace(day=1)] = weighed(paid, owed[customer_id])
        return rows

    def behaviour(self) -> dict[str, dict[str, Any]]:
        """Windows and trend of every known customer: ratios of sums over what was paid in the window and still stands, and what
        is past due this morning. A window of n months is the n complete months before the running one, and the running one."""
        months = self.months_beyond_terms()
        owed = self.past_due(self.as_of)
        rows = {}
        for customer_id in self.customers:
            row: dict[str, Any] = {}
            for window in (3, 6, 12, 24):
                paid = self.cash_applied(customer_id, months_before(self.as_of, window), self.as_of, standing_on=self.as_of)
                figures = weighed(paid, owed[customer_id])
                row[f"dbt_days_{window}m"] = figures["dbt_days"]
                if window == 12:
                    row["days_to_pay_12m"] = figures["days_to_pay"]
                    row["on_time_share_12m"] = figures["on_time_share"]
                    row["paid_amount_12m"] = figures["paid_amount"]
                    row["past_due_amount"] = figures["past_due_amount"]
            row["on_time_share_24m"] = figures["on_time_share"]
            row["paydex_equivalent"] = paydex_equivalent(row["dbt_days_12m"])
            rows[customer_id] = row | self._trend(customer_id, months)
        return rows

    def _trend(self, customer_id: str, months: Mapping[tuple[str, date], Mapping[str, Any]]) -> dict[str, Any]:
        """Over the twelve months that end with the last one that is over: those with anything to weigh."""
        back = 0 if self.as_of == month_end(self.as_of) else 1
        year = {11 - ago: months.get((customer_id, months_before(self.as_of, back + ago))) for ago in range(12)}
        weighed_months = {at: month for at, month in year.items() if month and month["dbt_days"] is not None}
        recent, prior = _ratio_of_sums(weighed_months, (9, 10, 11)), _ratio_of_sums(weighed_months, (6, 7, 8))
        slope, deviation = _slope_and_deviation({at: month["dbt_days"] for at, month in weighed_months.items()})
        return {
            "active_months": len(weighed_months),
            "dbt_slope": slope if len(weighed_months) >= 4 else None,
            "dbt_stddev": deviation,
            "dbt_days_recent": recent,
            "dbt_days_prior": prior,
            "direction": direction(len(weighed_months), slope, deviation, recent, prior),
        }


def weighed(paid: Sequence[Weight], owed: Sequence[Weight]) -> dict[str, Any]:
    """The figures of a span of time, exact: what was paid, what is past due, and both together. Paid early counts as no days late;
    what has no due date cannot be weighed by lateness. None, never 0, where there was nothing to weigh."""
    timed = [weight for weight in paid if weight.days is not None]
    timed_amount = sum((weight.amount for weight in timed), Decimal(0))
    late = sum((Fraction(weight.amount) * max(weight.days, 0) for weight in timed), Fraction(0))
    signed = sum((Fraction(weight.amount) * weight.days for weight in timed), Fraction(0))
    owed_amount = sum((weight.amount for weight in owed), Decimal(0))
    overdue = sum((Fraction(weight.amount) * weight.days for weight in owed), Fraction(0))
    paid_amount = sum((weight.amount for weight in paid), Decimal(0))
    counted = [weight for weight in paid if weight.days_to_pay is not None]
    return {
        "paid_amount": paid_amount,
        "past_due_amount": owed_amount,
        "weight": Fraction(timed_amount + owed_amount),
        "weighed_days": late + overdue,
        "dbt_days_paid": ratio(late, timed_amount),
        "days_late_signed": ratio(signed, timed_amount),
        "dbt_days_open": ratio(overdue, owed_amount),
        "dbt_days": ratio(late + overdue, timed_amount + owed_amount),
        "days_to_pay": ratio(
            sum((Fraction(w.amount) * w.days_to_pay for w in counted), Fraction(0)), sum((w.amount for w in counted), Decimal(0))
        ),
        "on_time_share": ratio(sum((w.amount for w in timed if w.days <= 0), Decimal(0)), timed_amount),
    }


def direction(
    months: int, slope: Fraction | None, deviation: float | None, recent: Fraction | None, prior: Fraction | None
) -> str:
    if months < 4 or slope is None:
        return "insufficient_history"
    change = recent - prior if recent is not None and prior is not None else 0
    if slope >= 1 and change >= 3:
        return "rising"
    if slope <= -1 and change <= -3:
        return "falling"
    return "erratic" if deviation is not None and deviation >= 10 else "steady"


def _ratio_of_sums(months: Mapping[int, Mapping[str, Any]], wanted: Iterable[int]) -> Fraction | None:
    chosen = [months[at] for at in wanted if at in months]
    days, weight = sum(month["weighed_days"] for month in chosen), sum(month["weight"] for month in chosen)
    return ratio(days, weight)


def _slope_and_deviation(points: Mapping[int, Fraction]) -> tuple[Fraction | None, float | None]:
    """Least squares, days per month, and the sample's standard deviation. Neither of a single point."""
    if len(points) < 2:
        return None, None
    mean_x, mean_y = Fraction(sum(points), len(points)), sum(points.values()) / len(points)
    spread = sum((x - mean_x) ** 2 for x in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points.items()) / spread
    return slope, float(sum((y - mean_y) ** 2 for y in points.values()) / (len(points) - 1)) ** 0.5
