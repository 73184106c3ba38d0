"""QuickBooks Online's accounting API v3: one company's receivables.

Belongs here: its queries, how it says that something is void or gone, and what of its objects is which dataset. Does not belong here:
asking (`http.py`), tokens (`auth.py`), what a record must be (`landing/judge.py`).

    CompanyInfo, Preferences             companies
    Customer, Term                       customers, payment_terms
    Invoice                              invoices, exchange_rates; the deposit in it a payment
    CreditMemo                           invoices (credit memos), or write-offs and discounts by their items
    JournalEntry on a receivable         invoices (debit and credit memos)
    Payment                              payments; its lines allocations
    Deposit lines on a receivable        payments
    Purchase lines on a receivable       refunds

A void or deleted object loses its amounts and links, and a payment that is edited its former lines: what each said before is nowhere but
here. So objects are kept in a file under `ARREARS_HOME` (`memory/quickbooks-<realm>.sqlite`), brought up to date each night with what
changed by the server's own stamp and what change data capture says is deleted, and every dataset is delivered whole out of it; landing
writes what is new of it. Of journals, deposits and purchases only those that touch a receivable are kept, and of every object what is
delivered of it and no more: nobody's name or address. Customers are asked for every night.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, Final

from pydantic import Field, SecretStr

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
from dagster_project.sources.answers import LIMITS, Limits, PassingError, without_password
from dagster_project.sources.auth import RefreshToken, token_endpoint
from dagster_project.sources.consent import Consent
from dagster_project.sources.http import Http, Refused, Throttle, Walk
from dagster_project.sources.records import ZERO, Record, Spool, amount, number, pages
from dagster_project.words import shown

ADDRESS: Final = "https://quickbooks.api.intuit.com"
TOKENS: Final = "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"
CONSENT: Final = "https://appcenter.intuit.com/connect/oauth2"
SCOPE: Final = "com.intuit.quickbooks.accounting"
MINOR_VERSION: Final = "75"
PAGE_ROWS: Final = 1_000
OVERLAP: Final = timedelta(hours=1)
CALLS_A_MINUTE: Final = 500
WALKS: Final = 3
"""How often a list is read where fewer objects come than are counted: pages shift while somebody works."""
CAPTURED: Final = timedelta(days=29)
"""How far back changes are captured (30 days, less a day for zones); after a longer pause everything is read anew."""
MOST_CAPTURED: Final = 1_000
BY_ID: Final = 100
"""Objects that are asked for by id in one query."""
THROTTLED_SECONDS: Final = 60.0

_REMEMBERED: Final = frozenset((
    "Id", "Active", "MetaData", "LastUpdatedTime", "TxnDate", "DueDate", "DocNumber", "CustomerRef", "EntityRef", "Entity",
    "value", "type", "Type", "CurrencyRef", "ExchangeRate", "TotalAmt", "Balance", "RemainingCredit", "Deposit",
    "TxnTaxDetail", "TotalTax", "SalesTermRef", "CustomField", "Name", "StringValue", "DeliveryInfo", "DeliveryTime",
    "PaymentRefNum", "PaymentMethodRef", "PaymentType", "Line", "Amount", "DetailType", "LinkedTxn", "TxnId", "TxnType",
    "TxnLineId", "SalesItemLineDetail", "ItemRef", "JournalEntryLineDetail", "PostingType", "AccountRef", "DepositLineDetail",
    "AccountBasedExpenseLineDetail",
))  # fmt: skip
"""What is kept of an object, wherever in it: what is delivered of it, and who is meant by number."""

DOCUMENTS: Final = ("Invoice", "CreditMemo", "Payment", "JournalEntry", "Deposit", "Purchase")
NAMES: Final = ("Customer", "Term", "PaymentMethod", "Account")
"""Lists whose inactive members are hidden unless they are asked for."""


class QuickBooksSettings(ConnectorSettings, env_prefix="ARREARS_QUICKBOOKS_"):
    """An app's id and secret, the company (realm), and a refresh token unless a consent brings it; the items, by id, that a credit memo
    writes off by, or grants a discount by."""

    client_id: str
    client_secret: SecretStr
    realm: str = Field(default="", pattern=r"^\d*$", examples=["4620816365038000000"])
    refresh_token: SecretStr | None = None
    write_off_items: str = ""
    discount_items: str = ""
    url: str = ADDRESS
    token_url: str = TOKENS


@dataclass(frozen=True)
class Kept:
    """An object as it is remembered: what it last said with its amounts, when it changed, and the day it was voided or deleted."""

    record: Record
    changed: datetime
    gone_on: date | None = None


@dataclass
class _Part:
    """A line of a payment, as one side of what it brings together."""

    id: str
    left: Decimal
    kind: str


class QuickBooksSource:
    """One company."""

    def __init__(
        self, own: QuickBooksSettings, opening: Opening, *, wait: float = 1.0, limits: Limits = LIMITS, size: int = PAGE_ROWS
    ):
        if not own.realm:
            raise SourceError(
                "ARREARS_QUICKBOOKS_REALM: say which company (realm); `make connect SOURCE=quickbooks` says which a consent is for"
            )
        self.own = own
        self.http = Http(
            own.url,
            _token(own, opening),
            setting="ARREARS_QUICKBOOKS_URL",
            credentials="ARREARS_QUICKBOOKS_CLIENT_ID and the consent for ARREARS_QUICKBOOKS_REALM",
            limits=limits,
            wait=wait,
            throttle=Throttle(CALLS_A_MINUTE, 60.0),
            reading=_reading,
        )
        opening.stack.callback(self.http.close)
        self.url = f"{own.url.rstrip('/')}/v3/company/{own.realm}"
        self.size = size
        self._as_of = opening.as_of
        self._tonight = Spool()
        opening.stack.callback(self._tonight.close)
        self._memory = Spool(opening.home / "memory" / f"quickbooks-{own.realm}.sqlite")
        opening.stack.callback(self._memory.close)
        self._fresh = False
        self._ignored: Counter[str] = Counter()
        self._items = {
            **dict.fromkeys(_listed(own.write_off_items), "write_off"),
            **dict.fromkeys(_listed(own.discount_items), "discount"),
        }

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        left_out: Counter[str] = Counter()
        made: Mapping[str, Callable[[], Iterator[Record]]] = {
            "companies": self._companies,
            "customers": self._customers,
            "payment_terms": self._payment_terms,
            "invoices": lambda: self._invoices(left_out),
            "payments": self._payments,
            "refunds": self._refunds,
            "allocations": self._allocations,
            "exchange_rates": self._exchange_rates,
        }
        if dataset.name not in made:
            return None
        if dataset.has_cursor and not self._fresh:
            self._refresh(anew=since is None)
        return Delivery(pages=pages(dataset, made[dataset.name]()), full=True, origin=self.url, left_out=left_out)

    # --- asking ------------------------------------------------------------------------------------------------------

    def ask(self, path: str, **parameters: str) -> Mapping[str, Any]:
        answer = self.http.json(f"{self.url}/{path}", {**parameters, "minorversion": MINOR_VERSION}, number=str, whole=str)
        if not isinstance(answer, dict):
            raise SourceError(f"{self.url}: there is nothing of QuickBooks': is ARREARS_QUICKBOOKS_URL right?")
        return answer

    def query(self, sql: str) -> Mapping[str, Any]:
        answer = self.ask("query", query=sql).get("QueryResponse")
        if not isinstance(answer, dict):
            raise SourceError(f"{self.url}: the answer to «{shown(sql, 80)}» has no QueryResponse")
        return answer

    def _listed(self, entity: str, where: Sequence[str] = ()) -> Iterator[list[Record]]:
        """Every object of a kind that fulfils conditions, in the order of changes, page by page; read again where pages shifted meanwhile.

        Raises:
            SourceError: fewer keep coming than there are.
        """
        conditions = [*where, *(["Active IN (true, false)"] if entity in NAMES else [])]
        clause = f" where {' and '.join(conditions)}" if conditions else ""
        seen: set[str] = set()
        for _ in range(WALKS):
            count = int(self.query(f"select count(*) from {entity}{clause}").get("totalCount", 0))
            start, walk = 1, Walk(entity, self.http.limits)
            while True:
                walk.step()
                order = "order by MetaData.LastUpdatedTime asc" if entity in (*DOCUMENTS, "Customer") else ""
                page = f"startposition {start} maxresults {self.size}"
                found = self.query(f"select * from {entity}{clause} {order} {page}").get(entity, [])
                seen.update(record["Id"] for record in found)
                yield found
                start += len(found)
                if len(found) < self.size:
                    break
            if len(seen) >= count:
                return
        raise SourceError(
            f"{self.url}: there are {count:,} {entity} objects and {len(seen):,} different ones came, {WALKS} times; nothing of it is "
            "used. Is somebody importing? Run again later"
        )

    def aged(self, day: date) -> Iterator[Aged]:
        """The report Aged Receivables of a day: each customer's total, in the home currency.

        Raises:
            SourceError: what comes is no such report.
        """
        answer = self.ask("reports/AgedReceivables", report_date=day.isoformat(), aging_method="Report_Date")
        columns = (answer.get("Columns") or {}).get("Column") or []
        if len(columns) < 2 or "Rows" not in answer:
            raise SourceError(f"{self.url}: the report AgedReceivables has no columns and rows")
        for cells in _cells(answer["Rows"]):
            customer, total = cells[0].get("id"), cells[-1].get("value")
            if customer and total:
                yield Aged(customer, self.home_currency, amount(total, self.home_currency, f"QuickBooks customer {customer}"))

    # --- the memory --------------------------------------------------------------------------------------------------

    def _refresh(self, *, anew: bool) -> None:
        """Bring the memory up to date. It says so only when all of it is: a night that ends on the way is done again by the next."""
        state = self._memory.get("state", "asked") or {}
        last = datetime.fromisoformat(state["until"]) if state.get("until") else None
        at, newest = datetime.now(UTC), last or datetime(1970, 1, 1, tzinfo=UTC)
        before = datetime.fromisoformat(state["at"]) if state else at
        whole = anew or last is None or before < at - CAPTURED
        since = None if whole else last - OVERLAP if last else None
        for entity in NAMES:
            for found in self._listed(entity):
                self._tonight.put(entity, ((record["Id"], record) for record in found))
        for entity in DOCUMENTS:
            seen: set[str] = set()
            where = [f"MetaData.LastUpdatedTime >= '{_moment(since)}'"] if since else []
            for found in self._listed(entity, where):
                seen.update(record["Id"] for record in found)
                newest = max([newest, *(_stamp(record) for record in found)])
                self._remember(entity, found)
            if whole:
                self._miss(entity, self._memory.keys(entity) - seen)
        if since:
            self._captured(max(since, before - OVERLAP))  # a quiet book's newest change may be of longer ago than is captured
        self._reread(self._retired())
        self._remember("Customer", self._tonight.all("Customer"))
        self._miss("Customer", self._memory.keys("Customer") - self._tonight.keys("Customer"))
        self._memory.put("state", [("asked", {"until": newest.isoformat(), "at": at.isoformat()})])
        self._fresh = True

    def _retired(self) -> set[str]:
        """The customers that were active when they were last seen, and are not any more."""
        return {
            kept.record["Id"]
            for kept in self._kept("Customer")
            if _is_active(kept.record) and not kept.gone_on and not _is_active(self._tonight.get("Customer", kept.record["Id"]))
        }

    def _remember(self, entity: str, found: Iterable[Record]) -> None:
        """Keep objects, with what a void one said before."""
        rows = []
        for record in found:
            before = self._memory.get(entity, record["Id"])
            if not before and not self._matters(entity, record):
                self._ignored[entity] += 1
                continue
            told: dict[str, Any] = {"record": _slim(record), "changed": _stamp(record).isoformat()}
            if _is_void(record):
                last = before["record"] if before else _slim(record)
                told = {**told, "record": last, "gone_on": (before or {}).get("gone_on") or _local_day(record)}
            rows.append((record["Id"], told))
        self._memory.put(entity, rows)

    def _matters(self, entity: str, record: Record) -> bool:
        """Whether an object touches a customer's receivable."""
        match entity:
            case "JournalEntry":
                return bool(self._receivable_lines(record))
            case "Deposit" | "Purchase":
                details = (
                    line.get("DepositLineDetail") or line.get("AccountBasedExpenseLineDetail") or {}
                    for line in record.get("Line") or ()
                )
                return any(_ref(detail, "AccountRef") in self._receivables for detail in details)
        return True

    def _miss(self, entity: str, keys: Iterable[str], on: Mapping[str, Record] | None = None) -> None:
        """Mark as gone what is not there any more: on the day that is told, else on this morning's."""
        rows = []
        for key in keys:
            kept = self._memory.get(entity, key)
            if kept is None or kept.get("gone_on"):
                continue
            told = (on or {}).get(key)
            changed = _stamp(told).isoformat() if told else kept["changed"]
            rows.append((key, {**kept, "changed": changed, "gone_on": _local_day(told) if told else self._as_of.isoformat()}))
        self._memory.put(entity, rows)

    def _captured(self, since: datetime) -> None:
        """Mark what change data capture says was deleted."""
        answer = self._capture(DOCUMENTS, since)
        if sum(len(found) for found in answer.values()) >= MOST_CAPTURED:
            answer = {}
            for entity in DOCUMENTS:
                answer |= self._capture([entity], since)
                if len(answer.get(entity, ())) >= MOST_CAPTURED:  # more than it tells: every id there is says which are gone
                    del answer[entity]
                    left = {record["Id"] for page in self._listed(entity) for record in page}
                    self._miss(entity, self._memory.keys(entity) - left)
        for entity, found in answer.items():
            deleted = {record["Id"]: record for record in found if record.get("status") == "Deleted"}
            self._miss(entity, deleted, deleted)

    def _capture(self, entities: Sequence[str], since: datetime) -> dict[str, list[Record]]:
        answer = self.ask("cdc", entities=",".join(entities), changedSince=_moment(since)).get("CDCResponse")
        if not isinstance(answer, list):
            raise SourceError(f"{self.url}/cdc: the answer has no CDCResponse")
        found: dict[str, list[Record]] = defaultdict(list)
        for part in (part for each in answer for part in each.get("QueryResponse", [])):
            for entity in entities:
                found[entity] += part.get(entity, [])
        return found

    def _reread(self, retired: set[str]) -> None:
        """Read the documents of customers who are no longer active again: one merged into another leaves them to that one, and what
        they say of their own change is not relied on."""
        if not retired:
            return
        for entity in DOCUMENTS:
            ids = [kept.record["Id"] for kept in self._kept(entity) if _customer(kept.record) in retired and not kept.gone_on]
            for start in range(0, len(ids), BY_ID):
                named = ", ".join(f"'{id_}'" for id_ in ids[start : start + BY_ID])
                self._remember(
                    entity, self.query(f"select * from {entity} where Id in ({named}) maxresults {BY_ID}").get(entity, [])
                )

    def _kept(self, entity: str) -> Iterator[Kept]:
        for kept in self._memory.all(entity):
            gone = kept.get("gone_on")
            yield Kept(kept["record"], datetime.fromisoformat(kept["changed"]), date.fromisoformat(gone) if gone else None)

    # --- the company and its customers -------------------------------------------------------------------------------

    @cached_property
    def company(self) -> Record:
        found = self.query("select * from CompanyInfo").get("CompanyInfo") or [{}]
        return dict(found[0])

    @cached_property
    def home_currency(self) -> str:
        preferences = (self.query("select * from Preferences").get("Preferences") or [{}])[0]
        told = ((preferences.get("CurrencyPrefs") or {}).get("HomeCurrency") or {}).get("value")
        if not told:
            raise SourceError(f"{self.url}: Preferences name no home currency")
        return str(told)

    def _companies(self) -> Iterator[Record]:
        yield {
            "company_id": self.own.realm,
            "name": self.company.get("CompanyName") or self.own.realm,
            "currency": self.home_currency,
            "country": self.company.get("Country"),
            "timezone": self.company.get("DefaultTimeZone"),
        }

    def _customers(self) -> Iterator[Record]:
        for record in self._tonight.all("Customer"):
            name = record.get("DisplayName") or record.get("CompanyName") or record["Id"]
            yield {
                "customer_id": record["Id"],
                "name": str(name).removesuffix(" (deleted)"),
                "company_id": self.own.realm,
                "parent_customer_id": _ref(record, "ParentRef"),
                "country": _country(record),
                "currency": _ref(record, "CurrencyRef") or self.home_currency,
                "customer_since": str((record.get("MetaData") or {}).get("CreateTime") or "")[:10],
                "payment_terms": _ref(record, "SalesTermRef"),
                "email": (record.get("PrimaryEmailAddr") or {}).get("Address"),
                "phone": (record.get("PrimaryPhone") or {}).get("FreeFormNumber"),
                "status": "active" if _is_active(record) else "closed",
                "updated_at": _stamp(record),
            }
        for kept in self._kept("Customer"):
            if self._tonight.get("Customer", kept.record["Id"]) is None:  # what was void before it went still names it
                yield {
                    "customer_id": kept.record["Id"],
                    "name": f"deleted customer {kept.record['Id']}",
                    "company_id": self.own.realm,
                    "status": "closed",
                    "updated_at": kept.changed,
                }

    def _payment_terms(self) -> Iterator[Record]:
        for term in self._tonight.all("Term"):
            if term.get("DueDays") is not None and str(term.get("Type", "STANDARD")).upper() == "STANDARD":
                discount = number(term.get("DiscountPercent"), f"QuickBooks term {term['Id']}")
                yield {
                    "payment_terms": term["Id"],
                    "net_days": term["DueDays"],
                    "discount_pct": discount or None,
                    "discount_days": term.get("DiscountDays") if discount else None,
                }

    # --- documents ---------------------------------------------------------------------------------------------------

    def _invoices(self, left_out: Counter[str]) -> Iterator[Record]:
        for kind, entity in (("invoice", "Invoice"), ("credit_memo", "CreditMemo")):
            for kept in self._kept(entity):
                record, memo = kept.record, kind == "credit_memo"
                if memo and self._writes_off(record):
                    left_out["credit memos that write off or grant a discount, which are allocations"] += 1
                    continue
                currency = self._currency(record)
                what = f"QuickBooks {entity} {record['Id']}"
                open_ = record.get("RemainingCredit", record.get("Balance")) if memo else record.get("Balance")
                yield {
                    "invoice_id": f"{'cm' if memo else 'inv'}:{record['Id']}",
                    "invoice_number": record.get("DocNumber") or record["Id"],
                    "customer_id": _ref(record, "CustomerRef"),
                    "company_id": self.own.realm,
                    "document_type": kind,
                    "invoice_date": record["TxnDate"],
                    "due_date": None if memo else record.get("DueDate"),
                    "currency": currency,
                    "amount": amount(record.get("TotalAmt"), currency, what),
                    "tax_amount": amount((record.get("TxnTaxDetail") or {}).get("TotalTax"), currency, what),
                    "payment_terms": _ref(record, "SalesTermRef"),
                    "po_number": _po(record),
                    "sent_at": _utc((record.get("DeliveryInfo") or {}).get("DeliveryTime")),
                    "voided_on": kept.gone_on,
                    "open_amount_reported": ZERO if kept.gone_on else amount(open_, currency, what),
                    "updated_at": kept.changed,
                }
        left_out["journal entries of tonight that touch no customer's receivable"] = self._ignored["JournalEntry"]
        for kept in self._kept("JournalEntry"):
            lines = self._receivable_lines(kept.record)
            currency = self._currency(kept.record)
            for id_, line in lines.items():
                debit = _posting(line) == "Debit"
                yield {
                    "invoice_id": id_,
                    "invoice_number": kept.record.get("DocNumber") or f"journal {kept.record['Id']}",
                    "customer_id": _entity(line["JournalEntryLineDetail"]),
                    "company_id": self.own.realm,
                    "document_type": "debit_memo" if debit else "credit_memo",
                    "invoice_date": kept.record["TxnDate"],
                    "due_date": kept.record["TxnDate"] if debit else None,
                    "currency": currency,
                    "amount": amount(line.get("Amount"), currency, f"QuickBooks JournalEntry {kept.record['Id']}"),
                    "voided_on": kept.gone_on,
                    "updated_at": kept.changed,
                }

    @cached_property
    def _receivables(self) -> set[str]:
        """The accounts that customers' debts stand on."""
        return {each["Id"] for each in self._tonight.all("Account") if each.get("AccountType") == "Accounts Receivable"}

    def _receivable_lines(self, journal: Record) -> Mapping[str, Record]:
        found = {}
        for line in journal.get("Line") or ():
            detail = line.get("JournalEntryLineDetail") or {}
            if _ref(detail, "AccountRef") in self._receivables and _entity(detail):
                found[f"je:{journal['Id']}:{line['Id']}"] = line
        return found

    def _writes_off(self, memo: Record) -> str:
        """What a credit memo is instead of one, by the items of its lines; empty where it is one."""
        kinds = {
            self._items.get(_ref(line.get("SalesItemLineDetail") or {}, "ItemRef") or "", "")
            for line in memo.get("Line") or ()
            if line.get("DetailType") == "SalesItemLineDetail"
        }
        return kinds.pop() if len(kinds) == 1 else ""

    def _currency(self, record: Record) -> str:
        return _ref(record, "CurrencyRef") or self.home_currency

    def _exchange_rates(self) -> Iterator[Record]:
        """The rates of documents: one a day and currency, that of the document changed last."""
        rates: dict[tuple[str, str], tuple[datetime, str, Decimal]] = {}
        for entity in ("Invoice", "CreditMemo", "Payment"):
            for kept in self._kept(entity):
                currency, rate = self._currency(kept.record), number(kept.record.get("ExchangeRate"), f"QuickBooks {entity}")
                if currency != self.home_currency and rate > 0:
                    told = (kept.changed, kept.record["Id"], rate)
                    rates[kept.record["TxnDate"], currency] = max(told, rates.get((kept.record["TxnDate"], currency), told))
        for (day, currency), (_, _, rate) in sorted(rates.items()):
            yield {"rate_date": day, "currency": currency, "base_currency": self.home_currency, "rate": rate}

    # --- money -------------------------------------------------------------------------------------------------------

    def _payments(self) -> Iterator[Record]:
        methods = {each["Id"]: each.get("Name") for each in self._tonight.all("PaymentMethod")}
        for kept in self._kept("Payment"):
            record, currency = kept.record, self._currency(kept.record)
            total = amount(record.get("TotalAmt"), currency, f"QuickBooks Payment {record['Id']}")
            if total > 0:  # one of nothing only brings credits and invoices together
                yield {
                    "payment_id": f"pay:{record['Id']}",
                    "customer_id": _ref(record, "CustomerRef"),
                    "payment_date": record["TxnDate"],
                    "currency": currency,
                    "amount": total,
                    "company_id": self.own.realm,
                    "method": methods.get(_ref(record, "PaymentMethodRef") or ""),
                    "reference": record.get("PaymentRefNum"),
                    "reversed_on": kept.gone_on,
                    "updated_at": kept.changed,
                }
        for kept, id_, customer, paid in (*self._deposited(), *self._paid_in_invoices()):
            yield {
                "payment_id": id_,
                "customer_id": customer,
                "payment_date": kept.record["TxnDate"],
                "currency": self._currency(kept.record),
                "amount": paid,
                "company_id": self.own.realm,
                "reversed_on": kept.gone_on,
                "updated_at": kept.changed,
            }

    def _deposited(self) -> Iterator[tuple[Kept, str, str | None, Decimal]]:
        """Lines of bank deposits that are a customer's money by themselves; those that repeat a payment are linked to it."""
        for kept in self._kept("Deposit"):
            for line in kept.record.get("Line") or ():
                detail = line.get("DepositLineDetail") or {}
                if not line.get("LinkedTxn") and _ref(detail, "AccountRef") in self._receivables:
                    what = f"QuickBooks Deposit {kept.record['Id']}"
                    paid = amount(line.get("Amount"), self._currency(kept.record), what)
                    yield kept, f"dep:{kept.record['Id']}:{line['Id']}", _ref(detail, "Entity"), paid

    def _paid_in_invoices(self) -> Iterator[tuple[Kept, str, str | None, Decimal]]:
        """Cash that stands in an invoice itself, without a payment."""
        for kept in self._kept("Invoice"):
            paid = amount(kept.record.get("Deposit"), self._currency(kept.record), f"QuickBooks Invoice {kept.record['Id']}")
            if paid > 0:
                yield kept, f"invdep:{kept.record['Id']}", _ref(kept.record, "CustomerRef"), paid

    def _allocations(self) -> Iterator[Record]:
        for kept, target, source, kind, put in self._applied():
            if target.startswith("chk:"):
                continue
            yield {
                "allocation_id": f"{kept.record['Id']}:{target}:{source}",
                "invoice_id": target,
                "source_type": kind,
                "source_id": source if kind in ("payment", "credit_memo") else None,
                "allocated_on": kept.record["TxnDate"],
                "amount": put,
                "reversed_on": kept.gone_on,
                "updated_at": kept.changed,
            }
        for kept, id_, _, paid in self._paid_in_invoices():
            yield {
                "allocation_id": id_,
                "invoice_id": f"inv:{kept.record['Id']}",
                "source_type": "payment",
                "source_id": id_,
                "allocated_on": kept.record["TxnDate"],
                "amount": paid,
                "updated_at": kept.changed,
            }

    def _refunds(self) -> Iterator[Record]:
        """Money paid out on a customer's receivable, by the credit or payment it was linked with; what was not is of no source."""
        given: dict[str, list[tuple[str, str, Decimal]]] = defaultdict(list)
        for kept, target, source, kind, put in self._applied():
            if target.startswith("chk:") and not kept.gone_on and kind in ("payment", "credit_memo"):
                given[target].append((source, kind, put))
        for kept in self._kept("Purchase"):
            currency, what = self._currency(kept.record), f"QuickBooks Purchase {kept.record['Id']}"
            for line in kept.record.get("Line") or ():
                detail = line.get("AccountBasedExpenseLineDetail") or {}
                customer = _ref(detail, "CustomerRef") or _ref(kept.record, "EntityRef")
                if _ref(detail, "AccountRef") not in self._receivables or not customer:
                    continue
                left, id_ = amount(line.get("Amount"), currency, what), f"chk:{kept.record['Id']}"
                common = {
                    "customer_id": customer,
                    "refunded_on": kept.record["TxnDate"],
                    "currency": currency,
                    "company_id": self.own.realm,
                    "method": kept.record.get("PaymentType"),
                    "reversed_on": kept.gone_on,
                    "updated_at": kept.changed,
                }
                for source, kind, put in given.pop(id_, ()):
                    yield {**common, "refund_id": f"{id_}:{source}", "amount": put, "source_type": kind, "source_id": source}
                    left -= put
                if left > 0:
                    yield {**common, "refund_id": f"{id_}:{line['Id']}", "amount": left}

    def _applied(self) -> Iterator[tuple[Kept, str, str, str, Decimal]]:
        """What each payment puts where: the payment, what is settled, by what, of which kind, how much. QuickBooks does not say which
        credit of a payment went to which invoice: credits fill what is settled in the order of the lines, the payment's own cash the rest.
        """
        for kept in self._kept("Payment"):
            targets, credits = self._sides(kept)
            put: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
            for credit in credits:
                for target in targets:
                    piece = min(credit.left, target.left)
                    if piece > 0:
                        put[target.id, credit.id, credit.kind] += piece
                        credit.left -= piece
                        target.left -= piece
            for target in targets:
                if target.left > 0:
                    put[target.id, f"pay:{kept.record['Id']}", "payment"] += target.left
            for (target_id, source, kind), piece in put.items():
                yield kept, target_id, source, kind, piece

    def _sides(self, kept: Kept) -> tuple[list[_Part], list[_Part]]:
        """The lines of a payment: what is settled, and the credits that settle it. `Payment.LinkedTxn` is the bank deposit it went into
        and none of them."""
        targets: list[_Part] = []
        credits: list[_Part] = []
        currency, what = self._currency(kept.record), f"QuickBooks Payment {kept.record['Id']}"
        for line in kept.record.get("Line") or ():
            put = amount(line.get("Amount"), currency, what)
            for link in line.get("LinkedTxn") or ():
                id_ = link["TxnId"]
                match link.get("TxnType"):
                    case "Invoice":
                        targets.append(_Part(f"inv:{id_}", put, ""))
                    case "Check" | "Expense" | "Expenditure" | "Purchase":
                        targets.append(_Part(f"chk:{id_}", put, ""))
                    case "CreditMemo":
                        memo = self._memory.get("CreditMemo", id_)
                        off = self._writes_off(memo["record"]) if memo else ""
                        credits.append(_Part(f"cm:{id_}", put, off or "credit_memo"))
                    case "JournalEntry":
                        journal = self._memory.get("JournalEntry", id_)
                        found = self._receivable_lines(journal["record"]) if journal else {}
                        named = f"je:{id_}:{link.get('TxnLineId')}"
                        chosen = named if named in found else next(iter(found), None)
                        if chosen:
                            side = targets if _posting(found[chosen]) == "Debit" else credits
                            side.append(_Part(chosen, put, "credit_memo"))
                    case "Deposit":
                        deposit = self._memory.get("Deposit", id_)
                        lines = (deposit["record"].get("Line") or ()) if deposit else ()
                        own = next((each for each in lines if not each.get("LinkedTxn")), None)
                        if own:
                            credits.append(_Part(f"dep:{id_}:{link.get('TxnLineId') or own['Id']}", put, "payment"))
                    case "Payment":
                        credits.append(_Part(f"pay:{id_}", put, "payment"))
        return targets, credits


