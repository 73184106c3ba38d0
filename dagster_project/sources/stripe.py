"""Stripe Invoicing: invoices that are sent with a due date (`collection_method=send_invoice`), and what was paid on them.

Belongs here: its lists, how it writes money and time, and what of them is which dataset. Does not belong here: asking (`http.py`), what a
record must be (`landing/judge.py`).

    account             companies
    customers           customers
    invoices            invoices; allocations: write-offs, what the customer's balance paid
    credit_notes        invoices (credit memos), allocations, refunds outside Stripe
    invoice_payments    payments, allocations
    refunds             refunds            disputes    payments that were charged back

Stripe's lists know when an object was created and not when it changed, and events are kept for 30 days and name objects in another version
than ours; so everything is asked for every night, as it was created up to the beginning of the night.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from dagster_project.contract import Dataset
from dagster_project.sources import (
    Company,
    Connector,
    ConnectorSettings,
    Delivery,
    Opening,
    Right,
    SourceError,
)
from dagster_project.sources.answers import LIMITS, Limits, without_password
from dagster_project.sources.auth import Bearer
from dagster_project.sources.http import Http, Throttle
from dagster_project.sources.paging import Cursor, Question, walked
from dagster_project.sources.records import ZERO, Record, Spool, number, pages

ADDRESS: Final = "https://api.stripe.com/v1"
VERSION: Final = "2025-03-31.basil"
"""The first version that knows several payments of an invoice; one's account may have another, so that every call names it."""
PAGE_ROWS: Final = 100
CALLS_A_SECOND: Final = 20
"""A fifth of what a live account may read."""
TRIES: Final = 3
"""How often a page is asked for that does not go on where the one before ended."""

WHOLE: Final = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
"""Currencies whose amounts are in units; Stripe keeps ISK and UGX in hundredths all the same."""
THOUSANDTHS: Final = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))

OTHERS: Final[Mapping[str, Mapping[str, str]]] = {
    "invoices": {"collection_method": "send_invoice"},
    "customers": {"expand[]": "data.tax_ids"},
    "invoice_payments": {"status": "paid"},
}
"""What is asked of a list beside its pages."""


class StripeSettings(ConnectorSettings, env_prefix="ARREARS_STRIPE_"):
    """A restricted key that reads, the connected account where it is another one, and the custom field of invoices that holds the
    customer's order number."""

    key: SecretStr
    account: str = ""
    po_field: str = "PO number"
    url: str = ADDRESS


@dataclass
class Paid:
    """One payment: what of it went to our invoices, and when the first did."""

    amount: Decimal
    paid_on: date
    paid_at: datetime
    invoice: Record
    method: str


