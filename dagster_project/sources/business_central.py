"""Business Central's receivables: the customer ledger of one company or all of an environment.

Belongs here: its APIs, how it writes values, and what of the ledger is which dataset. Does not belong here: asking (`http.py`), tokens
(`auth.py`), what a record must be (`landing/judge.py`).

    companies, companyInformation        companies
    customers, paymentTerms              customers, payment_terms
    customerLedgerEntries                invoices, payments, refunds
    detailedCustomerLedgerEntries        allocations
    currencyExchangeRates                exchange_rates

No API of Microsoft's says what a payment was applied to in the document's currency, so the two ledger lists are queries that are
installed once (`docs/sources.md` has their text). Ledger entries are never deleted: what changed is asked for by its stamp, and the
entries that changed details belong to with them, for what is left of an entry is computed when it is read.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, Final

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
from dagster_project.sources.answers import LIMITS, Limits, PassingError, without_password
from dagster_project.sources.auth import ClientCredentials, token_endpoint
from dagster_project.sources.http import Http, Refused, Throttle
from dagster_project.sources.paging import NextLink, Question, walked
from dagster_project.sources.records import EXACT, RATE_DIGITS, ZERO, Record, Spool, amount, number, pages

ADDRESS: Final = "https://api.businesscentral.dynamics.com/v2.0"
TOKENS: Final = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
SCOPE: Final = "https://api.businesscentral.dynamics.com/.default"
OURS: Final = "arrears/ar/v1.0"
"""The route of the installed queries."""
PAGE_ROWS: Final = 5_000
BY_NUMBER: Final = 40
"""Entries that are asked for by number in one call."""
OVERLAP: Final = timedelta(hours=1)
CALLS, SECONDS = 6_000, 300.0

ENTRIES, DETAILS = "customerLedgerEntries", "detailedCustomerLedgerEntries"
DISCOUNTS: Final = ("Payment Discount", "Payment Discount (VAT Excl.)", "Payment Discount (VAT Adjustment)")
TOLERANCES: Final = ("Payment Tolerance", "Payment Discount Tolerance")
ADJUSTMENTS: Final = ("Appln. Rounding", "Correction of Remaining Amount")


class BusinessCentralSettings(ConnectorSettings, env_prefix="ARREARS_BUSINESS_CENTRAL_"):
    """An app registered in the tenant, the environment, and which company where not all."""

    tenant: str
    environment: str = "production"
    company: str = ""
    client_id: str
    client_secret: SecretStr
    url: str = ADDRESS
    token_url: str = ""


class BusinessCentralSource:
    """The companies of an environment."""

    def __init__(
        self, own: BusinessCentralSettings, opening: Opening, *, wait: float = 1.0, limits: Limits = LIMITS, size: int = PAGE_ROWS
    ):
        self.own = own
        self.http = Http(
            own.url,
            ClientCredentials(
                own.token_url or TOKENS.format(tenant=own.tenant),
                own.client_id,
                own.client_secret.get_secret_value(),
                exchange=token_endpoint,
                in_form=True,
                scope=SCOPE,
            ),
            setting="ARREARS_BUSINESS_CENTRAL_URL",
            credentials="ARREARS_BUSINESS_CENTRAL_CLIENT_ID (on the page Microsoft Entra applications, with a permission set that reads)",
            limits=limits,
            wait=wait,
            throttle=Throttle(CALLS, SECONDS),
            reading=_reading,
        )
        opening.stack.callback(self.http.close)
        self.url = f"{own.url.rstrip('/')}/{own.tenant}/{own.environment}/api"
        self.size = size
        self._spool = Spool()
        opening.stack.callback(self._spool.close)
        self._walked: dict[str, datetime | None] = {}

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        left_out: Counter[str] = Counter()
        asked = since and datetime.combine((since - OVERLAP).date(), time.min)
        made: Mapping[str, Callable[[str], Iterator[Record]]] = {
            "companies": self._company,
            "customers": self._customers,
            "payment_terms": self._payment_terms,
            "invoices": lambda company: self._invoices(company, asked),
            "payments": lambda company: self._payments(company, asked),
            "refunds": lambda company: self._refunds(company, asked),
            "allocations": lambda company: self._allocations(company, asked, left_out),
            "exchange_rates": self._exchange_rates,
        }
        if dataset.name not in made:
            return None
        records = (record for company in self.companies for record in made[dataset.name](company))
        whole = dataset.name in ("companies", "customers", "payment_terms", "exchange_rates") or asked is None
        return Delivery(pages=pages(dataset, records), full=whole, origin=without_password(self.url), left_out=left_out)

    # --- asking ------------------------------------------------------------------------------------------------------

    def _list(self, address: str, **parameters: str) -> Iterator[Record]:
        """Every record of a list, page by page as the server cuts it."""
        first = Question(f"{self.url}/{address}", {f"${name}": value for name, value in parameters.items() if value})
        for answer in walked(first, self._page, NextLink("@odata.nextLink"), address, self.http.limits):
            yield from answer["value"]

    def _page(self, question: Question) -> Mapping[str, Any]:
        headers = {"Prefer": f"odata.maxpagesize={self.size}", "Data-Access-Intent": "ReadOnly", "Accept-Language": "en-US"}
        answer = self.http.json(question.address, question.parameters, headers=headers, number=str, whole=str)
        if not isinstance(answer, dict) or not isinstance(answer.get("value"), list):
            hint = (
                f"Are the queries of {OURS} installed?"
                if OURS in question.address
                else "Is ARREARS_BUSINESS_CENTRAL_ENVIRONMENT right?"
            )
            raise SourceError(f"{without_password(question.address)}: no list came back. {hint}")
        return answer

    @cached_property
    def found(self) -> Mapping[str, Record]:
        """The companies that the app sees, by name."""
        return {each["name"]: each for each in self._list("v2.0/companies")}

    @cached_property
    def companies(self) -> Sequence[str]:
        wanted = self.own.company.strip()
        if wanted and wanted not in self.found:
            told = ", ".join(self.found) or "none"
            raise SourceError(f"ARREARS_BUSINESS_CENTRAL_COMPANY: {wanted!r} is not a company that the app sees: {told}")
        return [wanted] if wanted else sorted(self.found)

    def _of(self, company: str, entity: str, api: str = "v2.0", **parameters: str) -> Iterator[Record]:
        return self._list(f"{api}/companies({self.found[company]['id']})/{entity}", **parameters)

    def _ledger(self, company: str, kind: str, since: datetime | None) -> Iterator[Record]:
        """Entries of the ledger changed since a time, asked for once a run; asked again only by who needs an earlier time."""
        key = f"{company}\x1f{kind}"
        if key not in self._walked or _earlier(since, self._walked[key]):
            asked = f"lastModifiedDateTime ge {since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
            self._keep(key, self._of(company, kind, OURS, filter=asked))
            self._walked[key] = since
        return self._spool.all(key)

    def _keep(self, key: str, records: Iterable[Record]) -> None:
        batch: list[tuple[str, Record]] = []
        for record in records:
            batch.append((f"{int(record['entryNumber']):012}", record))
            if len(batch) >= self.size:
                self._spool.put(key, batch)
                batch = []
        self._spool.put(key, batch)

    def _have(self, company: str, kind: str, numbers: Iterable[int]) -> None:
        """Ask for entries that are not there yet, by number."""
        key = f"{company}\x1f{kind}"
        known = self._spool.keys(key)
        missing = sorted({each for each in numbers if each and f"{each:012}" not in known})
        for start in range(0, len(missing), BY_NUMBER):
            asked = " or ".join(f"entryNumber eq {each}" for each in missing[start : start + BY_NUMBER])
            self._keep(key, self._of(company, kind, OURS, filter=asked))

    def _one(self, company: str, kind: str, entry: int) -> Record:
        key, number_ = f"{company}\x1f{kind}", f"{entry:012}"
        if (found := self._spool.get(key, number_)) is None and entry:
            self._have(company, kind, [entry])
            found = self._spool.get(key, number_)
        return found or {}

    def aged(self, day: date) -> Iterator[Aged]:
        """The aged receivables of each company, which it works out for today alone: a customer's balance, in the company's currency.

        Raises:
            SourceError: it is of another day.
        """
        for company in self.companies:
            for record in self._of(company, "agedAccountsReceivables"):
                if not record.get("customerNumber"):  # the sum of all
                    continue
                if (said := _day(record.get("agedAsOfDate"))) and said != day:
                    raise SourceError(
                        f"{company}: Business Central ages its receivables as of today ({said}) alone, and the morning is of {day}: "
                        "reconcile on the day itself"
                    )
                currency = str(self._information[company].get("currencyCode") or "")
                what = f"Business Central customer {record['customerNumber']}"
                yield Aged(f"{company}:{record['customerNumber']}", currency, amount(record.get("balanceDue"), currency, what))

    # --- companies and customers -------------------------------------------------------------------------------------

    @cached_property
    def _information(self) -> Mapping[str, Record]:
        return {company: next(iter(self._of(company, "companyInformation")), {}) for company in self.companies}

    def _company(self, company: str) -> Iterator[Record]:
        told = self._information[company]
        yield {
            "company_id": company,
            "name": self.found[company].get("displayName") or company,
            "currency": told.get("currencyCode"),
            "country": told.get("country") or told.get("countryLetterCode"),
        }

    def _currency(self, company: str, record: Record) -> str:
        """The entity's own where none is named."""
        return str(record.get("currencyCode") or self._information[company].get("currencyCode") or "")

    def _customers(self, company: str) -> Iterator[Record]:
        terms = {each["id"]: each["code"] for each in self._of(company, "paymentTerms")}
        for each in self._of(company, "customers"):
            blocked = _plain(each.get("blocked"))
            limit = number(each.get("creditLimit"), f"Business Central customer {each['number']}")
            yield {
                "customer_id": f"{company}:{each['number']}",
                "name": each.get("displayName") or each["number"],
                "company_id": company,
                "country": each.get("country"),
                "currency": self._currency(company, each),
                "credit_limit": limit or None,
                "payment_terms": terms.get(each.get("paymentTermsId")),
                "registration_number": each.get("taxRegistrationNumber"),
                "email": each.get("email"),
                "phone": each.get("phoneNumber"),
                "sales_rep": each.get("salespersonCode"),
                "status": "on_hold" if blocked else "active",
                "updated_at": _stamp(each),
            }

    def _payment_terms(self, company: str) -> Iterator[Record]:
        """Terms of a number of days; other formulas stand in the entries' due dates. What two companies call the same is of the first."""
        known = self._spool.keys("terms")
        for each in self._of(company, "paymentTerms"):
            days = _days(each.get("dueDateCalculation"))
            if days is not None and each["code"] not in known:
                self._spool.put("terms", [(each["code"], {"days": days})])
                discount = number(each.get("discountPercent"), f"Business Central terms {each['code']}")
                yield {
                    "payment_terms": each["code"],
                    "net_days": days,
                    "discount_pct": discount or None,
                    "discount_days": _days(each.get("discountDateCalculation")) if discount else None,
                }

    # --- the ledger --------------------------------------------------------------------------------------------------

    def _entries(self, company: str, since: datetime | None) -> Iterator[tuple[str, Record]]:
        """Entries that changed or that changed details belong to, with what they are; without those that only take another back."""
        touched: set[int] = set()
        for detail in self._ledger(company, DETAILS, since):
            touched |= {_int(detail, "customerLedgerEntryNumber"), _int(detail, "appliedCustomerLedgerEntryNumber")}
        self._ledger(company, ENTRIES, since)
        self._have(company, ENTRIES, touched)
        for entry in self._spool.all(f"{company}\x1f{ENTRIES}"):
            if not _int(entry, "reversedEntryNumber"):
                yield _kind(entry), entry

    def _undone_on(self, company: str, entry: Record) -> date | None:
        by = _int(entry, "reversedByEntryNumber")
        return _day(self._one(company, ENTRIES, by).get("postingDate")) if _true(entry.get("reversed")) and by else None

    def _amount(self, company: str, record: Record, name: str = "amount") -> Decimal:
        return amount(record.get(name), self._currency(company, record), f"Business Central entry {record['entryNumber']}")

    def _invoices(self, company: str, since: datetime | None) -> Iterator[Record]:
        for kind, entry in self._entries(company, since):
            if kind not in ("invoice", "debit_memo", "credit_memo"):
                continue
            undone = self._undone_on(company, entry)
            yield {
                "invoice_id": f"{company}:{entry['entryNumber']}",
                "invoice_number": entry["documentNumber"],
                "customer_id": f"{company}:{entry['customerNumber']}",
                "company_id": company,
                "document_type": kind,
                "invoice_date": _day(entry["postingDate"]),
                "due_date": None if kind == "credit_memo" else _day(entry.get("dueDate")),
                "currency": self._currency(company, entry),
                "amount": abs(self._amount(company, entry)),
                "po_number": entry.get("externalDocumentNumber"),
                "sales_rep": entry.get("salespersonCode"),
                "voided_on": undone,
                "open_amount_reported": ZERO if undone else abs(self._amount(company, entry, "remainingAmount")),
                "updated_at": _stamp(entry),
            }

    def _payments(self, company: str, since: datetime | None) -> Iterator[Record]:
        for kind, entry in self._entries(company, since):
            if kind == "payment":
                yield {
                    "payment_id": f"{company}:{entry['entryNumber']}",
                    "customer_id": f"{company}:{entry['customerNumber']}",
                    "payment_date": _day(entry["postingDate"]),
                    "currency": self._currency(company, entry),
                    "amount": abs(self._amount(company, entry)),
                    "company_id": company,
                    "method": entry.get("paymentMethodCode"),
                    "reference": entry.get("externalDocumentNumber") or entry.get("description"),
                    "reversed_on": self._undone_on(company, entry),
                    "updated_at": _stamp(entry),
                }

    def _refunds(self, company: str, since: datetime | None) -> Iterator[Record]:
        """Money paid out, by what it was applied to; what was not is of no source."""
        for kind, entry in self._entries(company, since):
            if kind != "refund":
                continue
            own = int(entry["entryNumber"])
            asked = f"customerLedgerEntryNumber eq {own} or appliedCustomerLedgerEntryNumber eq {own}"
            details = list(self._of(company, DETAILS, OURS, filter=asked))
            given: dict[int, Decimal] = defaultdict(Decimal)
            for detail in details:
                one, other = _int(detail, "customerLedgerEntryNumber"), _int(detail, "appliedCustomerLedgerEntryNumber")
                if detail["entryType"] == "Application" and not _true(detail.get("unapplied")) and one != other:
                    given[other if one == own else one] += abs(self._amount(company, detail))
            left = abs(self._amount(company, entry))
            common = {
                "customer_id": f"{company}:{entry['customerNumber']}",
                "refunded_on": _day(entry["postingDate"]),
                "currency": self._currency(company, entry),
                "company_id": company,
                "method": entry.get("paymentMethodCode"),
                "reversed_on": self._undone_on(company, entry),
                "updated_at": _stamp(entry),
            }
            for source, put in sorted(given.items()):
                of = _kind(self._one(company, ENTRIES, source))
                yield {
                    **common,
                    "refund_id": f"{company}:{own}:{source}",
                    "amount": put,
                    "source_type": of,
                    "source_id": f"{company}:{source}",
                }
                left -= put
            if left > 0:
                yield {**common, "refund_id": f"{company}:{own}", "amount": left}

    def _allocations(self, company: str, since: datetime | None, left_out: Counter[str]) -> Iterator[Record]:
        details = list(self._ledger(company, DETAILS, since))
        sides = ("customerLedgerEntryNumber", "appliedCustomerLedgerEntryNumber")
        self._have(company, ENTRIES, (_int(each, side) for each in details for side in sides))
        self._have(company, DETAILS, (_int(each, "unappliedByEntryNumber") for each in details))
        mirrors: dict[tuple[str, int], list[Record]] = defaultdict(list)
        for each in details:
            own = _int(each, "customerLedgerEntryNumber")
            if each["entryType"] == "Application" and own == _int(each, "appliedCustomerLedgerEntryNumber"):
                mirrors[str(each.get("transactionNumber")), own].append(each)
        for each in details:
            by = _int(each, "unappliedByEntryNumber")
            if by and by < int(each["entryNumber"]):
                continue  # which only takes the other back
            edge = self._edge(company, each, mirrors)
            if edge is None:
                if each["entryType"].endswith(("Gain", "Loss")):
                    left_out["exchange gains and losses, in the entity's currency alone"] += 1
                continue
            undone = _day(self._one(company, DETAILS, by).get("postingDate")) if by and _true(each.get("unapplied")) else None
            yield {
                "allocation_id": f"{company}:{each['entryNumber']}",
                "allocated_on": _day(each["postingDate"]),
                "reversed_on": undone,
                "updated_at": _stamp(each),
                **edge,
            }

    def _edge(self, company: str, detail: Record, mirrors: Mapping[tuple[str, int], list[Record]]) -> Record | None:
        """What a detail puts against which document; None where it puts nothing."""
        own, applied = _int(detail, "customerLedgerEntryNumber"), _int(detail, "appliedCustomerLedgerEntryNumber")
        put = self._amount(company, detail)
        if detail["entryType"] == "Application":
            if own == applied:
                return None
            one, other = self._one(company, ENTRIES, own), self._one(company, ENTRIES, applied)
            mine = _kind(one) in ("invoice", "debit_memo")
            invoice, source = (one, other) if mine else (other, one)
            kind = _kind(source)
            if _kind(invoice) not in ("invoice", "debit_memo") or kind not in ("payment", "credit_memo"):
                return None  # a refund against what it gives back
            twin: Decimal | None = None
            if self._currency(company, invoice) != self._currency(company, source):
                found = mirrors.get((str(detail.get("transactionNumber")), applied)) or []
                twin = abs(self._amount(company, found.pop(0))) if found else None
            return {
                "invoice_id": f"{company}:{invoice['entryNumber']}",
                "source_type": kind,
                "source_id": f"{company}:{source['entryNumber']}",
                "amount": abs(put) if mine or twin is None else twin,
                "source_amount": None if twin is None else twin if mine else abs(put),
            }
        kind = _plain(detail["entryType"])
        if _kind(self._one(company, ENTRIES, own)) not in ("invoice", "debit_memo") or not put:
            return None
        document = {"invoice_id": f"{company}:{own}"}
        if kind in DISCOUNTS:
            return {**document, "source_type": "discount", "amount": -put}
        if kind.startswith(TOLERANCES):
            return {**document, "source_type": "write_off", "amount": -put, "reason": "payment tolerance"}
        return {**document, "source_type": "adjustment", "amount": -put, "reason": kind} if kind in ADJUSTMENTS else None

    def _exchange_rates(self, company: str) -> Iterator[Record]:
        base = self._information[company].get("currencyCode")
        for each in self._of(company, "currencyExchangeRates"):
            what = f"Business Central rate of {each['currencyCode']}"
            units, worth = number(each.get("exchangeRateAmount"), what), number(each.get("relationalExchangeRateAmount"), what)
            if units and worth:
                yield {
                    "rate_date": _day(each["startingDate"]),
                    "currency": each["currencyCode"],
                    "base_currency": each.get("relationalCurrencyCode") or base,
                    "rate": EXACT.quantize(EXACT.divide(worth, units), RATE_DIGITS),
                }


