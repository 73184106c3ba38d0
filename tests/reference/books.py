"""Small hostile books: every awkward thing a receivables ledger does, a few at a time.

Belongs here: writing a book of at most 6 customers and 15 documents by chance, and the rates that all books of a batch share. A
book is hostile but valid: what the pipeline refuses to go on with (an allocation without a parent, a missing rate, instalments
that do not add up) is not in it — `test_planted_defects.py` has those.

Plain chance and no property-testing library: a failing book is made smaller many trials a build (`proof.smallest`), which such a
library cannot do, and its examples depend on what else is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any, Literal

Record = dict[str, Any]
Book = dict[str, list[Record]]

CURRENCIES = ("EUR", "USD", "GBP", "JPY", "KWD")
NUMBERS = ("INV-1000", "INV-1000-2", "F0001", "(2025/07)")
"""Invoice numbers that several documents of a book may bear."""
MARKS = ("/", "+", "'", '"', "\t", "\n", "\u00a0", "[", "#", "-", "–", "—", "|", "_", "?", "„")
"""What may stand beside a number in a reference."""
CENT = Decimal("0.01")
IDS = frozenset(
    {"company_id", "customer_id", "invoice_id", "payment_id", "allocation_id", "refund_id", "source_id", "payment_terms"}
)
"""The columns that tie records together: what keeps the books of a batch apart."""


@dataclass(frozen=True)
class Setting:
    """What the books of a batch have in common. `entities`: each book its `own` (1 to 3), all books `one`, or `none` delivered.
    `corrected`: the source said something else before it said this."""

    name: str
    as_of: date
    entities: Literal["own", "one", "none"]
    reporting_currency: str
    corrected: bool = False


def generate(setting: Setting, count: int) -> list[tuple[Book, Book]]:
    """So many books with what the source had said of each before (an empty book where it always said the same).

    A book is its setting's name and its number: the same on every machine, whatever else is imported.
    """
    authors = (_Author(Random(f"{setting.name} {number}"), setting) for number in range(count))
    return [(book, author.draft(book) if setting.corrected else {}) for author in authors for book in [author.book()]]


def rates(setting: Setting) -> list[Record]:
    """A sparse table of rates: each pair in one direction or both, one of them from long ago, then seldom, around the days that
    matter."""
    chance = Random(setting.name)
    moments = [setting.as_of + timedelta(days=days) for days in (-1, 0, 1, 20)]
    moments += [day for back in (1, 2, 3, 7, 13, 25) for day in _around_month_end(setting.as_of, back)]
    quoted = {}
    for place, currency in enumerate(CURRENCIES):
        for base in CURRENCIES[place + 1 :]:
            middle = Decimal(chance.choice(["0.0071234567", "0.85", "1.1", "3.2345678901", "151.37", "1"]))
            directions = chance.choice([[(currency, base)], [(base, currency)], [(currency, base), (base, currency)]])
            for pair in directions:
                begins = [date(2015, 1, 1)] if pair == directions[0] else []
                for day in [*begins, *chance.sample(moments, 6)]:
                    moved = middle * (1 + Decimal(chance.randint(-300_000, 300_000)) / 10_000_000)
                    rate = moved if pair == (currency, base) else 1 / moved
                    quoted[day, *pair] = rate.quantize(Decimal("1e-10"))
    return [
        {"rate_date": day, "currency": currency, "base_currency": base, "rate": rate}
        for (day, currency, base), rate in sorted(quoted.items())
    ]


def companies(setting: Setting) -> list[Record]:
    """The entity that all books share, where they do."""
    return [{"company_id": "ONE", "name": "The only entity", "currency": "GBP"}] if setting.entities == "one" else []


def prefixed(book: Mapping[str, Sequence[Mapping[str, Any]]], prefix: str, setting: Setting) -> Book:
    """The book in an id space of its own. Entities that all books share keep their names."""
    ids = IDS if setting.entities == "own" else IDS - {"company_id"}
    return {
        dataset: [
            {column: prefix + value if column in ids and value is not None else value for column, value in record.items()}
            for record in records
        ]
        for dataset, records in book.items()
    }


def merged(books: Sequence[Mapping[str, Sequence[Record]]]) -> Book:
    names = dict.fromkeys(name for book in books for name in book)
    return {name: [record for book in books for record in book.get(name, ())] for name in names}


def without_orphans(book: Book) -> Book:
    """What is left of a book when records were taken from it and nothing may point nowhere."""
    documents = {record["invoice_id"]: record for record in book["invoices"]}
    payments = {record["payment_id"] for record in book["payments"]}

    def has_parents(allocation: Record) -> bool:
        source = allocation["source_id"]
        known = {"payment": source in payments, "credit_memo": source in documents}.get(allocation["source_type"], True)
        return allocation["invoice_id"] in documents and known

    def adds_up(invoice_id: str) -> bool:
        schedule = [record["amount"] for record in book["instalments"] if record["invoice_id"] == invoice_id]
        return invoice_id in documents and abs(sum(schedule) - documents[invoice_id]["amount"]) <= rest_of(
            documents[invoice_id], len(schedule)
        )

    return {
        **book,
        "allocations": [record for record in book["allocations"] if has_parents(record)],
        "instalments": [record for record in book["instalments"] if adds_up(record["invoice_id"])],
    }


def rest_of(document: Record, parts: int) -> Decimal:
    """What so many instalments may leave by rounding: the smallest amount of their currency each."""
    return CENT * parts * {"JPY": 100, "KWD": Decimal("0.1")}.get(document["currency"], 1)


# --- writing a book ---------------------------------------------------------------------------------------------------


class _Author:
    """Writes one book. What usually happens is drawn usually, so that what is odd about a book stands in a ledger that works."""

    def __init__(self, chance: Random, setting: Setting):
        self.chance = chance
        self.choice: Callable[[Sequence[Any]], Any] = chance.choice
        self.setting = setting
        self.hot_days = [day for back in (0, 1, 2, 3, 6, 12, 13, 24, 25) for day in _around_month_end(setting.as_of, back)]
        self.hot_days += [date(2024, 2, 29), date(2023, 12, 31), date(2024, 1, 1)]
        self.hot_days += [setting.as_of + timedelta(days=days) for days in (-1, 0, 1)]
        self.entities = self._entities()
        self.currencies = chance.sample(CURRENCIES, self.choice([1, 1, 2, 3]))
        self.customers: list[Record] = []
        self.customers = [self._customer(place) for place in range(self.choice([1, 1, 2, 3, 5]))]
        self.debtors = [record["customer_id"] for record in self.customers]
        if self.one_in(5):
            self.debtors.append("stranger")  # not in the customer list

    def one_in(self, n: int) -> bool:
        return self.chance.randrange(n) == 0

    def any_day(self) -> date:
        """Around the morning, a month-end of the history, a leap day, a year's end, long ago, or a day that has not come yet."""
        if self.one_in(3):
            return self.choice(self.hot_days)
        first, last = self.choice([(-70, 5), (-420, 0), (-420, 0), (-1500, 60)])
        return self.setting.as_of + timedelta(days=self.chance.randint(first, last))

    def day_after(self, day: date, first: int, last: int) -> date:
        """So many days after a day; sometimes any day."""
        return self.any_day() if self.one_in(5) else day + timedelta(days=self.chance.randint(first, last))

    def end_of(self, began: date, one_in: int) -> date | None:
        """When something ends, if it does: soon after, on the very day, on any day, even before it began."""
        return self.day_after(began, 0, 90) if self.one_in(one_in) else None

    def amount(self) -> Decimal:
        """Everyday money, four fraction digits, nothing, the smallest there is, and more than anybody owes."""
        odd = ("0", "0.0001", "0.005", "0.01", "0.015", "9999999999.9999", "1234567890.05")
        kinds: list[Callable[[], Decimal]] = [
            lambda: self.chance.randint(1, 400_000) * CENT,
            lambda: self.chance.randint(1, 400_000) * CENT,
            lambda: Decimal(self.choice([100, 300, 1000])),
            lambda: self.chance.randint(1, 50_000_000) * Decimal("0.0001"),
            lambda: Decimal(self.choice(odd)),
        ]
        return self.choice(kinds)()

    def book(self) -> Book:
        terms = [
            {
                "payment_terms": name,
                "net_days": self.choice([0, 14, 30, 90]),
                "from_month_end": self.choice([None, None, False, True]),
                "to_month_end": self.choice([None, None, False, True]),
                "due_day": self.choice([None, None, None, 1, 10, 15, 29, 31]),
                "business_days": self.choice([None, None, "next", "previous"]),
            }
            for name in ("N1", "N2")[: self.choice(range(3))]
        ]
        documents = [self._document(place) for place in range(self.choice([1, 3, 5, 6, 7, 8, 9]))]
        documents += self._numbered_again(documents)
        instalments = [part for document in documents for part in self._instalments(document)]
        payments = [self._payment(place, documents) for place in range(self.choice([0, 2, 3, 4, 5, 6]))]
        payments += self._named_in_turn(len(payments), documents)
        # Some sources allocate nothing; what names its invoice is left to be matched by that, mostly.
        silent = self.one_in(4)
        told = [record for record in payments if not silent and (not record["reference"] or self.one_in(4))]
        invoices = [record for record in documents if record["document_type"] != "credit_memo"]
        count = self.choice([0, 1, 2, 4, 6, 8, 10]) if invoices else 0
        credit_memos = [record for record in documents if record["document_type"] == "credit_memo"]
        refunds = [self._refund(place, payments, credit_memos) for place in range(self.choice([0, 0, 1, 2, 4]))]
        favourite = self.choice(invoices) if invoices else None  # much happens to one of them
        paid = [favourite if self.one_in(2) else self.choice(invoices) for _ in range(count)]
        allocations = [self._allocation(place, invoice, instalments, told, credit_memos) for place, invoice in enumerate(paid)]
        allocations += [] if silent else self._applied_later(len(allocations), payments, invoices)
        if invoices and not silent:
            self._leave_a_little(payments, allocations, invoices)
        return {
            **({"companies": self.entities} if self.setting.entities == "own" else {}),
            "customers": self.customers,
            "payment_terms": terms,
            "invoices": documents,
            "instalments": instalments,
            "payments": payments,
            "refunds": refunds,
            "allocations": allocations,
        }

    def _numbered_again(self, documents: Sequence[Record]) -> list[Record]:
        """Documents that bear the number of one that was there before, to the same customer."""
        first = self.choice(documents)
        again = []
        for place in range(self.choice([0, 0, 1, 3])):
            dated = first["invoice_date"] + timedelta(days=self.choice([0, 40, 90, 365]) * (place + 1))
            due_date = dated + timedelta(days=30)
            amount = self.choice([first["amount"], self.amount()])
            again.append({**first, "invoice_id": f"I{len(documents) + place}", "invoice_date": dated, "due_date": due_date})
            again[-1] |= {"amount": amount, "voided_on": self.end_of(dated, one_in=5)}
        return again

    def _named_in_turn(self, taken: int, documents: Sequence[Record]) -> list[Record]:
        """Payments that name the same few documents one after the other: some come too late, some find room again."""
        first = self.choice(documents)
        own = [record for record in documents if record["customer_id"] == first["customer_id"]]
        payments = []
        for place in range(self.choice([0, 0, 2, 5])):
            named = self.chance.sample(own, min(len(own), self.choice([1, 1, 2])))
            paid_on = named[0]["invoice_date"] + timedelta(days=self.choice([-3, 0, 1, 20, 30]) + 10 * place)
            payment = self._payment(taken + place, [named[0]])
            payment |= {
                "customer_id": first["customer_id"],
                "payment_date": paid_on,
                "reversed_on": self.end_of(paid_on, one_in=3),
            }
            payment |= {"company_id": self._company(first["customer_id"])}
            payment |= {"reference": " ".join(record["invoice_number"] for record in named)}
            payments.append(payment)
        return payments

    def _applied_later(self, taken: int, payments: Sequence[Record], invoices: Sequence[Record]) -> list[Record]:
        """What a clerk did some days after the payment came: mostly what its reference says."""
        applied = []
        for payment in payments:
            meant = [
                record
                for record in invoices
                if record["currency"] == payment["currency"] and record["invoice_number"] in (payment["reference"] or "")
            ]
            if meant and self.one_in(4):
                invoice = self.choice(meant)
                amount = min(invoice["amount"], payment["amount"])
                applied.append(
                    {
                        "allocation_id": f"A{taken + len(applied)}",
                        "invoice_id": invoice["invoice_id"],
                        "source_type": "payment",
                        "source_id": payment["payment_id"],
                        "allocated_on": payment["payment_date"] + timedelta(days=self.choice([0, 1, 5, 35])),
                        "amount": self.choice([amount, amount, (amount / 2).quantize(CENT)]),
                        "reversed_on": self.end_of(payment["payment_date"], one_in=6),
                    }
                )
        return applied

    def _leave_a_little(self, payments: list[Record], allocations: list[Record], invoices: Sequence[Record]) -> None:
        """Of some invoices all but a little is paid about when they are due, and the little never, or late, or in two parts: less than
        a trifle in some currencies and more in others, alone or beside what another invoice left."""
        littles = ("0.01", "1", "0.001", "4", "6", "9.99", "10", "10.01", "0.07", "700", "1500")
        for invoice in self.chance.sample(invoices, min(len(invoices), self.choice([0, 1, 2, 3]))):
            due_date = invoice["due_date"] or invoice["invoice_date"] + timedelta(days=30)
            left = Decimal(self.choice(littles))
            parts = [(due_date - timedelta(days=self.choice([0, 0, 2, -1])), invoice["amount"] - left)]
            if self.one_in(2):
                halves = self.choice([[left], [(left / 2).quantize(CENT), left - (left / 2).quantize(CENT)]])
                parts += [(self.day_after(due_date, 1, 150), half) for half in halves]
            for paid_on, amount in parts:
                if amount > 0:
                    payment = self._payment(len(payments), [invoice])
                    payment |= {"customer_id": invoice["customer_id"], "payment_date": paid_on, "currency": invoice["currency"]}
                    payment |= {"amount": amount, "reference": None, "company_id": invoice["company_id"]}
                    payments.append(payment)
                    allocations.append(
                        {
                            "allocation_id": f"A{len(allocations)}",
                            "invoice_id": invoice["invoice_id"],
                            "source_type": "payment",
                            "source_id": payment["payment_id"],
                            "allocated_on": paid_on + timedelta(days=self.choice([0, 0, 3])),
                            "amount": amount,
                        }
                    )

    def _entities(self) -> list[Record]:
        if self.setting.entities != "own":
            return companies(self.setting)
        return [
            {"company_id": name, "name": f"Entity {name}", "currency": self.choice(CURRENCIES)}
            for name in ("A", "B", "C")[: self.choice([1, 2, 3])]
        ]

    def _company(self, customer_id: str | None) -> str | None:
        """An entity a record names: it must, where nothing else tells which; it may name any, where none was delivered."""
        inherits = any(record["customer_id"] == customer_id and record["company_id"] for record in self.customers)
        is_needed = self.setting.entities == "own" and customer_id is not None and not inherits
        if not is_needed and self.one_in(2):
            return None
        return self.choice([record["company_id"] for record in self.entities] or ["DE01", "MAIN"])

    def _customer(self, place: int) -> Record:
        return {
            "customer_id": f"C{place}",
            "name": f"Customer {place}",
            "company_id": self._company(None),
            "payment_terms": self.choice(["N1", "N2", None]),
            "customer_since": self.choice([None, date(2020, 2, 29)]),
        }

    def _document(self, place: int) -> Record:
        customer_id = self.choice(self.debtors)
        dated = self.any_day()
        return {
            "invoice_id": f"I{place}",
            "invoice_number": self.choice([f"INV-{1000 + place}"] * 6 + [f"N{place}", *NUMBERS]),
            "customer_id": customer_id,
            "document_type": self.choice(["invoice"] * 5 + ["debit_memo", "credit_memo"]),
            "invoice_date": dated,
            "due_date": None
            if self.one_in(4)
            else dated + timedelta(days=self.choice([0, 1, 14, 30, 30, 60, 90, 200, -5, -30, -31, 3651])),
            "payment_terms": self.choice([None, None, "N1", "N2", "ZZ"]),
            "company_id": self._company(customer_id),
            "currency": self.choice(self.currencies),
            "amount": self.amount(),
            "voided_on": self.end_of(dated, one_in=7),
        }

    def _instalments(self, document: Record) -> list[Record]:
        parts = self.choice([0, 0, 0, 2, 3, 1])
        if document["document_type"] == "credit_memo" or not parts:
            return []
        each = (document["amount"] / parts).quantize(self.choice([CENT, Decimal("0.0001")]), ROUND_HALF_UP)
        shares = [each] * (parts - 1)
        if sum(shares) > document["amount"]:
            shares = [Decimal(0)] * (parts - 1)
        left = document["amount"] - sum(shares)
        # Thirds of 100.00 come to 99.99: some sources leave it at that.
        shares.append(each if self.one_in(3) and abs(left - each) <= rest_of(document, parts) else left)
        first_due = document["invoice_date"] + timedelta(days=self.choice([0, 10, 30]))
        step = self.choice([0, 30, -30, 31])  # all at once, monthly, numbered against the calendar
        first = 0 if step == 31 else 1  # some sources number from nought
        return [
            {
                "invoice_id": document["invoice_id"],
                "instalment_number": number,
                "due_date": first_due + timedelta(days=step * (number - first)),
                "amount": share,
            }
            for number, share in enumerate(shares, start=first)
        ]

    def _payment(self, place: int, documents: Sequence[Record]) -> Record:
        """Mostly for a document: by its customer, in its currency, about when and as much as it is due. Sometimes for nothing."""
        document = None if self.one_in(6) else self.choice(documents)
        customer_id = document["customer_id"] if document and not self.one_in(6) else self.choice(self.debtors)
        around = (document["due_date"] or document["invoice_date"]) if document else self.setting.as_of
        paid_on = around if self.one_in(4) else self.day_after(around, -40, 100)
        usual = [document["amount"], document["amount"], document["amount"] / 2 // CENT * CENT] if document else []
        told = [document["invoice_number"]] if document and self.one_in(2) else []
        own = [record for record in documents if record["customer_id"] == customer_id] or documents
        told += [self.choice(own)["invoice_number"] for _ in range(self.choice([0, 0, 1, 3]))]
        told = [self.choice(["", "", "", *MARKS]) + number + self.choice(["", "", "", *MARKS, "-2", "1", "x"]) for number in told]
        return {
            "payment_id": f"P{place}",
            "customer_id": customer_id,
            "payment_date": paid_on,
            "currency": document["currency"] if document else self.choice(self.currencies),
            "amount": self.choice([*usual, self.amount()]),
            "company_id": self._company(customer_id),
            "reference": self.choice([", ", " ", "/inv: "]).join(["thanks", *told]) if told else None,
            "reversed_on": self.end_of(paid_on, one_in=6),
        }

    def _refund(self, place: int, payments: Sequence[Record], credit_memos: Sequence[Record]) -> Record:
        """Of a payment or credit memo, mostly named, mostly no more than it was; or of nothing there is."""
        sources: list[tuple[str, Record | None]] = [("payment", record) for record in payments if not record["reference"]]
        sources += [("credit_memo", record) for record in credit_memos]
        kind, source = self.choice([*sources, ("payment", None)])
        about = source or (self.choice(payments) if payments and self.one_in(2) else None)
        customer_id = about["customer_id"] if about and not self.one_in(6) else self.choice(self.debtors)
        refunded_on = self.day_after((about.get("payment_date") or about["invoice_date"]) if about else self.any_day(), -5, 90)
        named = source if not self.one_in(3) else None
        usual = [about["amount"], (about["amount"] / 2).quantize(CENT)] if about else []
        return {
            "refund_id": f"F{place}",
            "customer_id": customer_id,
            "refunded_on": refunded_on,
            "currency": about["currency"] if about and not self.one_in(8) else self.choice(self.currencies),
            "amount": self.choice([*usual, self.amount()]),
            "source_type": self.choice([kind, kind, None]) if named else None,
            "source_id": (named.get("payment_id") or named["invoice_id"]) if named else self.choice([None, None, "nowhere"]),
            "company_id": self._company(customer_id),
            "reversed_on": self.end_of(refunded_on, one_in=6),
        }

    def _allocation(
        self,
        place: int,
        invoice: Record,
        instalments: Sequence[Record],
        payments: Sequence[Record],
        credit_memos: Sequence[Record],
    ) -> Record:
        sources: list[tuple[str, Record | None]] = [("payment", record) for record in payments]
        sources += [("credit_memo", record) for record in credit_memos]
        abroad = self.one_in(5)
        sources = [(kind, record) for kind, record in sources if record and (abroad or record["currency"] == invoice["currency"])]
        kind, source = self.choice(sources * 3 + [(kind, None) for kind in ("write_off", "discount", "adjustment", "adjustment")])
        usual = (source or invoice).get("payment_date") or (source or invoice)["invoice_date"]
        dated = usual if self.one_in(2) else self.day_after(usual, -10, 60)
        schedule = [record for record in instalments if record["invoice_id"] == invoice["invoice_id"]]
        settles_in_another = source is not None and source["currency"] != invoice["currency"]
        taken = self.choice([source["amount"], source["amount"] / 2 // CENT * CENT, self.amount()]) if source else None
        return {
            "allocation_id": f"A{place}",
            "invoice_id": invoice["invoice_id"],
            "source_type": kind,
            "source_id": (source.get("payment_id") or source["invoice_id"]) if source else None,
            "allocated_on": dated,
            "amount": self._allocated(kind, invoice, source, schedule),
            "source_amount": taken if settles_in_another else self.choice([None, None, taken]),
            "instalment_number": self.choice([None, None, None, 1, 2, 7] if schedule else [None, None, None, 1]),
            "reversed_on": self.end_of(dated, one_in=6),
        }

    def _allocated(self, kind: str, invoice: Record, source: Record | None, schedule: Sequence[Record]) -> Decimal:
        """Mostly all of the invoice, all of the source or a part; seldom more than either; below zero if it is an adjustment."""
        sensible = [min(invoice["amount"], source["amount"]) if source else invoice["amount"]]
        sensible += [(invoice["amount"] / 2).quantize(CENT), (invoice["amount"] / 3).quantize(Decimal("0.0001"))]
        sensible += [record["amount"] for record in schedule]
        odd = [invoice["amount"] + 10, Decimal("0.0001"), Decimal(0), self.amount()]
        amount = self.choice(odd if self.one_in(4) else sensible)
        return -amount if kind == "adjustment" and self.one_in(2) else amount

    def draft(self, book: Book) -> Book:
        """What the source said of a book before: some records were not there yet, some said otherwise, some were taken back since."""
        changes: dict[str, dict[str, Callable[[], Any]]] = {
            "customers": {"company_id": lambda: None, "payment_terms": lambda: self.choice(["N1", "N2", None])},
            "payment_terms": {"net_days": lambda: 7},
            "invoices": dict.fromkeys(("due_date", "invoice_date", "voided_on"), self.any_day) | {"amount": self.amount},
            "instalments": {"due_date": self.any_day, "amount": self.amount},
            "payments": dict.fromkeys(("payment_date", "reversed_on"), self.any_day) | {"amount": self.amount},
            "refunds": dict.fromkeys(("refunded_on", "reversed_on"), self.any_day) | {"amount": self.amount},
            "allocations": dict.fromkeys(("allocated_on", "reversed_on"), self.any_day) | {"amount": self.amount},
        }
        draft: Book = {}
        for dataset, columns in changes.items():
            draft[dataset] = []
            for record in book[dataset]:
                fate = self.choice(["same", "same", "changed", "not yet there"])
                if fate == "changed":
                    column = self.choice(sorted(columns))
                    draft[dataset].append({**record, column: columns[column]()})
                elif fate == "same":
                    draft[dataset].append(record)
        for dataset, key in (
            ("invoices", "invoice_id"),
            ("payments", "payment_id"),
            ("refunds", "refund_id"),
            ("allocations", "allocation_id"),
        ):
            if book[dataset] and self.one_in(2):
                draft[dataset].append({**book[dataset][0], key: "taken-back"})
        return draft


def _around_month_end(as_of: date, months_back: int) -> list[date]:
    """The last day of a month and the first of the next."""
    index = as_of.year * 12 + as_of.month - months_back
    first_of_next = date(index // 12, index % 12 + 1, 1)
    return [first_of_next - timedelta(days=1), first_of_next]
