"""Xero's Accounting API 2.0: one organisation's receivables.

Belongs here: its endpoints, how it writes dates and money, and what of them is which dataset. Does not belong here: asking (`http.py`),
tokens (`auth.py`), what a record must be (`landing/judge.py`).

    Organisation                         companies
    Contacts                             customers, contacts, payment_terms
    Invoices of type ACCREC              invoices, exchange_rates
    CreditNotes of type ACCRECCREDIT     invoices (credit memos), allocations, exchange_rates
    Payments                             payments and allocations; refunds; write-offs by the account they were booked to
    Overpayments, Prepayments            payments, allocations

Documents are asked for by the server's own stamp (`If-Modified-Since`). A void or a payment taken back comes as a status; an application
taken back leaves nothing but a newer stamp on its credit note or overpayment, so allocations are delivered as all that hang on those.
An endpoint is walked once a run; every customer is asked for every night, a thousand a call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cached_property, lru_cache, partial
from typing import Any, Final
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from dagster_project.contract import Dataset
from dagster_project.sources import (
    Company,
    Connector,
    ConnectorSettings,
    Delivery,
    Opening,
    Parents,
    Right,
    SourceError,
)
from dagster_project.sources.answers import LIMITS, Limits, without_password
from dagster_project.sources.auth import Auth, ClientCredentials, RefreshToken, token_endpoint
from dagster_project.sources.consent import Consent
from dagster_project.sources.http import Http, Refused, Throttle
from dagster_project.sources.paging import Numbered, Question, walked
from dagster_project.sources.records import ZERO, Record, Spool, amount, inverse, number, pages
from dagster_project.words import shown

ADDRESS: Final = "https://api.xero.com/api.xro/2.0"
TOKENS: Final = "https://identity.xero.com/connect/token"
CONSENT: Final = "https://login.xero.com/identity/connect/authorize"
SCOPES: Final = (
    "accounting.invoices.read accounting.payments.read accounting.banktransactions.read accounting.contacts.read "
    "accounting.settings.read"
)
PAGE_ROWS: Final = 1_000
OVERLAP: Final = timedelta(hours=1)
CALLS_A_MINUTE: Final = 60
WALKS: Final = 3
"""How often an endpoint is walked where fewer records come than it announces: they move between pages while somebody works."""

UNREAD: Final = frozenset(("LineItems", "Payments", "CreditNotes", "Prepayments", "Overpayments", "Balances", "ContactGroups"))
"""Parts of records that nothing here reads, and most of their size: they are not kept until the last dataset was asked for."""

STANDING: Final = ("AUTHORISED", "PAID", "VOIDED")
REFUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "ARCREDITPAYMENT": ("credit_memo", "CreditNote"),
    "AROVERPAYMENTPAYMENT": ("payment", "Overpayment"),
    "ARPREPAYMENTPAYMENT": ("payment", "Prepayment"),
}
"""Payments that are money out: what they give back, and where it stands in them."""

ZONES: Final[Mapping[str, str]] = {
    "AUSEASTERNSTANDARDTIME": "Australia/Sydney", "CANADACENTRALSTANDARDTIME": "America/Regina", "CENTRALSTANDARDTIME": "America/Chicago",
    "CENTRALEUROPESTANDARDTIME": "Europe/Budapest", "EASTAUSTRALIASTANDARDTIME": "Australia/Brisbane",
    "EASTERNSTANDARDTIME": "America/New_York", "GMTSTANDARDTIME": "Europe/London", "MOUNTAINSTANDARDTIME": "America/Denver",
    "NEWZEALANDSTANDARDTIME": "Pacific/Auckland", "PACIFICSTANDARDTIME": "America/Los_Angeles", "ROMANCESTANDARDTIME": "Europe/Paris",
    "SINGAPORESTANDARDTIME": "Asia/Singapore", "SOUTHAFRICASTANDARDTIME": "Africa/Johannesburg", "UTC": "UTC",
    "WAUSTRALIASTANDARDTIME": "Australia/Perth", "WEUROPESTANDARDTIME": "Europe/Berlin",
}  # fmt: skip
COUNTRIES: Final[Mapping[str, str]] = {
    "australia": "AU", "canada": "CA", "france": "FR", "germany": "DE", "hong kong": "HK", "ireland": "IE", "netherlands": "NL",
    "new zealand": "NZ", "singapore": "SG", "south africa": "ZA", "united kingdom": "GB", "uk": "GB", "united states": "US", "usa": "US",
}  # fmt: skip
"""Of the countries people write into addresses, those that are meant beyond doubt."""


class XeroSettings(ConnectorSettings, env_prefix="ARREARS_XERO_"):
    """A custom connection's id and secret, or an app's with a refresh token; which organisation; the accounts, by code, that a payment
    writes an invoice off to, or grants a discount by."""

    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr | None = None
    app: bool = False
    tenant: str = ""
    scopes: str = SCOPES
    write_off_accounts: str = ""
    discount_accounts: str = ""
    url: str = ADDRESS
    token_url: str = TOKENS


class XeroSource:
    """One organisation."""

    def __init__(self, own: XeroSettings, opening: Opening, *, wait: float = 1.0, limits: Limits = LIMITS, size: int = PAGE_ROWS):
        self.own = own
        self.auth = _auth(own, opening)
        self.http = Http(
            own.url,
            self.auth,
            setting="ARREARS_XERO_URL",
            credentials="ARREARS_XERO_CLIENT_ID (an app with these scopes, connected to ARREARS_XERO_TENANT)",
            limits=limits,
            wait=wait,
            throttle=Throttle(CALLS_A_MINUTE, 60.0),
            reading=_reading,
        )
        opening.stack.callback(self.http.close)
        self.url = own.url.rstrip("/")
        self.size = size
        self._spool = Spool()
        opening.stack.callback(self._spool.close)
        self._walked: dict[str, datetime | None] = {}
        self._accounts = {
            **dict.fromkeys(_listed(own.write_off_accounts), "write_off"),
            **dict.fromkeys(_listed(own.discount_accounts), "discount"),
        }

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        left_out: Counter[str] = Counter()
        asked = since and datetime.combine((since - OVERLAP).date(), time.min)
        made: Callable[[], Iterator[Record]] | None = {
            "companies": self._companies,
            "customers": self._customers,
            "contacts": self._contacts,
            "payment_terms": self._payment_terms,
            "invoices": lambda: self._invoices(asked, left_out),
            "payments": lambda: self._payments(asked, left_out),
            "refunds": lambda: self._refunds(asked),
            "exchange_rates": self._exchange_rates,
        }.get(dataset.name)
        if dataset.name == "allocations":
            found: set[tuple[str, ...]] = set()
            return Delivery(
                pages=pages(dataset, self._allocations(asked, found)),
                full=asked is None,
                origin=self.url,
                parents=Parents(("source_type", "source_id"), found) if asked else None,
                left_out=left_out,
            )
        if made is None:
            return None
        whole = dataset.name in ("companies", "customers", "contacts", "payment_terms")
        return Delivery(
            pages=pages(dataset, made()),
            full=whole or (asked is None and dataset.name != "exchange_rates"),
            origin=self.url,
            left_out=left_out,
        )

    # --- asking ------------------------------------------------------------------------------------------------------

    def ask(self, address: str, parameters: Mapping[str, str] | None = None, since: datetime | None = None) -> Any:
        """One answer, its numbers as the digits they were written in."""
        headers = {"Xero-Tenant-Id": self.tenant} if self.tenant else {}
        if since:
            headers["If-Modified-Since"] = since.strftime("%Y-%m-%dT%H:%M:%S")
        answer = self.http.json(address, parameters, headers=headers, number=str, whole=str)
        if not isinstance(answer, dict):
            raise SourceError(f"{without_password(address)}: there is nothing of Xero's: is ARREARS_XERO_URL right?")
        return answer

    @cached_property
    def connections(self) -> Sequence[Company]:
        """The organisations that this connection may read."""
        answer = self.http.json(urljoin(self.url, "/connections"))
        found = answer if isinstance(answer, list) else []
        return [Company(str(each["tenantId"]), str(each.get("tenantName", ""))) for each in found]

    @cached_property
    def tenant(self) -> str:
        """The organisation's id, which every call names."""
        if self.own.tenant or len(self.connections) == 1:
            return self.own.tenant.strip() or self.connections[0].key
        told = ", ".join(f"{each.key} {each.name}" for each in self.connections) or "none"
        raise SourceError(f"ARREARS_XERO_TENANT: say which organisation; this connection may read {told}")

    def _all(self, endpoint: str, since: datetime | None = None, **more: str) -> Iterator[Record]:
        """Every record of an endpoint changed since a time, asked for once a run; asked again only by who needs an earlier time."""
        key = "?".join((endpoint, *more.values()))
        if key not in self._walked or _earlier(since, self._walked[key]):
            yield from self._walk(key, endpoint, since, more)
            self._walked[key] = since
        else:
            yield from self._spool.all(key)

    def _walk(self, key: str, endpoint: str, since: datetime | None, more: Mapping[str, str]) -> Iterator[Record]:
        name = _ID[endpoint]
        first = Question(
            f"{self.url}/{endpoint}",
            {"page": "1", "pageSize": str(self.size), "order": "UpdatedDateUTC ASC", "unitdp": "4", **more},
        )
        seen: set[str] = set()
        for _ in range(WALKS):
            announced = None
            answers = walked(
                first,
                lambda asked: self.ask(asked.address, asked.parameters, since),
                Numbered("page", self.size, lambda answer: len(_list(answer, endpoint))),
                endpoint,
                self.http.limits,
            )
            for answer in answers:
                announced = (answer.get("pagination") or {}).get("itemCount", announced)
                records = [
                    {part: value for part, value in record.items() if part not in UNREAD} for record in _list(answer, endpoint)
                ]
                self._spool.put(key, ((record[name], record) for record in records))
                seen.update(record[name] for record in records)
                yield from records
            if announced is None or len(seen) >= int(announced):
                return
        raise SourceError(
            f"{first.address}: {announced} records were announced and {len(seen):,} different ones came, {WALKS} times; nothing of it is "
            "used. Is somebody importing? Run again later"
        )

    # --- the organisation --------------------------------------------------------------------------------------------

    @cached_property
    def organisation(self) -> Record:
        found = self.ask(f"{self.url}/Organisation").get("Organisations") or []
        if not found:
            raise SourceError(f"{self.url}/Organisation: there is none. Does the connection still stand?")
        return dict(found[0])

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(ZONES.get(str(self.organisation.get("Timezone")), "UTC"))

    def _companies(self) -> Iterator[Record]:
        own = self.organisation
        yield {
            "company_id": self.tenant,
            "name": own["Name"],
            "currency": own["BaseCurrency"],
            "country": own.get("CountryCode"),
            "timezone": ZONES.get(str(own.get("Timezone"))),
        }

    # --- customers ---------------------------------------------------------------------------------------------------

    def _buyers(self) -> Iterator[Record]:
        for contact in self._all("Contacts", includeArchived="true"):
            if contact.get("IsCustomer") or contact.get("MergedToContactID"):
                yield contact

    def _customers(self) -> Iterator[Record]:
        for contact in self._buyers():
            term = _term(contact)
            yield {
                "customer_id": contact["ContactID"],
                "name": contact.get("Name") or contact["ContactID"],
                "company_id": self.tenant,
                "parent_customer_id": contact.get("MergedToContactID"),
                "country": _country(contact),
                "currency": contact.get("DefaultCurrency"),
                "payment_terms": term and "/".join(term),
                "registration_number": contact.get("CompanyNumber"),
                "email": contact.get("EmailAddress"),
                "phone": _phone(contact),
                "status": "active" if contact.get("ContactStatus") == "ACTIVE" else "closed",
                "updated_at": _stamp(contact),
            }

    def _contacts(self) -> Iterator[Record]:
        for contact in self._buyers():
            for place, person in enumerate(contact.get("ContactPersons") or (), 1):
                name = " ".join(filter(None, (person.get("FirstName"), person.get("LastName")))) or person.get("EmailAddress")
                if person.get("IncludeInEmails") and name:
                    yield {
                        "contact_id": f"{contact['ContactID']}:{place}",
                        "customer_id": contact["ContactID"],
                        "role": "accounts_payable",
                        "name": name,
                        "email": person.get("EmailAddress"),
                    }

    def _payment_terms(self) -> Iterator[Record]:
        for days, kind in sorted({term for contact in self._buyers() if (term := _term(contact))}):
            row = {"payment_terms": f"{days}/{kind}"}
            match kind:
                case "DAYSAFTERBILLDATE":
                    yield {**row, "net_days": days}
                case "DAYSAFTERBILLMONTH":
                    yield {**row, "net_days": days, "from_month_end": True}
                case "OFFOLLOWINGMONTH" if 1 <= int(days) <= 31:
                    yield {**row, "net_days": 1, "from_month_end": True, "due_day": days}

    # --- documents ---------------------------------------------------------------------------------------------------

    def _documents(self, since: datetime | None) -> Iterator[tuple[str, Record]]:
        for record in self._all("Invoices", since, where='Type=="ACCREC"'):
            yield "invoice", record
        for record in self._all("CreditNotes", since, where='Type=="ACCRECCREDIT"'):
            yield "credit_memo", record

    def _invoices(self, since: datetime | None, left_out: Counter[str]) -> Iterator[Record]:
        for kind, record in self._documents(since):
            memo = kind == "credit_memo"
            if record["Status"] not in STANDING:
                left_out["drafts and deleted drafts"] += 1
                continue
            id_, currency = record["CreditNoteID" if memo else "InvoiceID"], record.get("CurrencyCode")
            what = f"Xero {kind} {id_}"
            voided = record["Status"] == "VOIDED"
            open_ = ZERO if voided else amount(record.get("RemainingCredit" if memo else "AmountDue"), currency, what)
            yield {
                "invoice_id": id_,
                "invoice_number": record.get("CreditNoteNumber" if memo else "InvoiceNumber") or id_,
                "customer_id": record["Contact"]["ContactID"],
                "company_id": self.tenant,
                "document_type": kind,
                "invoice_date": _day(record, "Date"),
                "due_date": None if memo else _day(record, "DueDate"),
                "currency": currency,
                "amount": amount(record.get("Total"), currency, what),
                "tax_amount": amount(record.get("TotalTax"), currency, what),
                "po_number": record.get("Reference"),
                "voided_on": self._changed_on(record) if voided else None,
                "open_amount_reported": open_,
                "updated_at": _stamp(record),
            }

    def _exchange_rates(self) -> Iterator[Record]:
        """The rates of the documents that were walked tonight: one a day and currency, that of the document changed last."""
        base = self.organisation["BaseCurrency"]
        rates: dict[tuple[date | None, str], tuple[datetime, str, Any]] = {}
        walk = self._walked.get('Invoices?Type=="ACCREC"')
        for kind, record in self._documents(walk):
            currency, rate = record.get("CurrencyCode") or base, number(record.get("CurrencyRate"), "Xero CurrencyRate")
            if currency != base and rate > 0 and record["Status"] in STANDING:
                told = (_stamp(record), record["InvoiceID" if kind == "invoice" else "CreditNoteID"], rate)
                key = (_day(record, "Date"), currency)
                rates[key] = max(told, rates.get(key, told))
        for (day, currency), (_, _, rate) in sorted(rates.items(), key=str):
            yield {"rate_date": day, "currency": currency, "base_currency": base, "rate": inverse(rate)}

    # --- money -------------------------------------------------------------------------------------------------------

    def _received(self, since: datetime | None) -> Iterator[tuple[str, str, Record]]:
        """Money received for no invoice (yet): what it is called, its id, the record."""
        for endpoint in ("Overpayments", "Prepayments"):
            for record in self._all(endpoint, since):
                if str(record.get("Type", "")).startswith(("SPEND", "AP")) or record.get("Status") not in STANDING:
                    continue
                yield endpoint, record[_ID[endpoint]], record

    def _payments(self, since: datetime | None, left_out: Counter[str]) -> Iterator[Record]:
        for record in self._all("Payments", since):
            kind = str(record.get("PaymentType"))
            if kind != "ACCRECPAYMENT":
                if kind not in REFUNDS:
                    left_out["payments to suppliers and others"] += 1
                continue
            if self._account(record) in self._accounts:
                continue
            currency = record["Invoice"].get("CurrencyCode") or self.organisation["BaseCurrency"]
            yield {
                "payment_id": record["PaymentID"],
                "customer_id": record["Invoice"]["Contact"]["ContactID"],
                "payment_date": _day(record, "Date"),
                "currency": currency,
                "amount": amount(record.get("Amount"), currency, f"Xero payment {record['PaymentID']}"),
                "company_id": self.tenant,
                "reference": record.get("Reference") or (record.get("BatchPayment") or {}).get("Reference"),
                "reversed_on": self._undone(record),
                "updated_at": _stamp(record),
            }
        for _, id_, record in self._received(since):
            currency = record.get("CurrencyCode") or self.organisation["BaseCurrency"]
            yield {
                "payment_id": id_,
                "customer_id": record["Contact"]["ContactID"],
                "payment_date": _day(record, "Date"),
                "currency": currency,
                "amount": amount(record.get("Total"), currency, f"Xero overpayment {id_}"),
                "company_id": self.tenant,
                "reference": record.get("Reference"),
                "reversed_on": self._undone(record),
                "updated_at": _stamp(record),
            }

    def _refunds(self, since: datetime | None) -> Iterator[Record]:
        # They are few, so that the newest of them may be of long ago: they are asked for alone, unless what was walked has them.
        has = "Payments" in self._walked and not _earlier(since, self._walked["Payments"])
        only = {} if has else {"where": " OR ".join(f'PaymentType=="{kind}"' for kind in REFUNDS)}
        for record in self._all("Payments", since, **only):
            kind = str(record.get("PaymentType"))
            if kind not in REFUNDS:
                continue
            source_type, name = REFUNDS[kind]
            given = record.get(name) or record.get("Invoice") or {}
            currency = given.get("CurrencyCode") or self.organisation["BaseCurrency"]
            yield {
                "refund_id": record["PaymentID"],
                "customer_id": (given.get("Contact") or {}).get("ContactID"),
                "refunded_on": _day(record, "Date"),
                "currency": currency,
                "amount": amount(record.get("Amount"), currency, f"Xero refund {record['PaymentID']}"),
                "source_type": source_type,
                "source_id": given.get(f"{name}ID") or given.get("InvoiceID"),
                "company_id": self.tenant,
                "reversed_on": self._undone(record),
                "updated_at": _stamp(record),
            }

    def _allocations(self, since: datetime | None, parents: set[tuple[str, ...]]) -> Iterator[Record]:
        """What was put against invoices, and whose applications those are that come whole."""
        for record in self._all("Payments", since):
            if record.get("PaymentType") != "ACCRECPAYMENT":
                continue
            kind = self._accounts.get(self._account(record), "payment")
            yield {
                "allocation_id": record["PaymentID"],
                "invoice_id": record["Invoice"]["InvoiceID"],
                "source_type": kind,
                "source_id": record["PaymentID"] if kind == "payment" else None,
                "allocated_on": _day(record, "Date"),
                "amount": amount(
                    record.get("Amount"), record["Invoice"].get("CurrencyCode"), f"Xero payment {record['PaymentID']}"
                ),
                "reversed_on": self._undone(record),
                "updated_at": _stamp(record),
            }
        for record in self._all("CreditNotes", since, where='Type=="ACCRECCREDIT"'):
            if record["Status"] in STANDING:
                parents.add(("credit_memo", record["CreditNoteID"]))
                yield from _applied(record, "credit_memo", record["CreditNoteID"])
        for _, id_, record in self._received(since):
            parents.add(("payment", id_))
            yield from _applied(record, "payment", id_)

    def _account(self, record: Record) -> str:
        return str((record.get("Account") or {}).get("Code") or "")

    def _undone(self, record: Record) -> date | None:
        return self._changed_on(record) if record.get("Status") in ("DELETED", "VOIDED") else None

    def _changed_on(self, record: Record) -> date:
        """The day of the last change where the organisation is: Xero keeps no other of a void."""
        return _stamp(record).astimezone(self.zone).date()