def _kind(entry: Record) -> str:
    """What an entry of the customer ledger is."""
    match _plain(entry.get("documentType")):
        case "Invoice":
            return "invoice"
        case "Credit Memo":
            return "credit_memo"
        case "Finance Charge Memo" | "Reminder":
            return "debit_memo"
        case "Refund":
            return "refund"
        case "Payment":
            return "payment"
    return "debit_memo" if _true(entry.get("positive")) else "payment"


def _plain(text: Any) -> str:
    """An option's name: blanks come as `_x0020_`."""
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), str(text or "")).strip()


def _int(record: Record, name: str) -> int:
    return int(record.get(name) or 0)


def _true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _day(text: Any) -> date | None:
    """A day; one that is empty is the first of the year 1."""
    return date.fromisoformat(str(text)[:10]) if text and not str(text).startswith("0001") else None


def _stamp(record: Record) -> datetime | None:
    text = record.get("lastModifiedDateTime")
    if not text or str(text).startswith("0001"):
        return None
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).astimezone(UTC)


def _days(formula: Any) -> int | None:
    """A date formula that is so many days or weeks; a month is 30 days."""
    found = re.fullmatch(r"(\d+)([DWM])", str(formula or "").strip())
    return int(found[1]) * {"D": 1, "W": 7, "M": 30}[found[2]] if found else None


