"""Tryton's receivables over the REST interface of a user application (Tryton 6 to 8).

Belongs here: Tryton's models, how it writes values, and what of them is which dataset. Does not belong here: asking (`http.py`), what a
record must be (`landing/judge.py`).

    company.company                         companies
    party.party, its contact mechanisms …   customers
    account.invoice of type out             invoices (a negative total is a credit memo), instalments
    account.move.line on receivables        payments, refunds, debit memos; allocations by the invoice they name and by reconciliations
    account.dunning, blocked                disputes
    currency.currency.rate                  exchange_rates

Everything is asked for every night: that an application was undone leaves no trace in Tryton, so only the whole says what is gone. A model
is walked once a run, by id, whatever datasets hang on it.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property, lru_cache, partial
from sys import intern
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import SecretStr

from dagster_project.contract import Dataset
from dagster_project.sources import (
    Aged,
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
from dagster_project.sources.http import Http
from dagster_project.sources.paging import Question, walked
from dagster_project.sources.progress import Pace
from dagster_project.sources.records import RATE_DIGITS, ZERO, pages
from dagster_project.words import shown

PAGE_ROWS: Final = 1_000
BEGINNING: Final = date(1970, 1, 1)
"""A rate that Tryton keeps for all time, from the year 1, holds from here."""

_CASH: Final = ("cash", "statement")
"""Types of journals whose lines on a receivable account are money."""
_EXCHANGE, _WRITE_OFF = "exchange", "write-off"

_MODELS: Final = {
    "company.company": "companies",
    "party.party": "customers",
    "party.address": "customers",
    "party.contact_mechanism": "customers",
    "party.identifier": "customers",
    "account.invoice": "invoices",
    "account.invoice.payment_term": "payment terms",
    "account.move.line": "payments, refunds, allocations",
    "currency.currency.rate": "exchange rates",
}
"""What has to be readable, and what it is for."""

_INVOICE: Final = (
    "number", "party", "invoice_date", "currency.code", "currency.digits", "total_amount", "tax_amount", "payment_term.name", "reference",
    "state", "move", "cancel_move.date", "amount_to_pay", "write_date", "create_date",
)  # fmt: skip
_LINE: Final = (
    "date", "maturity_date", "party", "debit", "credit", "amount_second_currency", "second_currency.code", "reconciliation.date", "origin",
    "description", "invoice_payment", "move", "move.number", "move.origin", "move.journal.name", "move.journal.type", "write_date",
    "create_date",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """A customer invoice, or a credit note, whose `total` is negative. `cancelled_by` is the move that cancels it, on a day; `left` what
    Tryton says is to be paid, `step` the smallest amount of its currency."""

    number: str | None
    party: int
    on: date | None
    currency: str
    step: Decimal
    total: Decimal
    tax: Decimal
    left: Decimal
    terms: str | None
    reference: str | None
    state: str
    move: int
    cancelled_by: int | None
    cancelled_on: date | None
    changed: datetime | None


@dataclass(frozen=True, slots=True)
class Line:
    """A posted move line on a receivable account. `amount`: what it adds to what is owed, in `currency`, negative for money received;
    `base` the same in the company's currency."""

    id: int
    party: int | None
    on: date
    due: date | None
    amount: Decimal
    base: Decimal
    currency: str
    journal: str
    journal_name: str
    move: int
    text: str | None
    pays: int | None
    undoes: int | None
    reconciliation: int | None
    changed: datetime | None


@dataclass
class _Open:
    """What is left of a line of a reconciliation, and the record it is of; `kind` of what pays."""

    line: Line
    left: Decimal
    document: int | str | None
    kind: str = ""


