"""ERPNext's receivables (versions 14 to 16), all companies of a site or one, over Frappe's REST interface.

Belongs here: its doctypes, how Frappe writes values, and what of them is which dataset. Does not belong here: asking (`http.py`), what a
record must be (`landing/judge.py`).

    Company                              companies
    Customer, Payment Terms Template     customers, payment_terms
    Payment Ledger Entry                 amounts and currencies of documents; allocations; memos and money by journal
    Sales Invoice, Payment Schedule      invoices (a return is a credit memo), instalments
    Payment Entry                        payments, refunds; its deductions discounts and write-offs
    Currency Exchange                    exchange_rates

The payment ledger is what the product's own outstanding amounts are made of: a row a voucher and what it is put against. Everything is
asked for every night: an undone reconciliation rewrites rows in place, and a customer that is renamed or merged changes documents
without their stamp.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property, partial
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

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
from dagster_project.sources.auth import Basic
from dagster_project.sources.http import Http, Refused
from dagster_project.sources.paging import Question, walked
from dagster_project.sources.records import ZERO, Record, Spool, amount, number, pages
from dagster_project.words import shown

PAGE_ROWS: Final = 1_000
TRIES: Final = 3
"""How often a page is asked for that does not go on where the one before ended."""

INVOICE, PAYMENT, JOURNAL, LEDGER = "Sales Invoice", "Payment Entry", "Journal Entry", "Payment Ledger Entry"
REPORT: Final = "Accounts Receivable"

_FIELDS: Final[Mapping[str, Sequence[str]]] = {
    LEDGER: ("posting_date", "company", "party", "voucher_type", "voucher_no", "against_voucher_type", "against_voucher_no",
             "amount_in_account_currency", "account_currency", "delinked", "creation", "modified"),
    INVOICE: ("customer", "company", "posting_date", "due_date", "currency", "total_taxes_and_charges", "po_no", "is_return", "docstatus",
              "outstanding_amount", "payment_terms_template", "modified"),
    PAYMENT: ("payment_type", "party", "company", "posting_date", "paid_amount", "received_amount", "paid_from_account_currency",
              "paid_to_account_currency", "mode_of_payment", "reference_no", "docstatus", "modified"),
    JOURNAL: ("voucher_type", "docstatus", "posting_date", "cheque_no", "modified"),
    "Customer": ("customer_name", "territory", "industry", "default_currency", "payment_terms", "tax_id", "email_id", "mobile_no",
                 "language", "account_manager", "disabled", "is_frozen", "is_internal_customer", "creation", "modified"),
}  # fmt: skip


class ErpNextSettings(ConnectorSettings, env_prefix="ARREARS_ERPNEXT_"):
    """The site, the key and secret of a user's API access, which company where not all, and the accounts that grant discounts."""

    url: str
    key: str
    secret: SecretStr
    company: str = ""
    discount_accounts: str = ""


@dataclass(frozen=True)
class Row:
    """A row of the payment ledger: what a voucher adds to what is owed for another (or for itself), negative where it lowers it."""

    name: str
    on: date
    company: str
    party: str
    voucher: tuple[str, str]
    against: tuple[str, str]
    amount: Decimal
    currency: str
    delinked: bool
    created: str
    modified: datetime


@dataclass(frozen=True)
class Edge:
    """An amount put against a document, by `kind` (`source` where that is a payment or a credit memo); `row` is where it is from."""

    row: Row
    target: str
    kind: str
    source: str | None
    amount: Decimal
    place: int
    reversed_on: date | None