def _slim(value: Any) -> Any:
    """An object without what is not delivered of it."""
    if isinstance(value, list):
        return [_slim(each) for each in value]
    return {name: _slim(each) for name, each in value.items() if name in _REMEMBERED} if isinstance(value, dict) else value


def _cells(rows: Record) -> Iterator[list[Record]]:
    """The lines of a report but its sums; what a customer owes beside its jobs stands in the head of theirs."""
    for row in rows.get("Row") or ():
        for cells in (row.get("ColData"), (row.get("Header") or {}).get("ColData")):
            if cells:
                yield cells
        if row.get("Rows"):
            yield from _cells(row["Rows"])


def _ref(record: Record, name: str) -> str | None:
    return (record.get(name) or {}).get("value")


def _customer(record: Record) -> str | None:
    return _ref(record, "CustomerRef") or _ref(record, "EntityRef")


def _entity(detail: Record) -> str | None:
    """The customer a journal line names."""
    entity = detail.get("Entity") or {}
    return _ref(entity, "EntityRef") if entity.get("Type") == "Customer" else None


def _posting(line: Record) -> str:
    return str(line["JournalEntryLineDetail"].get("PostingType"))


def _is_active(customer: Record | None) -> bool:
    return customer is not None and customer.get("Active") is not False


def _is_void(record: Record) -> bool:
    return str(record.get("PrivateNote") or "").startswith("Voided") and not number(record.get("TotalAmt"), "QuickBooks TotalAmt")