_ID: Final[Mapping[str, str]] = {
    "Contacts": "ContactID",
    "Invoices": "InvoiceID",
    "CreditNotes": "CreditNoteID",
    "Payments": "PaymentID",
    "Overpayments": "OverpaymentID",
    "Prepayments": "PrepaymentID",
}


def _list(answer: Mapping[str, Any], endpoint: str) -> Sequence[Record]:
    """An endpoint's records: an answer without a list of them is not one without any."""
    if not isinstance(found := answer.get(endpoint), list):
        raise SourceError(
            f"Xero {endpoint}: the answer has no list of them, but {', '.join(map(str, list(answer)[:4])) or 'nothing'}"
        )
    return found


def _applied(record: Record, kind: str, id_: str) -> Iterator[Record]:
    """The applications of a credit note or of money on account. One without an id of its own is known by what it says, and by its place
    among those that say the same."""
    told: Counter[str] = Counter()
    for each in record.get("Allocations") or ():
        if each.get("IsDeleted"):
            continue
        invoice, on = each["Invoice"]["InvoiceID"], _day(each, "Date")
        name = f"{id_}:{invoice}:{on}"
        told[name] += 1
        yield {
            "allocation_id": each.get("AllocationID") or f"{name}:{told[name]}",
            "invoice_id": invoice,
            "source_type": kind,
            "source_id": id_,
            "allocated_on": on,
            "amount": amount(each.get("Amount"), record.get("CurrencyCode"), f"Xero application of {id_}"),
            "updated_at": _stamp(record),
        }