class ErpNextSource:
    """The companies of a site."""

    def __init__(
        self, own: ErpNextSettings, opening: Opening, *, wait: float = 1.0, limits: Limits = LIMITS, size: int = PAGE_ROWS
    ):
        self.own = own
        self.http = Http(
            own.url,
            Basic(own.key, own.secret.get_secret_value(), "ARREARS_ERPNEXT_KEY", scheme="token"),
            setting="ARREARS_ERPNEXT_URL",
            credentials="ARREARS_ERPNEXT_KEY and ARREARS_ERPNEXT_SECRET",
            limits=limits,
            wait=wait,
            reading=_reading,
        )
        opening.stack.callback(self.http.close)
        self.url = own.url.rstrip("/")
        self.size = size
        self._spool = Spool()
        opening.stack.callback(self._spool.close)
        self._walked: set[str] = set()
        self._discounts = {each.strip() for each in own.discount_accounts.split(",") if each.strip()}

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        del since  # what was undone or renamed has no stamp of it
        left_out: Counter[str] = Counter()
        made: Mapping[str, Callable[[], Iterator[Record]]] = {
            "companies": self._companies,
            "customers": lambda: self._customers(left_out),
            "payment_terms": self._payment_terms,
            "invoices": lambda: self._invoices(left_out),
            "instalments": self._instalments,
            "payments": lambda: self._payments(left_out),
            "refunds": self._refunds,
            "allocations": self._allocations,
            "exchange_rates": self._exchange_rates,
        }
        if dataset.name not in made:
            return None
        return Delivery(
            pages=pages(dataset, made[dataset.name]()), full=True, origin=without_password(self.url), left_out=left_out
        )

    # --- asking ------------------------------------------------------------------------------------------------------

    def _list(
        self, doctype: str, fields: Sequence[str], filters: Sequence[Any] = (), parent: str | None = None
    ) -> Iterator[Record]:
        """Every record of a doctype by name, so that none is missed or met twice while others are written."""
        address = f"{self.url}/api/resource/{quote(doctype)}"
        first = Question(
            address,
            {
                "fields": json.dumps(["name", *fields]),
                "filters": json.dumps(list(filters)),
                "order_by": "name asc",
                "limit_page_length": str(self.size),
                **({"parent": parent} if parent else {}),
            },
        )
        for answer in walked(first, self._page, _ByName(list(filters), self.size), doctype, self.http.limits):
            yield from answer

    def _page(self, question: Question) -> list[Record]:
        """One page: of what was asked for, and behind the name it was asked from."""
        fields = set(json.loads(question.parameters["fields"]))
        filters = json.loads(question.parameters["filters"])
        behind = next((value for name, sign, value in filters if (name, sign) == ("name", ">")), None)
        here = without_password(question.address)
        for _ in range(TRIES):
            answer = self.http.json(question.address, question.parameters, number=str, whole=str)
            found = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(found, list):
                raise SourceError(f"{here}: no list came back: is ARREARS_ERPNEXT_URL a site of Frappe's?")
            if all(fields <= record.keys() and record["name"] != behind for record in found):
                return found
        raise SourceError(f"{here}: what comes is not the page behind {shown(str(behind), 60)} that was asked for")

    def _mine(self) -> list[Any]:
        return [["company", "=", self.own.company]] if self.own.company else []

    def _all(self, doctype: str, filters: Sequence[Any] = ()) -> Iterator[Record]:
        """Records of a doctype, asked for once a run."""
        if doctype not in self._walked:
            batch: list[tuple[str, Record]] = []
            for record in self._list(doctype, _FIELDS[doctype], filters):
                batch.append((_key(doctype, record), record))
                if len(batch) >= self.size:
                    self._spool.put(doctype, batch)
                    batch = []
            self._spool.put(doctype, batch)
            self._walked.add(doctype)
        return self._spool.all(doctype)

    @cached_property
    def zone(self) -> ZoneInfo:
        """Where the site's naive times are."""
        answer = self.http.json(f"{self.url}/api/method/frappe.client.get_time_zone")
        told = answer.get("message") if isinstance(answer, dict) else None
        name = told.get("time_zone") if isinstance(told, dict) else told
        try:
            return ZoneInfo(str(name))
        except (KeyError, ValueError, OSError):
            raise SourceError(
                f"{without_password(self.url)}: the site's time zone {shown(str(name), 40)!r} is not known"
            ) from None

    def _utc(self, text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=self.zone).astimezone(UTC)

    def aged(self, day: date) -> Iterator[Aged]:
        """The report Accounts Receivable of a day, of each company: what is outstanding of every document, in the company's currency.

        Raises:
            SourceError: the site prepares it in the background, or what comes is no report.
        """
        for company in self.companies:
            if self.own.company and company["name"] != self.own.company:
                continue
            filters = {
                "company": company["name"], "report_date": day.isoformat(), "party_type": "Customer", "ageing_based_on": "Due Date",
                "range": "30, 60, 90, 120", "range1": 30, "range2": 60, "range3": 90, "range4": 120,
            }  # fmt: skip
            address = f"{self.url}/api/method/frappe.desk.query_report.run"
            asked = {"report_name": REPORT, "filters": json.dumps(filters), "ignore_prepared_report": True}
            answer = self.http.json(address, body=asked, number=str, whole=str)
            told = answer.get("message") if isinstance(answer, dict) else None
            if not isinstance(told, dict) or not isinstance(told.get("result"), list):
                hint = (
                    "it is prepared in the background: switch that off" if isinstance(told, dict) else "is it a site of Frappe's?"
                )
                raise SourceError(f"{without_password(address)}: the report {REPORT} has no lines; {hint}")
            for line in told["result"]:
                if isinstance(line, dict) and line.get("party") and line.get("voucher_no"):
                    currency = str(company["default_currency"])
                    left = amount(line.get("outstanding"), currency, f"ERPNext {line['voucher_no']} in {REPORT}")
                    yield Aged(str(line["party"]), currency, left)

    # --- companies and customers -------------------------------------------------------------------------------------

    @cached_property
    def companies(self) -> Sequence[Record]:
        found = list(self._list("Company", ("company_name", "default_currency", "country")))
        if self.own.company and self.own.company not in {each["name"] for each in found}:
            told = ", ".join(each["name"] for each in found) or "none"
            raise SourceError(f"ARREARS_ERPNEXT_COMPANY: {self.own.company!r} is not a company that the user sees: {told}")
        return found

    def _companies(self) -> Iterator[Record]:
        codes = {each["name"]: str(each.get("code") or "").upper() for each in self._list("Country", ("code",))}
        for each in self.companies:
            if not self.own.company or each["name"] == self.own.company:
                yield {
                    "company_id": each["name"],
                    "name": each.get("company_name") or each["name"],
                    "currency": each["default_currency"],
                    "country": codes.get(each.get("country") or ""),
                    "timezone": self.zone.key,
                }

    def _customers(self, left_out: Counter[str]) -> Iterator[Record]:
        for each in self._all("Customer"):
            if _is(each.get("is_internal_customer")):
                left_out["internal customers"] += 1
                continue
            yield {
                "customer_id": each["name"],
                "name": each.get("customer_name") or each["name"],
                "region": each.get("territory"),
                "industry": each.get("industry"),
                "currency": each.get("default_currency"),
                "customer_since": str(each.get("creation") or "")[:10],
                "payment_terms": each.get("payment_terms"),
                "registration_number": each.get("tax_id"),
                "email": each.get("email_id"),
                "phone": each.get("mobile_no"),
                "language": each.get("language"),
                "sales_rep": each.get("account_manager"),
                "status": "closed" if _is(each.get("disabled")) else "on_hold" if _is(each.get("is_frozen")) else "active",
                "updated_at": self._utc(each["modified"]),
            }

    def _payment_terms(self) -> Iterator[Record]:
        """Terms of one instalment a number of days after the invoice; what else there is stands in the invoices' own due dates."""
        names = (
            "parent",
            "due_date_based_on",
            "invoice_portion",
            "credit_days",
            "discount_type",
            "discount",
            "discount_validity",
        )
        lines: dict[str, list[Record]] = defaultdict(list)
        for line in self._list("Payment Terms Template Detail", names, parent="Payment Terms Template"):
            lines[line["parent"]].append(line)
        for name, parts in sorted(lines.items()):
            only = parts[0]
            if len(parts) > 1 or only.get("due_date_based_on") != "Day(s) after invoice date":
                continue
            discount = (
                number(only.get("discount"), f"ERPNext terms {name}") if only.get("discount_type") == "Percentage" else ZERO
            )
            yield {
                "payment_terms": name,
                "net_days": only.get("credit_days"),
                "discount_pct": discount or None,
                "discount_days": only.get("discount_validity") if discount else None,
            }

    # --- the payment ledger ------------------------------------------------------------------------------------------

    def _vouchers(self) -> Iterator[tuple[tuple[str, str], list[Row]]]:
        """The rows of each voucher, in the order they were written. What is 0 in the account's currency moved company currency alone."""
        filters = [["account_type", "=", "Receivable"], ["party_type", "=", "Customer"], *self._mine()]
        rows = (self._row(record) for record in self._all(LEDGER, filters))
        for voucher, found in groupby((row for row in rows if row.amount), key=lambda row: row.voucher):
            yield voucher, sorted(found, key=lambda row: (row.created, row.name))

    def _row(self, record: Record) -> Row:
        currency = record["account_currency"]
        return Row(
            name=record["name"],
            on=date.fromisoformat(record["posting_date"]),
            company=record["company"],
            party=record["party"],
            voucher=(record["voucher_type"], record["voucher_no"]),
            against=(record["against_voucher_type"], record["against_voucher_no"]),
            amount=amount(record["amount_in_account_currency"], currency, f"ERPNext ledger entry {record['name']}"),
            currency=currency,
            delinked=_is(record.get("delinked")),
            created=str(record.get("creation") or ""),
            modified=datetime.fromisoformat(record["modified"]),
        )

    def _document(self, doctype: str, name: str) -> Record:
        """A voucher's own record; nothing where the user may not see it."""
        filters = [["docstatus", "in", ["1", "2"]], *self._mine()]
        if doctype == PAYMENT:
            filters.append(["party_type", "=", "Customer"])
        if doctype in _FIELDS:
            self._all(doctype, filters)
        return self._spool.get(doctype, name) or {}

    def _is_return(self, voucher: tuple[str, str]) -> bool:
        return voucher[0] == INVOICE and _is(self._document(*voucher).get("is_return"))

    def _is_cancelled(self, voucher: tuple[str, str]) -> bool:
        return str(self._document(*voucher).get("docstatus")) == "2"

    def _own(self, voucher: tuple[str, str], rows: Sequence[Row]) -> list[Row]:
        """A voucher's rows without those that take others back: of what was cancelled the first half, else what still stands."""
        if self._is_cancelled(voucher):
            lowers = self._lowers(voucher)
            return [row for row in rows if (row.amount < 0) == lowers]
        return [row for row in rows if not row.delinked]

    def _lowers(self, voucher: tuple[str, str]) -> bool:
        if voucher[0] == PAYMENT:
            return self._document(*voucher).get("payment_type") != "Pay"
        return voucher[0] != INVOICE or self._is_return(voucher)

    def _gone_on(self, row: Row) -> date | None:
        """When a row stopped counting, where the site is: with its voucher, or by itself."""
        document = self._document(*row.voucher)
        if str(document.get("docstatus")) == "2":
            return datetime.fromisoformat(document["modified"]).date()
        return row.modified.date() if row.delinked else None

    # --- documents ---------------------------------------------------------------------------------------------------

    def _invoices(self, left_out: Counter[str]) -> Iterator[Record]:
        seen: set[str] = set()
        for voucher, rows in self._vouchers():
            if voucher[0] == INVOICE:
                document, own = self._document(*voucher), self._own(voucher, rows)
                memo = self._is_return(voucher)
                owed = [row for row in own if (row.amount < 0) == memo and (memo or row.against == voucher)]
                if not document or not owed:
                    continue
                seen.add(voucher[1])
                yield self._invoice(document, owed, memo=memo)
            elif voucher[0] == JOURNAL:
                yield from self._memos(voucher, rows)
        left_out["drafts"] = sum(1 for _ in self._list(INVOICE, (), [["docstatus", "=", "0"], *self._mine()]))
        left_out["invoices without a row in the payment ledger"] = sum(1 for key in self._spool.keys(INVOICE) if key not in seen)

    def _invoice(self, document: Record, owed: Sequence[Row], *, memo: bool) -> Record:
        cancelled, currency = str(document["docstatus"]) == "2", owed[0].currency
        what = f"ERPNext invoice {document['name']}"
        same = document.get("currency") == currency
        return {
            "invoice_id": document["name"],
            "invoice_number": document["name"],
            "customer_id": document["customer"],
            "company_id": document["company"],
            "document_type": "credit_memo" if memo else "invoice",
            "invoice_date": document["posting_date"],
            "due_date": None if memo else document.get("due_date"),
            "currency": currency,
            "amount": abs(sum((row.amount for row in owed), ZERO)),
            "tax_amount": abs(amount(document.get("total_taxes_and_charges"), currency, what)) if same else None,
            "payment_terms": document.get("payment_terms_template"),
            "po_number": document.get("po_no"),
            "voided_on": str(document["modified"])[:10] if cancelled else None,
            "open_amount_reported": ZERO if cancelled else abs(amount(document.get("outstanding_amount"), currency, what)),
            "updated_at": self._utc(document["modified"]),
        }

    def _memos(self, voucher: tuple[str, str], rows: Sequence[Row]) -> Iterator[Record]:
        """Journals that raise a receivable by themselves, or lower one other than by money or a write-off."""
        document = self._document(*voucher)
        for kind, total, row in self._journal(voucher, rows)[1]:
            if kind in ("debit_memo", "credit_memo"):
                yield {
                    "invoice_id": _journal_id(voucher, kind, row.party),
                    "invoice_number": voucher[1],
                    "customer_id": row.party,
                    "company_id": row.company,
                    "document_type": kind,
                    "invoice_date": row.on,
                    "due_date": row.on if kind == "debit_memo" else None,
                    "currency": row.currency,
                    "amount": total,
                    "voided_on": str(document["modified"])[:10] if self._is_cancelled(voucher) else None,
                    "updated_at": row.modified.replace(tzinfo=self.zone),
                }

    def _instalments(self) -> Iterator[Record]:
        """The parts of invoices that fall due on several days, where they add up to what is owed."""
        if "Payment Schedule" not in self._walked:
            names = ("parent", "idx", "due_date", "payment_amount")
            filters = [["parenttype", "=", INVOICE]]
            for record in self._list("Payment Schedule", names, filters, parent=INVOICE):
                self._spool.put("Payment Schedule", [(f"{record['parent']}\x1f{int(record['idx']):06}", record)])
            self._walked.add("Payment Schedule")
        owed = {
            voucher[1]: (
                sum((row.amount for row in self._own(voucher, rows) if row.amount > 0 and row.against == voucher), ZERO),
                rows[0],
            )
            for voucher, rows in self._vouchers()
            if voucher[0] == INVOICE and not self._is_return(voucher)
        }
        for name, found in groupby(self._spool.all("Payment Schedule"), key=lambda record: record["parent"]):
            parts = list(found)
            if len(parts) < 2 or name not in owed:
                continue
            total, row = owed[name]
            amounts = [amount(part["payment_amount"], row.currency, f"ERPNext schedule of {name}") for part in parts]
            if sum(amounts, ZERO) == total:
                for place, (part, put) in enumerate(zip(parts, amounts, strict=True), 1):
                    yield {"invoice_id": name, "instalment_number": place, "due_date": part["due_date"], "amount": put}

    # --- money -------------------------------------------------------------------------------------------------------

    def _payments(self, left_out: Counter[str]) -> Iterator[Record]:
        self._document(PAYMENT, "")
        for document in self._spool.all(PAYMENT):
            if document.get("payment_type") == "Receive":
                currency = document["paid_from_account_currency"]
                yield {
                    "payment_id": document["name"],
                    "customer_id": document["party"],
                    "payment_date": document["posting_date"],
                    "currency": currency,
                    "amount": amount(document["paid_amount"], currency, f"ERPNext payment {document['name']}"),
                    "company_id": document["company"],
                    "method": document.get("mode_of_payment"),
                    "reference": document.get("reference_no"),
                    "reversed_on": str(document["modified"])[:10] if str(document["docstatus"]) == "2" else None,
                    "updated_at": self._utc(document["modified"]),
                }
        filters = [["docstatus", "=", "0"], ["party_type", "=", "Customer"], *self._mine()]
        left_out["drafts"] = sum(1 for _ in self._list(PAYMENT, (), filters))
        for voucher, rows in self._vouchers():
            document = self._document(*voucher)
            gone = str(document["modified"])[:10] if document and self._is_cancelled(voucher) else None
            for kind, total, row in (
                self._journal(voucher, rows)[1] if voucher[0] == JOURNAL else self._at_the_till(voucher, rows)
            ):
                if kind == "payment":
                    yield {
                        "payment_id": _journal_id(voucher, kind, row.party) if voucher[0] == JOURNAL else f"till:{voucher[1]}",
                        "customer_id": row.party,
                        "payment_date": row.on,
                        "currency": row.currency,
                        "amount": total,
                        "company_id": row.company,
                        "reference": document.get("cheque_no"),
                        "reversed_on": gone,
                        "updated_at": row.modified.replace(tzinfo=self.zone),
                    }

    def _at_the_till(self, voucher: tuple[str, str], rows: Sequence[Row]) -> list[tuple[str, Decimal, Row]]:
        """What was paid in an invoice itself: its negative rows against itself."""
        if voucher[0] != INVOICE or self._is_return(voucher) or self._is_cancelled(voucher):
            return []
        paid = [row for row in rows if row.against == voucher and row.amount < 0 and not row.delinked]
        return [("payment", -sum((row.amount for row in paid), ZERO), paid[0])] if paid else []

    def _refunds(self) -> Iterator[Record]:
        for voucher, rows in self._vouchers():
            document = self._document(*voucher)
            if voucher[0] != PAYMENT or document.get("payment_type") != "Pay":
                continue
            given: dict[tuple[str, str], list[Row]] = defaultdict(list)
            for row in self._own(voucher, rows):
                given[row.against].append(row)
            for against, parts in given.items():
                total = sum((row.amount for row in parts), ZERO)
                if total <= 0:
                    continue
                kind = (
                    "credit_memo"
                    if self._is_return(against)
                    else "payment"
                    if against[0] == PAYMENT and against != voucher
                    else None
                )
                yield {
                    "refund_id": f"{voucher[1]}:{against[1]}",
                    "customer_id": parts[0].party,
                    "refunded_on": document["posting_date"],
                    "currency": parts[0].currency,
                    "amount": total,
                    "source_type": kind,
                    "source_id": against[1] if kind else None,
                    "company_id": parts[0].company,
                    "method": document.get("mode_of_payment"),
                    "reversed_on": self._gone_on(parts[0]),
                    "updated_at": self._utc(document["modified"]),
                }

    def _allocations(self) -> Iterator[Record]:
        for voucher, rows in self._vouchers():
            for edge in self._edges(voucher, rows):
                yield {
                    "allocation_id": f"{edge.row.name}:{edge.place}",
                    "invoice_id": edge.target,
                    "source_type": edge.kind,
                    "source_id": edge.source,
                    "allocated_on": edge.row.on,
                    "amount": edge.amount,
                    "reversed_on": edge.reversed_on,
                    "updated_at": edge.row.modified.replace(tzinfo=self.zone),
                }

    def _edges(self, voucher: tuple[str, str], rows: Sequence[Row]) -> Iterable[Edge]:
        match voucher[0]:
            case "Payment Entry":
                return self._paid(voucher, rows)
            case "Journal Entry":
                return self._journal(voucher, rows)[0]
            case "Sales Invoice" if self._is_return(voucher):
                return [self._edge(row, "credit_memo", voucher[1], -row.amount) for row in self._puts(voucher, rows)]
            case "Sales Invoice":
                return [
                    Edge(row, voucher[1], "payment", f"till:{voucher[1]}", total, 0, None)
                    for _, total, row in self._at_the_till(voucher, rows)
                ]
        return []

    def _puts(self, voucher: tuple[str, str], rows: Sequence[Row]) -> list[Row]:
        """Rows that lower another document, also those that did once."""
        return [row for row in rows if row.against != voucher and row.amount < 0 and not self._is_return(row.against)
                and row.against[0] in (INVOICE, JOURNAL)]  # fmt: skip

    def _edge(self, row: Row, kind: str, source: str | None, put: Decimal, place: int = 0) -> Edge:
        target = _journal_id(row.against, "debit_memo", row.party) if row.against[0] == JOURNAL else row.against[1]
        return Edge(row, target, kind, source, put, place, self._gone_on(row))

    def _paid(self, voucher: tuple[str, str], rows: Sequence[Row]) -> Iterator[Edge]:
        """A payment against invoices; what of it was no cash but deducted is a discount or a write-off, of the first invoices first."""
        document = self._document(*voucher)
        if document.get("payment_type") != "Receive":
            return
        deducted = self._deducted(document, self._own(voucher, rows))
        for row in self._puts(voucher, rows):
            left = -row.amount
            for place, kind in enumerate(("discount", "write_off"), 1):
                if (piece := min(left, deducted.get(kind, ZERO))) > 0:
                    yield self._edge(row, kind, None, piece, place)
                    deducted[kind] -= piece
                    left -= piece
            if left > 0:
                yield self._edge(row, "payment", voucher[1], left)

    @cached_property
    def _deductions(self) -> Mapping[str, Mapping[str, Decimal]]:
        found: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for line in self._list("Payment Entry Deduction", ("parent", "account", "amount"), parent=PAYMENT):
            kind = "discount" if line["account"] in self._discounts else "write_off"
            found[line["parent"]][kind] += number(line["amount"], f"ERPNext deduction of {line['parent']}")
        return found

    def _deducted(self, document: Record, own: Sequence[Row]) -> dict[str, Decimal]:
        """What of a payment was deducted, in the currency of the customer's account: more than was paid is. Deductions are kept in company
        currency, and say of which kind it is."""
        kinds = {kind: put for kind, put in self._deductions.get(document["name"], {}).items() if put > 0}
        whole = sum(kinds.values(), ZERO)
        currency, what = document["paid_from_account_currency"], f"ERPNext payment {document['name']}"
        more = -sum((row.amount for row in own), ZERO) - amount(document["paid_amount"], currency, what)
        if more <= 0 or not whole:
            return {}
        discount = amount(more * kinds.get("discount", ZERO) / whole, currency, what)
        return {"discount": discount, "write_off": more - discount}

    # --- journals ----------------------------------------------------------------------------------------------------

    def _journal(self, voucher: tuple[str, str], rows: Sequence[Row]) -> tuple[list[Edge], list[tuple[str, Decimal, Row]]]:
        """What a journal puts where, and what it is itself for each customer: kind, amount, a row of it.

        Rows that raise a credit note or a payment use it up against the rows that lower an invoice, in their order; what is left of those
        the journal settles by itself: as money, a write-off, a discount or a memo, by its other accounts.
        """
        edges: list[Edge] = []
        itself: list[tuple[str, Decimal, Row]] = []
        for party in dict.fromkeys(row.party for row in rows):
            own = [row for row in rows if row.party == party]
            back = self._is_cancelled(voucher)  # what takes rows back was written after all of them
            standing = own[: len(own) // 2] if back and len(own) % 2 == 0 else [row for row in own if not row.delinked]
            undone = [row for row in self._puts(voucher, own) if row.delinked] if not back else []
            sources = [replace(row) for row in standing if row.amount > 0 and row.against != voucher]
            left = {row.name: row.amount for row in sources}
            alone: list[tuple[Row, Decimal]] = []
            for row in [*self._puts(voucher, standing), *undone]:
                need, place = -row.amount, 0
                for source in sources if row not in undone else ():
                    if (piece := min(need, left[source.name])) > 0:
                        kind = "credit_memo" if self._is_return(source.against) or source.against[0] == JOURNAL else "payment"
                        named = _journal_id(source.against, kind, party) if source.against[0] == JOURNAL else source.against[1]
                        edges.append(self._edge(row, kind, named, piece, place := place + 1))
                        left[source.name] -= piece
                        need -= piece
                if need > 0:
                    alone.append((row, need))
            raised = sum((row.amount for row in standing if row.against == voucher and row.amount > 0), ZERO)
            lowered = sum((-row.amount for row in standing if row.against == voucher and row.amount < 0), ZERO)
            used = sum((put for row, put in alone if row not in undone), ZERO)
            kind = self._kind(voucher) if alone or lowered else ""
            source_id = _journal_id(voucher, kind, party) if kind in ("payment", "credit_memo") else None
            edges += [self._edge(row, kind, source_id, put) for row, put in alone]
            if raised:
                itself.append(("debit_memo", raised, next(row for row in standing if row.amount > 0)))
            if lowered or (used and source_id):
                itself.append((kind if source_id else "credit_memo", lowered + used, own[0]))
        return edges, itself

    def _kind(self, voucher: tuple[str, str]) -> str:
        """What a journal is that settles by itself."""
        told = self._document(*voucher).get("voucher_type")
        if told in ("Bank Entry", "Cash Entry"):
            return "payment"
        accounts = self._accounts_of(voucher[1])
        if self._discounts.intersection(accounts):
            return "discount"
        kinds = [self._accounts.get(name, {}) for name in accounts]
        if any(each.get("account_type") in ("Bank", "Cash") for each in kinds):
            return "payment"
        if told == "Write Off Entry" or any(each.get("root_type") == "Expense" for each in kinds):
            return "write_off"
        return "credit_memo"

    @cached_property
    def _accounts(self) -> Mapping[str, Record]:
        return {each["name"]: each for each in self._list("Account", ("root_type", "account_type"), self._mine())}

    def _accounts_of(self, journal: str) -> list[str]:
        """The accounts of a journal that are no customer's."""
        if self._spool.get("accounts", journal) is None:
            found = self._list(
                "Journal Entry Account", ("parent", "account", "party"), [["parent", "=", journal]], parent=JOURNAL
            )
            self._spool.put("accounts", [(journal, {"accounts": [each["account"] for each in found if not each.get("party")]})])
        return list((self._spool.get("accounts", journal) or {})["accounts"])

    def _exchange_rates(self) -> Iterator[Record]:
        rates: dict[tuple[str, str, str], tuple[str, Any]] = {}
        for each in self._list("Currency Exchange", ("date", "from_currency", "to_currency", "exchange_rate", "modified")):
            key = (each["date"], each["from_currency"], each["to_currency"])
            rates[key] = max((each["modified"], each["exchange_rate"]), rates.get(key, ("", "")))
        for (day, currency, base), (_, rate) in sorted(rates.items()):
            yield {"rate_date": day, "currency": currency, "base_currency": base, "rate": round(number(rate, "ERPNext rate"), 10)}


class _ByName:
    """Pages go on behind the last name of the page before and end with the first that is not full."""

    def __init__(self, filters: list[Any], size: int):
        self.filters, self.size = filters, size

    def following(self, asked: Question, answer: Any) -> Question | None:
        if len(answer) < self.size:
            return None
        return asked.with_(filters=json.dumps([*self.filters, ["name", ">", answer[-1]["name"]]]))


def _key(doctype: str, record: Record) -> str:
    """Rows of the ledger lie together by voucher."""
    return f"{record['voucher_type']}\x1f{record['voucher_no']}\x1f{record['name']}" if doctype == LEDGER else str(record["name"])


def _journal_id(voucher: tuple[str, str], kind: str, party: str) -> str:
    """What a journal is for a customer: it may be something for several, and raise and lower."""
    return f"{voucher[1]}:{kind}:{party}"


def _is(value: Any) -> bool:
    return str(value or "0") not in ("0", "False")


def _reading(refused: Refused) -> Exception | None:
    """What Frappe says of a refusal, which stands in a list of texts that are JSON themselves."""
    answer = refused.json
    if not isinstance(answer, dict) or refused.status in (401, 429) or refused.status >= 500:
        return None
    words = str(answer.get("exception") or answer.get("exc_type") or "")
    try:
        messages = [json.loads(each).get("message", "") for each in json.loads(answer.get("_server_messages") or "[]")]
    except (ValueError, TypeError, AttributeError):
        messages = []
    told = shown(" ".join(filter(None, [words, *messages])))
    if refused.status == 403:
        return SourceError(
            f"{refused.told}: {told}. The user of ARREARS_ERPNEXT_KEY has no right to read this: give it the role Accounts User"
        )
    return SourceError(f"{refused.told}: {told}") if told else None


def _rights(source: ErpNextSource) -> Iterable[Right]:
    for doctype in ("Company", "Customer", LEDGER, INVOICE, PAYMENT, JOURNAL, "Account", "Currency Exchange"):
        records = partial(source._list, doctype, ())
        yield Right.tried(doctype, lambda records=records: next(iter(records()), None))  # type: ignore[misc]


CONNECTOR = Connector(
    name="erpnext",
    settings=ErpNextSettings,
    opened=ErpNextSource,
    words=lambda own: f"{without_password(own.url)}, {own.company or 'every company'}",
    needs="ARREARS_ERPNEXT_URL, ARREARS_ERPNEXT_KEY and ARREARS_ERPNEXT_SECRET",
    gives=frozenset({"ledger", "rates"}),
    companies=lambda source: [Company(each["name"], str(each.get("company_name", ""))) for each in source.companies],
    rights=_rights,
    aged=ErpNextSource.aged,
)