class StripeSource:
    """One account."""

    def __init__(
        self, own: StripeSettings, opening: Opening, *, wait: float = 1.0, limits: Limits = LIMITS, size: int = PAGE_ROWS
    ):
        """
        Raises:
            SourceError: the key is of the test mode, and this is production.
        """
        self.own = own
        self._refuses_tests = opening.production
        if self._refuses_tests and "_test_" in own.key.get_secret_value():
            raise SourceError(
                "ARREARS_STRIPE_KEY is a key of the test mode: in production (ARREARS_ENVIRONMENT) a live one is needed"
            )
        self.http = Http(
            own.url,
            Bearer(own.key.get_secret_value(), "ARREARS_STRIPE_KEY"),
            setting="ARREARS_STRIPE_URL",
            credentials="ARREARS_STRIPE_KEY",
            limits=limits,
            wait=wait,
            throttle=Throttle(CALLS_A_SECOND, 1.0),
        )
        opening.stack.callback(self.http.close)
        self.url = own.url.rstrip("/")
        self.size = size
        self._until = str(int(time.time()))
        self._spool = Spool()
        opening.stack.callback(self._spool.close)
        self._walked: set[str] = set()

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        del since  # no list tells what changed
        left_out: Counter[str] = Counter()
        made: Mapping[str, Callable[[], Iterator[Record]]] = {
            "companies": self._companies,
            "customers": self._customers,
            "invoices": lambda: self._invoices(left_out),
            "payments": self._payments,
            "refunds": lambda: self._refunds(left_out),
            "allocations": self._allocations,
        }
        if dataset.name not in made:
            return None
        return Delivery(
            pages=pages(dataset, made[dataset.name]()), full=True, origin=without_password(self.url), left_out=left_out
        )

    # --- asking ------------------------------------------------------------------------------------------------------

    def ask(self, path: str, parameters: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        headers = {"Stripe-Version": VERSION, **({"Stripe-Account": self.own.account} if self.own.account else {})}
        answer = self.http.json(f"{self.url}/{path}", parameters, headers=headers, number=str)
        if not isinstance(answer, dict):
            raise SourceError(f"{without_password(self.url)}/{path}: there is nothing of Stripe's: is ARREARS_STRIPE_URL right?")
        return answer

    def _page(self, path: str, question: Question) -> Mapping[str, Any]:
        """One page of a list, of what lies behind the object it was asked from."""
        behind = question.parameters.get("starting_after")
        for _ in range(TRIES):
            answer = self.ask(path, question.parameters)
            found = answer.get("data")
            if not isinstance(found, list):
                raise SourceError(f"{without_password(self.url)}/{path}: no list came back: is ARREARS_STRIPE_URL right?")
            if self._refuses_tests and any(record.get("livemode") is False for record in found):
                raise SourceError(
                    f"{path}: objects of the test mode came; in production they are refused: check ARREARS_STRIPE_KEY"
                )
            if behind is None or all(record["id"] != behind for record in found):
                return answer
        raise SourceError(f"{without_password(self.url)}/{path}: what comes is not the page behind {behind} that was asked for")

    def _all(self, path: str) -> Iterator[Record]:
        """Every object of a list, asked for once a run."""
        if path not in self._walked:
            parameters = {"limit": str(self.size), "created[lte]": self._until, **OTHERS.get(path, {})}
            following = Cursor("starting_after", lambda answer: answer["data"][-1]["id"] if answer.get("has_more") else None)
            first = Question(f"{self.url}/{path}", parameters)
            for answer in walked(first, partial(self._page, path), following, path, self.http.limits):
                self._spool.put(path, ((record["id"], record) for record in answer["data"]))
            self._walked.add(path)
        return self._spool.all(path)

    # --- who we are --------------------------------------------------------------------------------------------------

    @cached_property
    def account(self) -> Record:
        return self.ask("account")

    @cached_property
    def zone(self) -> ZoneInfo:
        """Where the account's days are: Stripe keeps instants, due dates as well."""
        name = ((self.account.get("settings") or {}).get("dashboard") or {}).get("timezone") or "UTC"
        try:
            return ZoneInfo(str(name))
        except (KeyError, ValueError, OSError):
            raise SourceError(f"{without_password(self.url)}/account: the time zone {str(name)[:40]!r} is not known") from None

    @property
    def name(self) -> str:
        dashboard = (self.account.get("settings") or {}).get("dashboard") or {}
        profile = self.account.get("business_profile") or {}
        return str(profile.get("name") or dashboard.get("display_name") or self.account["id"])

    def _companies(self) -> Iterator[Record]:
        yield {
            "company_id": self.account["id"],
            "name": self.name,
            "currency": str(self.account.get("default_currency") or "").upper(),
            "country": self.account.get("country"),
            "timezone": self.zone.key,
        }

    def _customers(self) -> Iterator[Record]:
        for each in self._all("customers"):
            tax_ids = (each.get("tax_ids") or {}).get("data") or [{}]
            yield {
                "customer_id": each["id"],
                "name": each.get("name") or each.get("email") or each["id"],
                "company_id": self.account["id"],
                "country": (each.get("address") or {}).get("country"),
                "currency": str(each.get("currency") or "").upper(),
                "customer_since": self._day(each.get("created")),
                "registration_number": tax_ids[0].get("value"),
                "email": each.get("email"),
                "phone": each.get("phone"),
                "language": (each.get("preferred_locales") or [None])[0],
                "status": "active",
                "updated_at": _time(each.get("created")),
            }
        gone: dict[str, Record] = {}
        for invoice in self._all("invoices"):  # a deleted customer is in no list, and invoices still name it
            if (key := _id(invoice, "customer")) and self._spool.get("customers", key) is None:
                gone[key] = invoice
        for key, invoice in gone.items():
            yield {
                "customer_id": key,
                "name": invoice.get("customer_name") or f"deleted customer {key}",
                "company_id": self.account["id"],
                "status": "closed",
                "updated_at": _time(invoice.get("created")),
            }

    # --- documents ---------------------------------------------------------------------------------------------------

    def _standing(self) -> Iterator[Record]:
        """Invoices that count: not drafts, not below zero (which go to the customer's balance)."""
        for invoice in self._all("invoices"):
            if invoice.get("status") != "draft" and number(invoice.get("total"), invoice["id"]) >= 0:
                yield invoice

    def _invoices(self, left_out: Counter[str]) -> Iterator[Record]:
        charged_back = {invoice["id"] for _, invoice, key in self._edges() if key in self._charged_back}
        for invoice in self._all("invoices"):
            if invoice.get("status") == "draft":
                left_out["drafts"] += 1
            elif number(invoice.get("total"), invoice["id"]) < 0:
                left_out["invoices below zero, which go to the customer's balance"] += 1
        for invoice in self._standing():
            done = _times(invoice)
            status = invoice["status"]
            fields = {_plain(each.get("name")): each.get("value") for each in invoice.get("custom_fields") or ()}
            taxes = sum((number(each.get("amount"), invoice["id"]) for each in invoice.get("total_taxes") or ()), ZERO)
            left = _money(invoice, "amount_remaining") if status in ("open", "paid") else ZERO
            yield {
                "invoice_id": invoice["id"],
                "invoice_number": invoice.get("number") or invoice["id"],
                "customer_id": _id(invoice, "customer"),
                "company_id": self.account["id"],
                "document_type": "invoice",
                "invoice_date": self._day(invoice.get("effective_at") or done.get("finalized_at") or invoice.get("created")),
                "due_date": self._day(invoice.get("due_date")),
                "currency": invoice["currency"].upper(),
                "amount": _money(invoice, "total"),
                "tax_amount": _scaled(taxes, invoice["currency"]),
                "po_number": fields.get(_plain(self.own.po_field)),
                "delivery_channel": "email",
                "document_url": invoice.get("hosted_invoice_url"),
                "voided_on": self._day(done.get("voided_at")) if status == "void" else None,
                "open_amount_reported": None if invoice["id"] in charged_back else left,  # Stripe goes on calling it paid
                "updated_at": _newest(invoice),
            }
        for note, invoice in self._notes:
            on_balance = number(note.get("post_payment_amount"), note["id"]) - _given_back(note)
            left_out["credit notes' parts that went to the customer's balance"] += on_balance > 0
            used = number(note.get("pre_payment_amount"), note["id"])
            if amount := used + _given_back(note):
                yield {
                    "invoice_id": note["id"],
                    "invoice_number": note.get("number") or note["id"],
                    "customer_id": _id(note, "customer"),
                    "company_id": self.account["id"],
                    "document_type": "credit_memo",
                    "invoice_date": self._day(note.get("effective_at") or note.get("created")),
                    "currency": note["currency"].upper(),
                    "amount": _scaled(amount, note["currency"]),
                    "corrects_invoice_id": invoice["id"],
                    "document_url": note.get("pdf"),
                    "voided_on": self._day(note.get("voided_at")) if note.get("status") == "void" else None,
                    "updated_at": _newest(note),
                }

    @cached_property
    def _notes(self) -> list[tuple[Record, Record]]:
        """Credit notes of our invoices, each with its invoice."""
        ours = {invoice["id"]: invoice for invoice in self._standing()}
        return [(note, ours[key]) for note in self._all("credit_notes") if (key := _id(note, "invoice") or "") in ours]

    # --- money -------------------------------------------------------------------------------------------------------

    def _edges(self) -> Iterator[tuple[Record, Record, str]]:
        """Payments of our invoices: what Stripe has of each, the invoice, and what the money is called."""
        for each in self._all("invoice_payments"):
            invoice = self._spool.get("invoices", _id(each, "invoice") or "")
            payment = each.get("payment") or {}
            kind = str(payment.get("type") or "payment_intent")
            if invoice and invoice.get("status") != "draft" and each.get("status") == "paid" and (key := _id(payment, kind)):
                yield each, invoice, key

    @cached_property
    def _paid(self) -> Mapping[str, Paid]:
        """Each payment. What a paid invoice has beyond its payments was paid outside Stripe before that had a record of its own."""
        found: dict[str, Paid] = {}
        covered: dict[str, Decimal] = defaultdict(Decimal)
        for each, invoice, key in self._edges():
            amount = _money(each, "amount_paid")
            covered[invoice["id"]] += amount
            at = (each.get("status_transitions") or {}).get("paid_at") or each.get("created")
            method = "outside Stripe" if (each.get("payment") or {}).get("type") == "payment_record" else "Stripe"
            self._add(found, key, amount, at, invoice, method)
        for invoice in self._standing():
            missing = _money(invoice, "amount_due") - _money(invoice, "amount_remaining") - covered[invoice["id"]]
            if invoice["status"] == "paid" and missing > 0:
                self._add(found, _outside(invoice), missing, _times(invoice).get("paid_at"), invoice, "outside Stripe")
        return found

    def _add(self, found: dict[str, Paid], key: str, amount: Decimal, at: Any, invoice: Record, method: str) -> None:
        when, day = _time(at or invoice.get("created")), self._day(at or invoice.get("created"))
        assert when and day
        known = found.setdefault(key, Paid(ZERO, day, when, invoice, method))
        known.amount += amount
        known.paid_on, known.paid_at = min(known.paid_on, day), max(known.paid_at, when)

    @cached_property
    def _charged_back(self) -> Mapping[str, date]:
        """Payments that a lost dispute took back whole, and when."""
        found: dict[str, date] = {}
        for dispute in self._all("disputes"):
            key = _id(dispute, "payment_intent") or _id(dispute, "charge") or ""
            if dispute.get("status") == "lost" and key in self._paid and _money(dispute, "amount") >= self._paid[key].amount:
                found[key] = self._taken_on(dispute)
        return found

    def _taken_on(self, dispute: Record) -> date:
        booked = [each.get("created") for each in dispute.get("balance_transactions") or () if isinstance(each, dict)]
        day = self._day(next(filter(None, booked), None) or dispute.get("created"))
        assert day
        return day

    def _payments(self) -> Iterator[Record]:
        for key, paid in self._paid.items():
            yield {
                "payment_id": key,
                "customer_id": _id(paid.invoice, "customer"),
                "payment_date": paid.paid_on,
                "currency": paid.invoice["currency"].upper(),
                "amount": paid.amount,
                "company_id": self.account["id"],
                "method": paid.method,
                "reversed_on": self._charged_back.get(key),
                "updated_at": paid.paid_at,
            }

    def _refunds(self, left_out: Counter[str]) -> Iterator[Record]:
        of_notes = {
            str(_id(each, "refund")): note
            for note, _ in self._notes
            if note.get("status") != "void"
            for each in note.get("refunds") or ()
        }
        for refund in self._all("refunds"):
            key = _id(refund, "payment_intent") or _id(refund, "charge") or ""
            note = of_notes.get(refund["id"])
            if refund.get("status") in ("failed", "canceled"):
                left_out["refunds that failed"] += 1
            elif key not in self._paid and note is None:
                left_out["refunds of other payments"] += 1
            else:
                whose = note or self._paid[key].invoice
                yield self._refund(refund["id"], whose, _money(refund, "amount"), refund.get("created"), note, key)
        for note, _ in self._notes:
            if note.get("status") != "void" and (outside := _money(note, "out_of_band_amount")):
                on = note.get("effective_at") or note.get("created")
                yield self._refund(f"outside:{note['id']}", note, outside, on, note, "")
        for dispute in self._all("disputes"):
            key = _id(dispute, "payment_intent") or _id(dispute, "charge") or ""
            if dispute.get("status") == "lost" and key in self._paid and key not in self._charged_back:
                on = dispute.get("created")
                yield self._refund(dispute["id"], self._paid[key].invoice, _money(dispute, "amount"), on, None, key)

    def _refund(self, id_: str, whose: Record, amount: Decimal, at: Any, note: Record | None, payment: str) -> Record:
        return {
            "refund_id": id_,
            "customer_id": _id(whose, "customer"),
            "refunded_on": self._day(at),
            "currency": whose["currency"].upper(),
            "amount": amount,
            "source_type": "credit_memo" if note else "payment",
            "source_id": note["id"] if note else payment,
            "company_id": self.account["id"],
            "updated_at": _time(at),
        }

    def _allocations(self) -> Iterator[Record]:
        for each, invoice, key in self._edges():
            if number(invoice.get("total"), invoice["id"]) < 0:
                continue
            at = (each.get("status_transitions") or {}).get("paid_at") or each.get("created")
            yield self._edge(each["id"], invoice, "payment", key, _money(each, "amount_paid"), at, self._charged_back.get(key))
        for invoice in self._standing():
            done = _times(invoice)
            if (outside := self._paid.get(_outside(invoice))) is not None:
                at = done.get("paid_at")
                yield self._edge(_outside(invoice), invoice, "payment", _outside(invoice), outside.amount, at)
            credited = number(invoice.get("pre_payment_credit_notes_amount"), invoice["id"])
            balance = number(invoice.get("total"), invoice["id"]) - credited - number(invoice.get("amount_due"), invoice["id"])
            if balance and invoice["status"] != "void":
                on = done.get("finalized_at") or invoice.get("created")
                yield self._edge(
                    f"{invoice['id']}:balance", invoice, "adjustment", None, _scaled(balance, invoice["currency"]), on
                )
            if invoice["status"] == "uncollectible" and (left := _money(invoice, "amount_remaining")):
                yield self._edge(
                    f"{invoice['id']}:uncollectible", invoice, "write_off", None, left, done.get("marked_uncollectible_at")
                )
        for note, invoice in self._notes:
            if used := _money(note, "pre_payment_amount"):
                undone = self._day(note.get("voided_at")) if note.get("status") == "void" else None
                at = note.get("effective_at") or note.get("created")
                yield self._edge(f"{note['id']}:{invoice['id']}", invoice, "credit_memo", note["id"], used, at, undone)

    def _edge(
        self, id_: str, invoice: Record, kind: str, source: str | None, amount: Decimal, at: Any, undone: date | None = None
    ) -> Record:
        return {
            "allocation_id": id_,
            "invoice_id": invoice["id"],
            "source_type": kind,
            "source_id": source,
            "allocated_on": self._day(at or invoice.get("created")),
            "amount": amount,
            "reversed_on": undone,
            "updated_at": _time(at or invoice.get("created")),
        }

    def _day(self, seconds: Any) -> date | None:
        """The day of an instant where the account is."""
        when = _time(seconds)
        return when.astimezone(self.zone).date() if when else None


def _scaled(minor: Decimal, currency: str) -> Decimal:
    """An amount in its currency's units, from its smallest ones."""
    code = currency.upper()
    return minor.scaleb(0 if code in WHOLE else -3 if code in THOUSANDTHS else -2)


def _money(record: Record, name: str) -> Decimal:
    return _scaled(number(record.get(name), f"Stripe {name} of {record['id']}"), record["currency"])


def _given_back(note: Record) -> Decimal:
    """What of a credit note was paid back, within Stripe or outside, in the currency's smallest units."""
    refunds = sum((number(each.get("amount_refunded"), note["id"]) for each in note.get("refunds") or ()), ZERO)
    return refunds + number(note.get("out_of_band_amount"), note["id"])


def _id(record: Record, name: str) -> str | None:
    """The id of another object, which may stand there itself."""
    value = record.get(name)
    return str(value["id"]) if isinstance(value, dict) else value or None


def _times(invoice: Record) -> Mapping[str, Any]:
    return invoice.get("status_transitions") or {}


def _time(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None


def _newest(record: Record) -> datetime | None:
    """The last that an object tells of itself."""
    return _time(max(int(value) for value in (record["created"], record.get("voided_at"), *_times(record).values()) if value))


def _outside(invoice: Record) -> str:
    return f"outside:{invoice['id']}"


def _plain(text: Any) -> str:
    return "".join(str(text or "").lower().split())


def _rights(source: StripeSource) -> Iterable[Right]:
    yield Right.tried("account", lambda: source.account)
    for path in ("customers", "invoices", "invoice_payments", "credit_notes", "refunds", "disputes"):
        yield Right.tried(path, partial(source.ask, path, {"limit": "1"}))


CONNECTOR = Connector(
    name="stripe",
    settings=StripeSettings,
    opened=StripeSource,
    words=lambda own: f"{without_password(own.url)}, account {own.account or 'of the key'}",
    needs="ARREARS_STRIPE_KEY, a restricted key that may read",
    gives=frozenset({"ledger"}),
    companies=lambda source: [Company(str(source.account["id"]), source.name)],
    rights=_rights,
)