_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")


@lru_cache(maxsize=1 << 16)
def _moment(text: str) -> datetime:
    """`/Date(ms+hhmm)/` as a time, in its own zone."""
    found = _DATE.fullmatch(text)
    if not found:
        raise SourceError(f"Xero: «{shown(str(text), 40)}» is not a date")
    offset = found[2] or "+0000"
    minutes = (1 if offset[0] == "+" else -1) * (int(offset[1:3]) * 60 + int(offset[3:]))
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(found[1]))).astimezone(
        timezone(timedelta(minutes=minutes))
    )


def _day(record: Record, name: str) -> date | None:
    """A calendar day: as it is written, where it is, else out of milliseconds."""
    if text := record.get(f"{name}String"):
        return date.fromisoformat(text[:10])
    text = record.get(name)
    if not text:
        return None
    return _moment(text).date() if text.startswith("/") else date.fromisoformat(text[:10])


def _stamp(record: Record) -> datetime:
    if text := record.get("UpdatedDateUTC"):
        return _moment(text).astimezone(UTC)
    text = record.get("UpdatedDateUTCString")
    if not text:
        raise SourceError(f"Xero: a record has no UpdatedDateUTC: {', '.join(list(record)[:4])} …")
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=UTC)


def _earlier(one: datetime | None, other: datetime | None) -> bool:
    return other is not None and (one is None or one < other)


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _term(contact: Record) -> tuple[str, str] | None:
    term = (contact.get("PaymentTerms") or {}).get("Sales") or {}
    return (str(term["Day"]), str(term["Type"])) if term.get("Day") and term.get("Type") else None