class TrytonSource:
    """One company of one database."""

    def __init__(
        self,
        url: str,
        key: str,
        company: int | None = None,
        *,
        page_rows: int = PAGE_ROWS,
        wait: float = 1.0,
        limits: Limits = LIMITS,
    ):
        self.http = Http(
            url,
            Bearer(key, "ARREARS_TRYTON_KEY"),
            setting="ARREARS_TRYTON_URL",
            credentials="ARREARS_TRYTON_KEY (the key of a user application of type rest, validated by its user)",
            limits=limits,
            wait=wait,
        )
        self.url = url.rstrip("/")
        self.page_rows = page_rows
        self._wanted = company
        self._left_out: dict[str, dict[str, int]] = defaultdict(dict)

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        datasets = {
            "companies": self._companies,
            "customers": self._customers,
            "payment_terms": self._payment_terms,
            "invoices": self._invoices,
            "instalments": self._instalments,
            "payments": self._payments,
            "refunds": self._refunds,
            "allocations": self._allocations,
            "disputes": self._disputes,
            "exchange_rates": self._exchange_rates,
        }
        if dataset.name not in datasets:
            return None
        return Delivery(
            pages=pages(dataset, datasets[dataset.name]()),
            full=True,
            origin=without_password(self.url),
            left_out=self._left_out[dataset.name],
        )

    # --- asking ------------------------------------------------------------------------------------------------------

    def _all(self, model: str, fields: Sequence[str], domain: Sequence[Any] = ()) -> Iterator[Mapping[str, Any]]:
        """Every record of a model, by id, so that none is missed or met twice while others are written."""
        context = {"company": self.company["id"]} if model != "company.company" else {}
        self.http.session.headers["X-Tryton-Context"] = _coded(context)
        address = f"{self.url}/rest/model/{model}?{urlencode([('f', field) for field in fields])}"
        first = Question(address, {"s": str(self.page_rows), "o": _coded([["id", "ASC"]]), "d": _coded(list(domain))})
        pace = Pace(f"tryton {model}")
        for answer in walked(first, self._ask, _ById(list(domain), self.page_rows), model, self.http.limits):
            pace.step(len(answer))
            yield from answer

    def _ask(self, question: Question) -> list[Mapping[str, Any]]:
        answer = self.http.json(question.address, question.parameters)
        if not isinstance(answer, list):
            where = without_password(question.address.partition("?")[0])
            raise SourceError(f"{where}: no records came back. Does ARREARS_TRYTON_URL end with the name of the database?")
        return [_plain(record) for record in answer]

    def _has(self, model: str, field: str) -> bool:
        """Whether a field is there, which depends on the modules that are activated: one that is not ends in an error without a word."""
        return any(True for _ in self._all("ir.model.field", ["name"], [["model", "=", model], ["name", "=", field]]))

    @cached_property
    def _companies_seen(self) -> Sequence[Mapping[str, Any]]:
        return list(self._all("company.company", ("party.name", "party", "currency.code", "currency.digits", "timezone")))

    @cached_property
    def company(self) -> Mapping[str, Any]:
        found = {record["id"]: record for record in self._companies_seen}
        names = shown(", ".join(f"{number} {record['party']['name']}" for number, record in found.items()) or "none")
        if self._wanted is None and len(found) == 1:
            return next(iter(found.values()))
        if self._wanted is None:
            raise SourceError(f"ARREARS_TRYTON_COMPANY: say which company; the key's user sees {names}")
        if self._wanted not in found:
            raise SourceError(f"ARREARS_TRYTON_COMPANY: {self._wanted} is not a company that the key's user sees: {names}")
        return found[self._wanted]

    def companies(self) -> Sequence[Company]:
        """Those that the key's user sees."""
        return [Company(str(record["id"]), record["party"]["name"]) for record in self._companies_seen]

    def rights(self) -> Iterator[Right]:
        """A record of each model that everything hangs on, and of dunning where that module is active."""
        models = _MODELS | ({"account.dunning": "disputes"} if self._has("account.dunning", "blocked") else {})
        for model, gives in models.items():
            question = Question(f"{self.url}/rest/model/{model}", {"f": "id", "s": "1", "d": _coded([])})
            remedy = "Put the key's user into the groups Accounting, Party and Dunning"
            yield Right.tried(f"{model} ({gives})", partial(self._ask, question), remedy)

    def aged(self, day: date) -> Iterator[Aged]:
        """Tryton's own aged balance of customers, in the company's currency."""
        context = {"company": self.company["id"], "type": "customer", "posted": True, "unit": "day"}
        context |= {"term1": 30, "term2": 60, "term3": 90, "date": _dated(day)}
        self.http.session.headers["X-Tryton-Context"] = _coded(context)
        address = f"{self.url}/rest/model/account.aged_balance?f=party&f=balance"
        own = self.company["currency"]
        digit = Decimal(1).scaleb(-own.get("digits", 2))
        for row in self._ask(Question(address, {"o": _coded([["party", "ASC"]]), "d": _coded([])})):
            balance = Decimal(row["balance"]).quantize(digit, ROUND_HALF_UP)  # on SQLite a sum is a float, a hair off the cent
            yield Aged(str(row["party"]), own["code"], balance)

    # --- what is walked once -----------------------------------------------------------------------------------------

    @cached_property
    def documents(self) -> Mapping[int, Document]:
        """Customer invoices and credit notes that were posted, by id."""
        kept: dict[int, Document] = {}
        drafts = 0
        for record in self._all("account.invoice", _INVOICE, [["type", "=", "out"]]):
            if record["state"] in ("posted", "paid", "cancelled") and record["move"]:
                kept[record["id"]] = _document(record)
            else:
                drafts += 1
        self._left_out["invoices"] |= {
            "drafts and cancelled drafts": drafts,
            "documents of suppliers": sum(1 for _ in self._all("account.invoice", ["type"], [["type", "=", "in"]])),
        }
        return kept

    @cached_property
    def lines(self) -> Sequence[Line]:
        """Posted lines on receivable accounts, without what exchange differences moved in company currency alone."""
        domain = [["account.type.receivable", "=", True], ["move.state", "=", "posted"]]
        found = [self._line(record) for record in self._all("account.move.line", _LINE, domain)]
        kept = [line for line in found if line.amount]
        self._left_out["payments"] |= {
            "lines of company currency alone": len(found) - len(kept),
            "exchange moves": sum(line.journal == _EXCHANGE for line in kept),
        }
        return kept

    def _line(self, record: Mapping[str, Any]) -> Line:
        foreign = record["second_currency"]
        own = Decimal(record["debit"]) - Decimal(record["credit"])
        origin = str(record["origin"] or "")
        return Line(
            id=record["id"],
            party=record["party"],
            on=record["date"],
            due=record["maturity_date"],
            amount=Decimal(record["amount_second_currency"] or 0) if foreign else own,
            base=own,
            currency=intern(foreign["code"]) if foreign else self.company["currency"]["code"],
            journal=intern(record["move"]["journal"]["type"]),
            journal_name=intern(record["move"]["journal"]["name"]),
            move=record["move"]["id"],
            text=record["description"] or record["move"]["number"],
            pays=record["invoice_payment"],
            undoes=int(origin.partition(",")[2]) if origin.startswith("account.move.line,") else None,
            reconciliation=record["reconciliation"]["id"] if record["reconciliation"] else None,
            changed=record["write_date"] or record["create_date"],
        )

    @cached_property
    def _of_documents(self) -> Mapping[int, int]:
        """The invoice of each line of an invoice's own move."""
        moves = {document.move: number for number, document in self.documents.items()}
        return {line.id: moves[line.move] for line in self.lines if line.move in moves and line.journal not in _CASH}

    @cached_property
    def _voids(self) -> set[int]:
        """Moves that cancel an invoice without a credit note of their own: the invoice is void from that day, and they are no documents."""
        own = {document.move for document in self.documents.values()}
        return {document.cancelled_by for document in self.documents.values() if document.cancelled_by} - own

    @cached_property
    def _undone(self) -> Mapping[int, Line]:
        """Payments taken back, by the line of the payment: the line that takes it back."""
        by_id = {line.id: line for line in self.lines}
        return {
            line.undoes: line
            for line in self.lines
            if line.undoes in by_id and line.amount == -by_id[line.undoes].amount and line.move not in self._voids
        }

    @cached_property
    def _others(self) -> Mapping[str, Sequence[Line]]:
        """Lines that are no invoice's: payments, refunds, memos by journal. What only takes another back is none of them."""
        takes_back = {line.id for line in self._undone.values()}
        found: dict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            if line.id in self._of_documents or line.id in takes_back or line.move in self._voids or line.journal == _EXCHANGE:
                continue
            if line.journal == _WRITE_OFF:
                found["write_off"].append(line)
            elif line.journal in _CASH or line.pays:
                found["payment" if line.amount < 0 else "refund"].append(line)
            else:
                found["credit_memo" if line.amount < 0 else "debit_memo"].append(line)
        return found

    # --- the datasets ------------------------------------------------------------------------------------------------

    def _companies(self) -> Iterator[Mapping[str, Any]]:
        own = self.company
        yield {
            "company_id": own["id"],
            "name": own["party"]["name"],
            "currency": own["currency"]["code"],
            "timezone": own["timezone"],
        }

    def _customers(self) -> Iterator[Mapping[str, Any]]:
        owing = {document.party for document in self.documents.values()} | {line.party for line in self.lines}
        limit = ["credit_limit_amount"] if self._has("party.party", "credit_limit_amount") else []
        ways: dict[tuple[int, str], str] = {}
        for way in self._all("party.contact_mechanism", ("party", "type", "value")):
            ways.setdefault((way["party"], way["type"]), way["value"])
        numbers = {number["party"]: number["code"] for number in self._all("party.identifier", ("party", "code"))}
        countries: dict[int, str] = {}
        for address in self._all("party.address", ("party", "country.code")):
            if address["country"]:
                countries.setdefault(address["party"], address["country"]["code"])
        left = self._left_out["customers"]
        left["parties without receivables"] = 0
        fields = ("code", "name", "active", "lang.code", "customer_payment_term.name", "write_date", "create_date", *limit)
        for party in self._all("party.party", fields, [["active", "in", [True, False]]]):
            if party["id"] not in owing:
                left["parties without receivables"] += 1
                continue
            yield {
                "customer_id": party["id"],
                "name": party["name"] or party["code"],
                "company_id": self.company["id"],
                "country": countries.get(party["id"]),
                "credit_limit": party.get("credit_limit_amount"),
                "payment_terms": (party["customer_payment_term"] or {}).get("name"),
                "registration_number": numbers.get(party["id"]),
                "email": ways.get((party["id"], "email")),
                "phone": ways.get((party["id"], "phone")) or ways.get((party["id"], "mobile")),
                "language": (party["lang"] or {}).get("code"),
                "status": "active" if party["active"] else "closed",
                "updated_at": party["write_date"] or party["create_date"],
            }

    def _payment_terms(self) -> Iterator[Mapping[str, Any]]:
        """Terms of one instalment a number of days on; what else there is stands in each invoice's own due dates."""
        steps: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for delta in self._all(
            "account.invoice.payment_term.line.delta", ("line", "day", "month", "weekday", "months", "weeks", "days")
        ):
            steps[delta["line"]].append(delta)
        parts: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for line in self._all("account.invoice.payment_term.line", ("payment.name", "type")):
            parts[line["payment"]["name"]].append(line)
        left = self._left_out["payment_terms"]
        left["terms of several instalments, or by month or weekday"] = 0
        for name, lines in parts.items():
            deltas = steps[lines[0]["id"]]
            if len(lines) > 1 or any(delta[unit] for delta in deltas for unit in ("day", "month", "weekday", "months")):
                left["terms of several instalments, or by month or weekday"] += 1
            else:
                yield {"payment_terms": name, "net_days": sum((d["days"] or 0) + 7 * (d["weeks"] or 0) for d in deltas)}

    def _invoices(self) -> Iterator[Mapping[str, Any]]:
        dues = self._due
        for number, document in self.documents.items():
            memo, due = document.total < 0, dues.get(number)
            voided = document.state == "cancelled" and document.cancelled_by in self._voids
            yield {
                "invoice_id": number,
                "invoice_number": document.number,
                "customer_id": document.party,
                "company_id": self.company["id"],
                "document_type": "credit_memo" if memo else "invoice",
                "invoice_date": document.on,
                "due_date": max(day for day, _ in due) if due and not memo else None,
                "currency": document.currency,
                "amount": abs(document.total),
                "tax_amount": abs(document.tax),
                "payment_terms": document.terms,
                "po_number": document.reference,
                "voided_on": document.cancelled_on if voided else None,
                "open_amount_reported": abs(document.left) if document.state == "posted" else ZERO,
                "updated_at": document.changed,
            }
        for kind in ("debit_memo", "credit_memo"):
            for line in self._others[kind]:
                yield {
                    "invoice_id": f"line:{line.id}",
                    "invoice_number": line.text or f"line {line.id}",
                    "customer_id": line.party,
                    "company_id": self.company["id"],
                    "document_type": kind,
                    "invoice_date": line.on,
                    "due_date": (line.due or line.on) if kind == "debit_memo" else None,
                    "currency": line.currency,
                    "amount": abs(line.amount),
                    "updated_at": line.changed,
                }

    @cached_property
    def _due(self) -> Mapping[int, Sequence[tuple[date, Decimal]]]:
        """When how much of each invoice falls due, in its currency."""
        found: dict[int, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for line in self.lines:
            if (number := self._of_documents.get(line.id)) and line.due:
                found[number][line.due] += line.amount
        return {number: sorted(parts.items()) for number, parts in found.items()}

    def _instalments(self) -> Iterator[Mapping[str, Any]]:
        for number, parts in self._due.items():
            whole = self.documents[number].total
            if len(parts) > 1 and whole > 0 and whole == sum(amount for _, amount in parts):
                for place, (due, amount) in enumerate(parts, 1):
                    yield {"invoice_id": number, "instalment_number": place, "due_date": due, "amount": amount}

    def _payments(self) -> Iterator[Mapping[str, Any]]:
        for line in self._others["payment"]:
            back = self._undone.get(line.id)
            yield {
                "payment_id": line.id,
                "customer_id": line.party,
                "payment_date": line.on,
                "currency": line.currency,
                "amount": -line.amount,
                "company_id": self.company["id"],
                "method": line.journal_name,
                "reference": line.text,
                "reversed_on": back.on if back else None,
                "updated_at": max((each.changed for each in (line, back) if each and each.changed), default=None),
            }

    def _refunds(self) -> Iterator[Mapping[str, Any]]:
        for line in self._others["refund"]:
            back = self._undone.get(line.id)
            credit = line.pays if line.pays in self.documents else None
            yield {
                "refund_id": line.id,
                "customer_id": line.party,
                "refunded_on": line.on,
                "currency": line.currency,
                "amount": line.amount,
                "source_type": "credit_memo" if credit else None,
                "source_id": credit,
                "company_id": self.company["id"],
                "method": line.journal_name,
                "reversed_on": back.on if back else None,
                "updated_at": line.changed,
            }

    def _allocations(self) -> Iterator[Mapping[str, Any]]:
        """Payments by the invoice they name; what else was reconciled together, oldest against oldest within a reconciliation."""
        for line in self._others["payment"]:
            if line.pays is not None and line.pays in self.documents:
                foreign = not self._same_currency(line, line.pays)
                yield {
                    "allocation_id": f"{line.id}:{line.pays}",
                    "invoice_id": line.pays,
                    "source_type": "payment",
                    "source_id": line.id,
                    "allocated_on": line.on,
                    "amount": self._in_currency_of(line.pays, line) if foreign else -line.amount,
                    "source_amount": -line.amount if foreign else None,
                    "updated_at": line.changed,
                }
        groups: dict[tuple[int, str], list[Line]] = defaultdict(list)
        for line in self.lines:
            if line.reconciliation and line.move not in self._voids and line.journal != _EXCHANGE:
                groups[line.reconciliation, line.currency].append(line)
        for (number, _), lines in sorted(groups.items()):
            yield from self._reconciled(number, lines)

    def _same_currency(self, line: Line, invoice: int) -> bool:
        return self.documents[invoice].currency == line.currency

    def _in_currency_of(self, invoice: int, line: Line) -> Decimal:
        """What a payment in another currency settles of an invoice: at the rate the invoice itself was posted with."""
        posted, base = self._posted.get(invoice, (ZERO, ZERO))
        return (-line.base * posted / base).quantize(self.documents[invoice].step, ROUND_HALF_UP) if base else ZERO

    @cached_property
    def _posted(self) -> Mapping[int, tuple[Decimal, Decimal]]:
        """What each invoice was posted with, in its currency and in the company's."""
        found: dict[int, tuple[Decimal, Decimal]] = {}
        for line in self.lines:
            if number := self._of_documents.get(line.id):
                amount, base = found.get(number, (ZERO, ZERO))
                found[number] = (amount + line.amount, base + line.base)
        return found

    @cached_property
    def _taken_back(self) -> set[int]:
        """Lines that were taken back, and those that took them."""
        return {line.id for line in self._undone.values()} | set(self._undone)

    @cached_property
    def _kinds(self) -> Mapping[int, str]:
        """What each line is that is no invoice's."""
        return {line.id: kind for kind, others in self._others.items() for line in others}

    def _reconciled(self, group: int, lines: Sequence[Line]) -> Iterator[Mapping[str, Any]]:
        """What of a reconciliation no payment says by itself: credit notes, money on account and write-offs against invoices."""
        taken_back, kinds = self._taken_back, self._kinds
        named: dict[int, Decimal] = defaultdict(Decimal)
        for line in lines:
            if line.pays is None or line.pays not in self.documents or line.id in taken_back:
                continue
            if line.amount < 0 and self._same_currency(line, line.pays):
                named[line.pays] -= line.amount
        owed: list[_Open] = []
        paid: list[_Open] = []
        for line in sorted(lines, key=lambda line: (line.on, line.id)):
            document = self._of_documents.get(line.id)
            if line.id in taken_back or (line.pays and line.amount < 0):
                continue
            if line.amount < 0:
                kind = "credit_memo" if document else kinds.get(line.id, "adjustment")
                source = {"credit_memo": document or f"line:{line.id}", "payment": line.id}.get(kind)
                paid.append(_Open(line, -line.amount, source, kind))
            elif document or kinds.get(line.id) == "debit_memo":
                covered = min(line.amount, named[document]) if document else ZERO
                if document:
                    named[document] -= covered
                if line.amount > covered:
                    owed.append(_Open(line, line.amount - covered, document or f"line:{line.id}"))
        while owed and paid:
            debt, credit = owed[0], paid[0]
            amount = min(debt.left, credit.left)
            yield {
                "allocation_id": f"{group}:{debt.line.id}:{credit.line.id}",
                "invoice_id": debt.document,
                "source_type": credit.kind,
                "source_id": credit.document,
                "allocated_on": max(debt.line.on, credit.line.on),
                "amount": amount,
            }
            debt.left -= amount
            credit.left -= amount
            owed, paid = owed[not debt.left :], paid[not credit.left :]

    def _disputes(self) -> Iterator[Mapping[str, Any]]:
        """Lines that somebody has blocked from dunning. Tryton keeps no day of it but that of the last change."""
        if not self._has("account.dunning", "blocked"):
            return
        for dunning in self._all("account.dunning", ("line", "blocked", "write_date", "create_date"), [["blocked", "=", True]]):
            if invoice := self._of_documents.get(dunning["line"]):
                yield {
                    "dispute_id": dunning["id"],
                    "invoice_id": invoice,
                    "opened_on": (dunning["write_date"] or dunning["create_date"]).date(),
                    "reason": "blocked from dunning",
                }

    def _exchange_rates(self) -> Iterator[Mapping[str, Any]]:
        """Rates in Tryton are units of a currency for one of a common one; the company's own on the day makes them quotes."""
        base = self.company["currency"]["code"]
        quotes: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
        for record in self._all("currency.currency.rate", ("date", "rate", "currency.code")):
            quotes[record["currency"]["code"]].append((max(record["date"], BEGINNING), Decimal(record["rate"])))
        own = sorted(quotes.pop(base, [(BEGINNING, Decimal(1))]))
        for currency, dated in quotes.items():
            for day, rate in dated:
                then = next((value for since, value in reversed(own) if since <= day), None)
                if then and rate:
                    quote = (then / rate).quantize(RATE_DIGITS, ROUND_HALF_UP)
                    yield {"rate_date": day, "currency": currency, "base_currency": base, "rate": quote}


class _ById:
    """Pages go on behind the last id of the page before and end with the first that is not full."""

    def __init__(self, domain: list[Any], size: int):
        self.domain, self.size = domain, size

    def following(self, asked: Question, answer: Any) -> Question | None:
        if len(answer) < self.size:
            return None
        return asked.with_(d=_coded([*self.domain, ["id", ">", answer[-1]["id"]]]))


def _coded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def _dated(day: date) -> dict[str, Any]:
    """A date as Tryton's JSON has it."""
    return {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}


@lru_cache(maxsize=1 << 16)
def _decimal(text: str) -> Decimal:
    """The same amount is the same object, as is the same day: a ledger that is held has few of them, and each many times."""
    return Decimal(text)


@lru_cache(maxsize=1 << 16)
def _date(year: int, month: int, day: int) -> date:
    return date(year, month, day)


def _document(record: Mapping[str, Any]) -> Document:
    cancelled = record["cancel_move"] or {}
    return Document(
        number=record["number"],
        party=record["party"],
        on=record["invoice_date"],
        currency=intern(record["currency"]["code"]),
        step=_decimal(f"1E-{record['currency']['digits']}"),
        total=Decimal(record["total_amount"]),
        tax=Decimal(record["tax_amount"]),
        left=Decimal(record["amount_to_pay"]),
        terms=(record["payment_term"] or {}).get("name"),
        reference=record["reference"],
        state=intern(record["state"]),
        move=record["move"],
        cancelled_by=cancelled.get("id"),
        cancelled_on=cancelled.get("date"),
        changed=record["write_date"] or record["create_date"],
    )


def _plain(value: Any) -> Any:
    """Tryton's JSON as values: decimals, dates and times are objects that name their class, times are UTC."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    match value.get("__class__"):
        case "Decimal":
            return _decimal(value["decimal"])
        case "date":
            return _date(value["year"], value["month"], value["day"])
        case "datetime":
            clock = (value["hour"], value["minute"], value["second"], value["microsecond"])
            return datetime.combine(date(value["year"], value["month"], value["day"]), time(*clock, tzinfo=UTC))
        case "timedelta":
            return value["seconds"]
    return {name: _plain(each) for name, each in value.items()}


class TrytonSettings(ConnectorSettings, env_prefix="ARREARS_TRYTON_"):
    """The address with the database's name at its end, the key of a user application, and which company where there are several."""

    url: str
    key: SecretStr
    company: int | None = None


def _opened(own: TrytonSettings, opening: Opening) -> TrytonSource:
    source = TrytonSource(own.url, own.key.get_secret_value(), own.company)
    opening.stack.callback(source.http.close)
    return source


CONNECTOR = Connector(
    name="tryton",
    settings=TrytonSettings,
    opened=_opened,
    words=lambda own: without_password(own.url),
    needs="ARREARS_TRYTON_URL, which ends with the database's name, and ARREARS_TRYTON_KEY",
    gives=frozenset({"ledger", "rates"}),
    companies=TrytonSource.companies,
    rights=TrytonSource.rights,
    aged=TrytonSource.aged,
)