def _po(record: Record) -> str | None:
    for field in record.get("CustomField") or ():
        name = "".join(sign for sign in str(field.get("Name") or "").lower() if sign.isalnum())
        if name.startswith(("po", "purchaseorder")) and field.get("StringValue"):
            return str(field["StringValue"])
    return None


def _country(record: Record) -> str | None:
    told = (record.get("BillAddr") or {}).get("Country") or ""
    return told if len(told) == 2 and told.isupper() else {"USA": "US", "United States": "US", "Canada": "CA"}.get(told)


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _written(record: Record) -> datetime:
    """When an object last changed, with the offset of its company."""
    text = (record.get("MetaData") or {}).get("LastUpdatedTime")
    if not text:
        raise SourceError(f"QuickBooks: object {record.get('Id')} has no MetaData.LastUpdatedTime")
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _stamp(record: Record) -> datetime:
    return _written(record).astimezone(UTC)


def _local_day(record: Record) -> str:
    return _written(record).date().isoformat()


def _utc(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) if text else None


def _moment(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _reading(refused: Refused) -> Exception | None:
    """What a fault of QuickBooks' means: its code says more than the status, and support asks for its number."""
    answer = refused.json if isinstance(refused.json, dict) else {}
    fault = answer.get("Fault") or answer.get("fault") or {}
    errors = fault.get("Error") or fault.get("error") or [{}]
    told = {name.lower(): str(value) for name, value in errors[0].items()}
    words = shown(": ".join(filter(None, (told.get("message"), told.get("detail")))))
    here = f"{refused.told}: {words} (code {told.get('code', '?')}, intuit_tid {refused.headers.get('intuit_tid', 'none')})"
    if "ThrottleExceeded" in words or told.get("code", "").lstrip("0") == "3001":
        return PassingError(here, THROTTLED_SECONDS if "Retry-After" not in refused.headers else None)
    if told.get("code") == "3100":
        return SourceError(
            f"{here}. The app and the company are not of one kind: sandbox and production have addresses of their own"
        )
    if refused.status in (400, 500) and "Authorization Failure" in words:
        return PassingError(here)
    return SourceError(here) if errors[0] and refused.status not in (401, 429) and refused.status < 500 else None


def _token(own: QuickBooksSettings, opening: Opening) -> RefreshToken:
    first = own.refresh_token.get_secret_value() if own.refresh_token else ""
    kept = opening.home / "tokens" / "quickbooks.json"
    return RefreshToken(own.token_url, own.client_id, own.client_secret.get_secret_value(), first, kept, exchange=token_endpoint)


def _rights(source: QuickBooksSource) -> Iterable[Right]:
    for entity in ("CompanyInfo", "Customer", *DOCUMENTS):
        yield Right.tried(entity, partial(source.query, f"select count(*) from {entity}"))


CONNECTOR = Connector(
    name="quickbooks",
    settings=QuickBooksSettings,
    opened=QuickBooksSource,
    words=lambda own: f"{without_password(own.url)}, company {own.realm or 'not said yet'}",
    needs="ARREARS_QUICKBOOKS_CLIENT_ID, ARREARS_QUICKBOOKS_CLIENT_SECRET, ARREARS_QUICKBOOKS_REALM and a consent",
    gives=frozenset({"ledger", "rates"}),
    companies=lambda source: [Company(source.own.realm, str(source.company.get("CompanyName", "")))],
    rights=_rights,
    aged=QuickBooksSource.aged,
    consent=lambda own, opening: Consent(CONSENT, SCOPE, _token(own, opening), brings={"realmId": "ARREARS_QUICKBOOKS_REALM"}),
)