def _country(contact: Record) -> str | None:
    for address in sorted(contact.get("Addresses") or (), key=lambda each: each.get("AddressType") != "POBOX"):
        told = str(address.get("Country") or "").strip()
        if re.fullmatch("[A-Z]{2}", told):
            return told
        if known := COUNTRIES.get(told.lower()):
            return known
    return None


def _phone(contact: Record) -> str | None:
    for phone in contact.get("Phones") or ():
        if phone.get("PhoneType") == "DEFAULT":
            parts = (phone.get("PhoneCountryCode"), phone.get("PhoneAreaCode"), phone.get("PhoneNumber"))
            return " ".join(filter(None, parts)) if phone.get("PhoneNumber") else None
    return None


def _reading(refused: Refused) -> Exception | None:
    """What a refusal of Xero's means beyond its status: a day's calls used up do not come back by waiting a minute."""
    if refused.status == 429 and refused.headers.get("X-Rate-Limit-Problem", "").lower() == "day":
        return SourceError(f"{refused.told}: the calls of a day are used up (X-Rate-Limit-Problem: day). Run again tomorrow")
    if refused.status == 403 and b"AuthenticationUnsuccessful" in refused.content:
        return SourceError(
            f"{refused.told}: the organisation is not connected to this app, or no longer: check ARREARS_XERO_TENANT against "
            "`make connect SOURCE=xero`"
        )
    return None