def _earlier(one: datetime | None, other: datetime | None) -> bool:
    return other is not None and (one is None or one < other)


def _reading(refused: Refused) -> Exception | None:
    if refused.status == 400 and b"try again later" in refused.content:
        return PassingError(refused.told)
    return None


def _rights(source: BusinessCentralSource) -> Iterable[Right]:
    for company in source.companies:
        for api, entity in (("v2.0", "customers"), ("v2.0", "paymentTerms"), (OURS, ENTRIES), (OURS, DETAILS)):
            records = partial(source._of, company, entity, api)
            yield Right.tried(f"{company}: {entity}", lambda records=records: next(iter(records()), None))  # type: ignore[misc]


CONNECTOR = Connector(
    name="business_central",
    settings=BusinessCentralSettings,
    opened=BusinessCentralSource,
    words=lambda own: f"{without_password(own.url)}, {own.environment}, {own.company or 'every company'}",
    needs="ARREARS_BUSINESS_CENTRAL_TENANT, ARREARS_BUSINESS_CENTRAL_CLIENT_ID and ARREARS_BUSINESS_CENTRAL_CLIENT_SECRET",
    gives=frozenset({"ledger", "rates"}),
    companies=lambda source: [Company(name, str(each.get("displayName", ""))) for name, each in source.found.items()],
    rights=_rights,
    aged=BusinessCentralSource.aged,
)