def _auth(own: XeroSettings, opening: Opening) -> Auth:
    id_, secret = own.client_id, own.client_secret.get_secret_value()
    if own.app or own.refresh_token:
        return _app(own, opening)
    return ClientCredentials(own.token_url, id_, secret, exchange=token_endpoint, scope=own.scopes)


def _app(own: XeroSettings, opening: Opening) -> RefreshToken:
    first = own.refresh_token.get_secret_value() if own.refresh_token else ""
    kept = opening.home / "tokens" / "xero.json"
    return RefreshToken(own.token_url, own.client_id, own.client_secret.get_secret_value(), first, kept, exchange=token_endpoint)


def _consent(own: XeroSettings, opening: Opening) -> Consent | None:
    if not own.app:
        return None
    return Consent(CONSENT, f"{own.scopes} offline_access", _app(own, opening))


def _rights(source: XeroSource) -> Iterable[Right]:
    for endpoint in ("Organisation", *_ID):
        yield Right.tried(endpoint, partial(source.ask, f"{source.url}/{endpoint}", {"page": "1", "pageSize": "1"}))


CONNECTOR = Connector(
    name="xero",
    settings=XeroSettings,
    opened=XeroSource,
    words=lambda own: f"{without_password(own.url)}, organisation {own.tenant or 'the only one'}",
    needs="ARREARS_XERO_CLIENT_ID and ARREARS_XERO_CLIENT_SECRET, and for an app ARREARS_XERO_REFRESH_TOKEN or a consent",
    gives=frozenset({"ledger", "rates"}),
    companies=lambda source: source.connections,
    rights=_rights,
    consent=_consent,
)
