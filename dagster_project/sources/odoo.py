"""Odoo's receivables (versions 14 to 19), all companies of a database that a user sees or one, over JSON-2 or, before 19, JSON-RPC.

Belongs here: its models, how it writes values, and what of them is which dataset. Does not belong here: asking (`http.py`), what a
record must be (`landing/judge.py`).

    res.company                      companies
    res.partner                      customers (those that are debtors by themselves), contacts
    account.payment.term             payment_terms
    account.move                     invoices (out_invoice, out_receipt; out_refund is a credit memo)
    account.move.line, receivable    instalments; payments, refunds; entries as memos, write-offs, discounts
    account.partial.reconcile        allocations, refunds
    res.currency.rate                exchange_rates

Moves and lines are asked for by their stamp, which paying and unpaying move too, and again those of partners that changed, since a merge
moves documents without a stamp. An application that was undone leaves no row: all of each changed document come. What was deleted is
found by a weekly reading of everything.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property, partial
from itertools import chain, groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

import requests
from pydantic import SecretStr

from dagster_project.contract import Dataset
from dagster_project.sources import (
    Aged,
    Company,
    Connector,
    ConnectorSettings,
    Delivery,
    NotReachedError,
    Opening,
    Parents,
    Right,
    SourceError,
)
from dagster_project.sources.answers import LIMITS, Limits, without_password
from dagster_project.sources.auth import Auth, Bearer, as_header
from dagster_project.sources.http import Http, Refused
from dagster_project.sources.paging import Question, walked
from dagster_project.sources.records import EXACT, RATE_DIGITS, ZERO, Record, Spool, amount, number, pages
from dagster_project.words import shown

PAGE_ROWS: Final = 2_000
BY_ID: Final = 1_000
"""Records that are asked for by id in one call."""
OVERLAP: Final = timedelta(hours=1)
"""A stamp is of the start of its transaction, which others may read before it ends."""
TRIES: Final = 3
"""How often a page is asked for that does not go on where the one before ended."""

MOVE, LINE, PARTIAL, PARTNER, ACCOUNT = (
    "account.move",
    "account.move.line",
    "account.partial.reconcile",
    "res.partner",
    "account.account",
)
SALES: Final = ("out_invoice", "out_receipt", "out_refund")
OWED: Final = ("invoice", "debit_memo")
SETTLES: Final = ("discount", "write_off", "adjustment")
"""What a line may be that is put against others and is no document and no money."""
GROUPS: Final = ("documents", "payments", "entries")
"""How receivable lines are kept: of documents that sell, of money received, and what else there is."""
ONCE_POSTED: Final = ["|", ["state", "=", "posted"], ["posted_before", "=", True]]
ONCE_POSTED_LINE: Final = ["|", ["parent_state", "=", "posted"], ["move_id.posted_before", "=", True]]

_MOVE: Final = ("name", "ref", "move_type", "state", "date", "invoice_date", "invoice_date_due", "invoice_payment_term_id",
                "commercial_partner_id", "currency_id", "company_id", "amount_total", "amount_tax", "amount_residual", "invoice_user_id",
                "invoice_origin", "delivery_date", "reversed_entry_id", "write_date")  # fmt: skip
_LINE: Final = ("move_id", "parent_state", "date", "date_maturity", "partner_id", "amount_currency", "currency_id",
                "amount_residual_currency", "payment_id", "statement_line_id", "ref", "name", "journal_id", "company_id",
                "write_date")  # fmt: skip
_PARTIAL: Final = ("debit_move_id", "credit_move_id", "debit_amount_currency", "credit_amount_currency", "max_date", "write_date")
_PARTNER: Final = ("name", "parent_id", "country_id", "industry_id", "company_registry", "vat", "email", "phone", "lang", "user_id",
                   "property_payment_term_id", "credit_limit", "use_partner_credit_limit", "active", "customer_rank", "supplier_rank",
                   "create_date", "write_date")  # fmt: skip
_TERM_LINE: Final = ("payment_id", "value", "nb_days", "delay_type", "days", "option", "months", "end_month")


class OdooSettings(ConnectorSettings, env_prefix="ARREARS_ODOO_"):
    """The server, the database where it has several, a user's API key (and before version 19 the user's name), which company where not
    all, and the accounts, by code, that grant discounts."""

    url: str
    database: str = ""
    user: str = ""
    key: SecretStr
    company: str = ""
    discount_accounts: str = ""


class _InBody(Auth):
    """A key that goes in each question itself, as JSON-RPC has it."""

    def __init__(self, key: str):
        self._key = as_header(key, "ARREARS_ODOO_KEY")

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._key,)

    def header(self) -> str:
        return ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class OdooSource:
    """The companies of a database."""

    def __init__(self, own: OdooSettings, opening: Opening, *, wait: float = 1.0, limits: Limits = LIMITS, size: int = PAGE_ROWS):
        self.own = own
        self._key = own.key.get_secret_value()
        self.http = Http(
            own.url,
            _InBody(self._key) if own.user else Bearer(self._key, "ARREARS_ODOO_KEY"),
            setting="ARREARS_ODOO_URL",
            credentials="ARREARS_ODOO_KEY (an API key ends after three months at most) and ARREARS_ODOO_DATABASE",
            limits=limits,
            wait=wait,
            reading=_reading,
        )
        opening.stack.callback(self.http.close)
        self.url = own.url.rstrip("/")
        self.size = size
        self._spool = Spool()
        opening.stack.callback(self._spool.close)
        self._walked: dict[str, datetime | None] = {}
        self._codes = {each.strip() for each in own.discount_accounts.split(",") if each.strip()}

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        left_out: Counter[str] = Counter()
        asked = since and datetime.combine((since - OVERLAP).date(), time.min)
        whole: Mapping[str, Callable[[], Iterator[Record]]] = {
            "companies": self._companies,
            "customers": lambda: self._customers(left_out),
            "contacts": self._contacts,
            "payment_terms": self._payment_terms,
            "instalments": self._instalments,
            "refunds": self._refunds,
            "exchange_rates": self._exchange_rates,
        }
        if dataset.name in whole:
            return self._delivery(dataset, whole[dataset.name](), None, left_out)
        found: set[tuple[str, ...]] = set()
        parents = Parents(("invoice_id",), found) if asked else None
        match dataset.name:
            case "invoices":
                return self._delivery(dataset, self._invoices(asked, left_out, found), asked, left_out, parents)
            case "payments":
                return self._delivery(dataset, self._payments(asked, left_out), asked, left_out)
            case "allocations":
                return self._delivery(dataset, self._allocations(asked, found), asked, left_out, parents)
        return None

    def _delivery(
        self,
        dataset: Dataset,
        records: Iterator[Record],
        since: datetime | None,
        left_out: Counter[str],
        parents: Parents | None = None,
    ) -> Delivery:
        return Delivery(
            pages(dataset, records), full=since is None, origin=without_password(self.url), parents=parents, left_out=left_out
        )

    # --- asking ------------------------------------------------------------------------------------------------------

    def _call(self, model: str, method: str, *given: tuple[str, Any], context: Mapping[str, Any] | None = None) -> Any:
        """What a method of a model answers; what it is given, in order, by name."""
        told = {"lang": "en_US", "active_test": False, **(context or {})}
        if not self.own.user:
            headers = {"X-Odoo-Database": self.own.database} if self.own.database else {}
            address = f"{self.url}/json/2/{model}/{method}"
            answer = self.http.json(address, headers=headers, body={**dict(given), "context": told}, number=str)
            if answer is None:
                raise NotReachedError(
                    f"{without_password(address)}: nothing is there. JSON-2 came with Odoo 19: for an older one set ARREARS_ODOO_USER"
                )
            return answer
        named = [self.own.database, self._uid, self._key, model, method, [value for _, value in given], {"context": told}]
        return self._rpc("object", "execute_kw", named)

    def _rpc(self, service: str, method: str, given: Sequence[Any]) -> Any:
        address = f"{self.url}/jsonrpc"
        body = {
            "jsonrpc": "2.0",
            "method": "call",
            "id": 1,
            "params": {"service": service, "method": method, "args": list(given)},
        }
        answer = self.http.json(address, body=body, number=str)
        if not isinstance(answer, dict) or not {"result", "error"} & answer.keys():
            raise NotReachedError(f"{without_password(address)}: no answer of Odoo's: is ARREARS_ODOO_URL right?")
        if "error" in answer:
            raise self._refusal(answer["error"])
        return answer["result"]

    def _refusal(self, error: Any) -> SourceError:
        """JSON-RPC refuses with 200 and says why inside."""
        data = (error.get("data") if isinstance(error, dict) else None) or {}
        name, words = str(data.get("name", "")), self.http.said(str(data.get("message") or error))
        if name.endswith("AccessError"):
            return SourceError(f"{without_password(self.url)}: {words}. {_ROLE}")
        if name.endswith("AccessDenied") or "database" in words:
            return NotReachedError(f"{without_password(self.url)}: {words}. Check {self.http.credentials}")
        return SourceError(f"{without_password(self.url)}: {words}")

    @cached_property
    def _uid(self) -> int:
        uid = self._rpc("common", "authenticate", [self.own.database, self.own.user, self._key, {}])
        if not uid:
            raise NotReachedError(
                f"{without_password(self.url)}: the user of ARREARS_ODOO_USER and the key are not taken in the database "
                f"{self.own.database!r}. Check {self.http.credentials}"
            )
        return int(uid)

    def _fields(self, model: str) -> Mapping[str, Any]:
        """The fields that this version and its modules have, asked for once."""
        if (known := self._spool.get("fields", model)) is None:
            known = self._call(model, "fields_get", ("allfields", []), ("attributes", ["type"]))
            self._spool.put("fields", [(model, known)])
        return known

    def _list(self, model: str, fields: Sequence[str], domain: Sequence[Any] = (), **context: Any) -> Iterator[Sequence[Record]]:
        """Every record of a model by id, in pages, so that none is missed or met twice while others are written."""
        has = self._fields(model)
        first = Question(
            f"{self.url}/{model}",
            {
                "domain": json.dumps(list(domain)),
                "fields": json.dumps([name for name in fields if name in has]),
                "after": "0",
                "context": json.dumps(context),
            },
        )
        return walked(first, self._page, _ById(self.size), model, self.http.limits)

    def _page(self, question: Question) -> list[Record]:
        """One page: of what was asked for, and behind the id it was asked from."""
        model, after = question.address.rpartition("/")[2], int(question.parameters["after"])
        domain, fields = json.loads(question.parameters["domain"]), json.loads(question.parameters["fields"])
        asked = (
            ("domain", [*domain, ["id", ">", after]]),
            ("fields", fields),
            ("offset", 0),
            ("limit", self.size),
            ("order", "id asc"),
        )
        for _ in range(TRIES):
            answer = self._call(model, "search_read", *asked, context=json.loads(question.parameters["context"]))
            if not isinstance(answer, list):
                raise SourceError(f"{without_password(self.url)}: {model}: no list came back: is ARREARS_ODOO_URL right?")
            ids = [record.get("id", 0) for record in answer]
            if (
                all(set(fields) <= record.keys() for record in answer[:1])
                and ids == sorted({*ids, after} - {after})
                and (not ids or ids[0] > after)
            ):
                return answer
        raise SourceError(
            f"{without_password(self.url)}: {model}: what comes is not the page behind id {after} that was asked for"
        )

    def _each(self, model: str, fields: Sequence[str], domain: Sequence[Any] = (), **context: Any) -> Iterator[Record]:
        for page in self._list(model, fields, domain, **context):
            yield from page

    def _by(self, model: str, fields: Sequence[str], name: str, ids: Iterable[int], *more: Any) -> Iterator[Sequence[Record]]:
        """The records whose field is one of those, however many."""
        wanted = sorted(set(ids))
        for start in range(0, len(wanted), BY_ID):
            yield from self._list(model, fields, [[name, "in", wanted[start : start + BY_ID]], *more])

    def _count(self, model: str, domain: Sequence[Any]) -> int:
        return int(self._call(model, "search_count", ("domain", list(domain))))

    def _sums(self, domain: Sequence[Any], by: Sequence[str], field: str) -> Iterator[Record]:
        """Sums of a field of lines by others; `field` holds the sum of each."""
        if self.own.user:
            asked = (
                ("domain", list(domain)),
                ("fields", [f"{field}:sum"]),
                ("groupby", list(by)),
                ("offset", 0),
                ("limit", None),
            )
            yield from self._call(LINE, "read_group", *asked, ("orderby", False), ("lazy", False))
            return
        asked_for = (("domain", list(domain)), ("groupby", list(by)), ("aggregates", [f"{field}:sum"]))
        for group in self._call(LINE, "formatted_read_group", *asked_for):
            yield {**group, field: group[f"{field}:sum"]}

    # --- companies and customers -------------------------------------------------------------------------------------

    @cached_property
    def found(self) -> Mapping[int, Record]:
        """The companies that the user sees, by id."""
        return {each["id"]: each for each in self._each("res.company", ("name", "currency_id", "country_id", "partner_id"))}

    @cached_property
    def companies(self) -> Sequence[int]:
        wanted = self.own.company.strip()
        chosen = [id_ for id_, each in self.found.items() if wanted in ("", str(id_), each["name"])]
        if not chosen:
            told = ", ".join(f"{id_} {each['name']}" for id_, each in self.found.items()) or "none"
            raise SourceError(f"ARREARS_ODOO_COMPANY: {wanted!r} is not a company that the user sees: {told}")
        return chosen

    @property
    def _mine(self) -> list[Any]:
        return ["company_id", "in", list(self.companies)]

    @cached_property
    def _zones(self) -> Mapping[int, str]:
        """Where companies are, as their own partner has it."""
        partners = {_id(self.found[id_]["partner_id"]): id_ for id_ in self.companies}
        found = (each for page in self._by(PARTNER, ("tz",), "id", partners) for each in page)
        return {partners[each["id"]]: each["tz"] for each in found if each.get("tz")}

    def _day(self, company: Any, stamp: str) -> date:
        """The day of a change where a company is."""
        zone = self._zones.get(int(company), "UTC")
        return datetime.fromisoformat(_utc(stamp)).astimezone(ZoneInfo(zone)).date()

    @cached_property
    def _countries(self) -> Mapping[int, str]:
        return {each["id"]: each["code"] for each in self._each("res.country", ("code",)) if each.get("code")}

    def _companies(self) -> Iterator[Record]:
        for id_ in self.companies:
            each = self.found[id_]
            yield {
                "company_id": str(id_),
                "name": each["name"],
                "currency": _name(each["currency_id"]),
                "country": self._countries.get(_id(each.get("country_id"))),
                "timezone": self._zones.get(id_),
            }

    @cached_property
    def _contact_of(self) -> Mapping[int, int]:
        """The debtor that a contact belongs to, by the contact."""
        names = ("commercial_partner_id", "type", "name", "email", "phone")
        of: dict[int, int] = {}
        for page in self._list(PARTNER, names, [["parent_id", "!=", False], ["is_company", "=", False]]):
            of |= {each["id"]: _id(each["commercial_partner_id"]) for each in page}
            self._spool.put("contacts", ((f"{each['id']:012}", each) for each in page if each.get("type") == "invoice"))
        return of

    def _debtor(self, partner: Any) -> int:
        """Who owes what stands with a partner; 0 where there is none."""
        id_ = _id(partner)
        return self._contact_of.get(id_, id_)

    @cached_property
    def _owing(self) -> set[int]:
        """Debtors with anything on a receivable account."""
        domain = [*self._receivable, self._mine, *ONCE_POSTED_LINE]
        return {self._debtor(each["partner_id"]) for each in self._sums(domain, ["partner_id"], "amount_residual")}

    def _customers(self, left_out: Counter[str]) -> Iterator[Record]:
        domain = ["|", ["parent_id", "=", False], ["is_company", "=", True]]
        for each in self._each(PARTNER, _PARTNER, domain, allowed_company_ids=list(self.companies)):
            if each["id"] not in self._owing and not each.get("customer_rank"):
                left_out["partners that are no customers"] += 1
                continue
            limit = (
                number(each.get("credit_limit"), f"Odoo partner {each['id']}") if each.get("use_partner_credit_limit") else None
            )
            parent = self._debtor(each["parent_id"])
            yield {
                "customer_id": str(each["id"]),
                "name": each.get("name") or str(each["id"]),
                "parent_customer_id": str(parent) if parent else None,
                "country": self._countries.get(_id(each.get("country_id"))),
                "industry": _name(each.get("industry_id")),
                "customer_since": str(each.get("create_date") or "")[:10],
                "credit_limit": limit,
                "payment_terms": _name(each.get("property_payment_term_id")),
                "registration_number": each.get("company_registry") or each.get("vat") or None,
                "email": each.get("email") or None,
                "phone": each.get("phone") or None,
                "language": str(each.get("lang") or "")[:2],
                "sales_rep": _name(each.get("user_id")),
                "status": "active" if each["active"] else "closed",
                "updated_at": _utc(each["write_date"]),
            }

    def _contacts(self) -> Iterator[Record]:
        of = self._contact_of
        for each in self._spool.all("contacts"):
            yield {
                "contact_id": str(each["id"]),
                "customer_id": str(of[each["id"]]),
                "role": "accounts_payable",
                "name": each.get("name") or None,
                "email": each.get("email") or None,
                "phone": each.get("phone") or None,
            }

    @cached_property
    def _terms(self) -> Mapping[int, tuple[str, list[Record]]]:
        """Payment terms, their names and lines, by id."""
        names = ("name", "early_discount", "discount_percentage", "discount_days")
        lines: dict[int, list[Record]] = defaultdict(list)
        for line in self._each("account.payment.term.line", _TERM_LINE):
            lines[_id(line["payment_id"])].append(line)
        terms = list(self._each("account.payment.term", names))
        self._spool.put("terms", ((str(each["id"]), each) for each in terms))
        return {each["id"]: (each["name"], lines[each["id"]]) for each in terms}

    def _payment_terms(self) -> Iterator[Record]:
        """Terms of one part a number of days after the invoice or the end of its month; others stand in the invoices' due dates."""
        told: set[str] = set()
        for id_, (name, lines) in sorted(self._terms.items()):
            if len(lines) != 1 or name in told or (days := _days(lines[0])) is None:
                continue
            told.add(name)
            term = self._spool.get("terms", str(id_)) or {}
            discount = term.get("discount_percentage") if term.get("early_discount") else None
            yield {
                "payment_terms": name,
                "net_days": days[0],
                "from_month_end": days[1],
                "discount_pct": discount or None,
                "discount_days": term.get("discount_days") if discount else None,
            }

    # --- accounts ----------------------------------------------------------------------------------------------------

    @cached_property
    def _receivable(self) -> list[Any]:
        """What lines of receivable accounts are known by, in this version."""
        if "account_type" in self._fields(ACCOUNT):
            return [["account_id.account_type", "=", "asset_receivable"]]
        return [["account_id.internal_type", "=", "receivable"]]

    @cached_property
    def _accounts(self) -> Mapping[int, str]:
        """What accounts are for, by id: `receivable`, `cash`, `discount`, `exchange`, `expense`, `income`, or else nothing."""
        names = ("code", "account_type", "internal_type", "internal_group")
        exchange, granted = self._told_by_companies
        found = {}
        for each in self._each(ACCOUNT, names, allowed_company_ids=list(self.companies)):
            kind = str(each.get("account_type") or each.get("internal_type") or "")
            group = "" if "account_type" in each else str(each.get("internal_group") or "")
            if each["id"] in granted or each.get("code") in self._codes:
                found[each["id"]] = "discount"
            elif each["id"] in exchange:
                found[each["id"]] = "exchange"
            elif kind in ("asset_receivable", "receivable"):
                found[each["id"]] = "receivable"
            elif kind in ("asset_cash", "liquidity"):
                found[each["id"]] = "cash"
            else:
                found[each["id"]] = next((name for name in ("expense", "income") if kind.startswith(name) or group == name), "")
        return found

    @cached_property
    def _told_by_companies(self) -> tuple[set[int], set[int]]:
        """The accounts that companies book exchange differences and discounts for early payment to."""
        exchange = ("income_currency_exchange_account_id", "expense_currency_exchange_account_id")
        granted = ("account_journal_early_pay_discount_loss_account_id",)
        found = list(self._each("res.company", (*exchange, *granted)))
        return (
            {_id(each.get(name)) for each in found for name in exchange},
            {_id(each.get(name)) for each in found for name in granted} - {0},
        )

    # --- documents ---------------------------------------------------------------------------------------------------

    def _changed(self, since: datetime, partner: str) -> list[Any]:
        """What changed since a time, or is of a partner that did: a merge moves documents and stamps the partner alone."""
        key = f"partners\x1f{since}"
        if key not in self._walked:
            told = [each["id"] for each in self._each(PARTNER, ("id",), [["write_date", ">=", _stamp(since)]])]
            self._spool.put("changed", [(key, {"ids": told})])
            self._walked[key] = since
        ids = (self._spool.get("changed", key) or {})["ids"]
        changed = ["write_date", ">=", _stamp(since)]
        return ["|", changed, [partner, "in", ids]] if ids else [changed]

    def _documents(self, since: datetime | None) -> Iterator[Record]:
        """Invoices and credit notes that were posted once, changed since a time."""
        domain = [["move_type", "in", list(SALES)], self._mine, *ONCE_POSTED]
        if since:
            domain += self._changed(since, "commercial_partner_id")
        for page in self._list(MOVE, _MOVE, domain):
            self._spool.put("moves", (_slim(move) for move in page))
            yield from page

    def _invoices(self, since: datetime | None, left_out: Counter[str], nothing_left: set[tuple[str, ...]]) -> Iterator[Record]:
        for move in self._documents(since):
            if not move["commercial_partner_id"]:
                left_out["receivables without a customer"] += 1
                continue
            memo = _document(move) == "credit_memo"
            gone = move["state"] != "posted"
            currency, what = _name(move["currency_id"]), f"Odoo invoice {move['id']}"
            yield {
                "invoice_id": str(move["id"]),
                "invoice_number": move["name"] or str(move["id"]),
                "customer_id": str(_id(move["commercial_partner_id"])),
                "company_id": str(_id(move["company_id"])),
                "document_type": _document(move),
                "invoice_date": move["invoice_date"] or move["date"],
                "due_date": None if memo else move["invoice_date_due"] or None,
                "currency": currency,
                "amount": abs(amount(move["amount_total"], currency, what)),
                "tax_amount": abs(amount(move["amount_tax"], currency, what)),
                "payment_terms": _name(move["invoice_payment_term_id"]),
                "po_number": move["ref"] or None,
                "delivered_on": move.get("delivery_date") or None,
                "order_number": move["invoice_origin"] or None,
                "sales_rep": _name(move["invoice_user_id"]),
                "voided_on": self._day(_id(move["company_id"]), move["write_date"]) if gone else None,
                "open_amount_reported": ZERO if gone else abs(amount(move["amount_residual"], currency, what)),
                "updated_at": _utc(move["write_date"]),
            }
        for line in self._lines(since, "entries"):
            left_out["receivables without a customer"] += line["kind"] == "nobody"
            yield from self._memo(line, nothing_left)
        mine = self._mine
        left_out["drafts"] = self._count(
            MOVE, [["move_type", "in", list(SALES)], mine, ["state", "!=", "posted"], ["posted_before", "=", False]]
        )
        left_out["documents of suppliers"] = self._count(
            MOVE, [["move_type", "in", ["in_invoice", "in_refund", "in_receipt"]], mine]
        )

    def _memo(self, line: Record, nothing_left: set[tuple[str, ...]]) -> Iterator[Record]:
        """A line of an entry that is a document by itself, or what a write-off has left that no invoice took."""
        if line["kind"] not in ("debit_memo", "credit_memo", *SETTLES) or not line["by_line"]:
            return
        whole = line["kind"] in ("debit_memo", "credit_memo")
        if not whole and (line["gone"] or not Decimal(line["left"])):
            nothing_left.add((line["document"],))
            return
        yield {
            "invoice_id": line["document"],
            "invoice_number": line["number"],
            "customer_id": line["customer"],
            "company_id": line["company"],
            "document_type": line["kind"] if whole else "credit_memo",
            "invoice_date": line["on"],
            "due_date": line["due"] if line["kind"] == "debit_memo" else None,
            "currency": line["currency"],
            "amount": line["amount"] if whole else line["left"],
            "po_number": line["reference"],
            "voided_on": self._day(line["company"], line["stamp"]) if line["gone"] else None,
            "open_amount_reported": ZERO if line["gone"] else line["left"],
            "updated_at": _utc(line["stamp"]),
        }

    def _instalments(self) -> Iterator[Record]:
        """The parts of invoices whose terms have several; which line is which, for what is put against one."""
        several = [id_ for id_, (_, lines) in self._terms.items() if len(lines) > 1]
        if not several:
            return
        if "instalments" not in self._walked:
            domain = [*self._receivable, self._mine, ["move_id.move_type", "in", list(SALES[:2])], *ONCE_POSTED_LINE]
            domain.append(["move_id.invoice_payment_term_id", "in", several])
            names = ("move_id", "date_maturity", "amount_currency", "currency_id")
            for page in self._list(LINE, names, domain):
                self._spool.put(
                    "instalments",
                    ((f"{_id(each['move_id']):012}\x1f{each['date_maturity'] or ''}\x1f{each['id']:012}", each) for each in page),
                )
            self._walked["instalments"] = None
        for move, found in groupby(self._spool.all("instalments"), key=lambda each: _id(each["move_id"])):
            parts = list(found)
            if len(parts) > 1:
                self._spool.put("parts", ((str(each["id"]), {"part": place}) for place, each in enumerate(parts, 1)))
                for place, each in enumerate(parts, 1):
                    put = amount(each["amount_currency"], _name(each["currency_id"]), f"Odoo line {each['id']}")
                    yield {
                        "invoice_id": str(move),
                        "instalment_number": place,
                        "due_date": each["date_maturity"],
                        "amount": abs(put),
                    }

    # --- receivable lines --------------------------------------------------------------------------------------------

    def _lines(self, since: datetime | None, *groups: str) -> Iterator[Record]:
        """Lines on receivable accounts changed since a time, as what they are, of some of `GROUPS`; asked for once a run, again only by who
        needs an earlier time. Lines that changed a balance in company currency alone are none."""
        if "lines" not in self._walked or _earlier(since, self._walked["lines"]):
            domain = [*self._receivable, self._mine, *ONCE_POSTED_LINE]
            for page in self._list(LINE, _LINE, [*domain, *(self._changed(since, "partner_id") if since else [])]):
                self._keep(page)
            self._walked["lines"] = since
        return chain.from_iterable(self._spool.all(group) for group in groups)

    def _keep(self, page: Sequence[Record]) -> None:
        found: dict[str, list[tuple[str, Record]]] = defaultdict(list)
        for line in self._told(page):
            group = "documents" if not line["by_line"] else "payments" if line["kind"] == "payment" else "entries"
            found[group].append((f"{line['id']:012}", line))
        for group, lines in found.items():
            self._spool.put(group, lines)

    def _known(self, ids: Iterable[int]) -> Mapping[int, Record]:
        """Lines by id, asked for where they did not come yet."""
        wanted = {f"{id_:012}" for id_ in ids}
        found = self._there(wanted)
        if missing := wanted - found.keys():
            for page in self._by(LINE, _LINE, "id", map(int, missing)):
                self._keep(page)
            found |= self._there(missing)
        return {line["id"]: line for line in found.values()}

    def _there(self, wanted: set[str]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for group in GROUPS:
            found |= self._spool.some(group, wanted - found.keys())
        return found

    def _told(self, page: Sequence[Record]) -> Iterator[Record]:
        """Lines as what they are: of a document, money, or an entry's, which its other accounts tell."""
        of_page = [_id(each["move_id"]) for each in page]
        money = {move for move, each in zip(of_page, page, strict=True) if _is_money(each)}
        moves = self._moves(set(of_page) - money)
        others = self._others(id_ for id_, move in moves.items() if not move["document"])
        undoes = self._money({move["reverses"] for move in moves.values() if not move["document"]} - {0})
        deducted = self._deductions(money)
        for move, each in zip(of_page, page, strict=True):
            what, currency = f"Odoo line {each['id']}", _name(each["currency_id"])
            if not (whole := amount(each["amount_currency"], currency, what)):
                continue
            of, customer = moves.get(move, {}), self._debtor(each["partner_id"])
            if of.get("document"):
                kind = of["document"] if customer else "nobody"
                yield {
                    "id": each["id"],
                    "kind": kind,
                    "by_line": False,
                    "document": str(move),
                    "move": move,
                    "currency": currency,
                    "deducted": None,
                }
                continue
            left = abs(amount(each["amount_residual_currency"], currency, what))
            if not customer:
                kind = "nobody"
            elif move in money:
                kind = "payment" if whole < 0 else "refund"
            elif of.get("reverses") in undoes and not left:
                kind = "reversal"
            else:
                kind = _kind(whole, others.get(move, []))
            yield {
                "id": each["id"],
                "kind": kind,
                "by_line": True,
                "document": f"aml:{each['id']}",
                "move": move,
                "number": _name(each["move_id"]),
                "customer": str(customer),
                "company": str(_id(each["company_id"])),
                "on": each["date"],
                "due": each["date_maturity"] or each["date"],
                "currency": currency,
                "amount": f"{abs(whole)}",
                "left": f"{left}",
                "reference": each["ref"] or each["name"] or None,
                "method": _name(each["journal_id"]),
                "gone": each["parent_state"] != "posted",
                "stamp": each["write_date"],
                "deducted": deducted.get(each["id"]),
            }

    def _moves(self, ids: Iterable[int]) -> Mapping[int, Record]:
        """What moves are, asked for by id where they did not come yet."""
        wanted = set(ids)
        known = {int(id_): told for id_, told in self._spool.some("moves", map(str, wanted)).items()}
        for page in self._by(MOVE, _MOVE, "id", wanted - known.keys()):
            slim = [_slim(move) for move in page]
            self._spool.put("moves", slim)
            known |= {int(id_): told for id_, told in slim}
        return known

    def _others(self, entries: Iterable[int]) -> Mapping[int, list[str]]:
        """What the other accounts of entries are for."""
        found: dict[int, list[str]] = defaultdict(list)
        for page in self._by(LINE, ("move_id", "account_id"), "move_id", entries):
            for each in page:
                found[_id(each["move_id"])].append(self._accounts.get(_id(each["account_id"]), ""))
        return found

    def _money(self, moves: Iterable[int]) -> set[int]:
        """Those of moves that money was booked with."""
        names = ("move_id", "payment_id", "statement_line_id")
        found = (each for page in self._by(LINE, names, "move_id", moves, *self._receivable) for each in page)
        return {_id(each["move_id"]) for each in found if _is_money(each)}

    def _deductions(self, money: Iterable[int]) -> Mapping[int, Mapping[str, str]]:
        """What of money was none, but a discount or a write-off with the tax of it: of the first of a move's receivable lines first."""
        granted = [id_ for id_, kind in self._accounts.items() if kind in ("discount", "expense", "income")]
        more = [["debit", ">", 0], "|", ["account_id", "in", granted], ["tax_line_id", "!=", False]]
        names = ("move_id", "account_id", "amount_currency", "currency_id", "display_type")
        parts: dict[int, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for page in self._by(LINE, names, "move_id", money, *more):
            for each in page:
                granting = self._accounts.get(_id(each["account_id"])) == "discount" or each["display_type"] == "epd"
                put = amount(each["amount_currency"], _name(each["currency_id"]), f"Odoo line {each['id']}")
                parts[_id(each["move_id"])]["discount" if granting else "write_off"] += put
        for of in parts.values():
            if "discount" in of:  # the tax of a discount is booked to an account of its own
                of["discount"] += of.pop("write_off", ZERO)
        found: dict[int, Mapping[str, str]] = {}
        for page in self._by(LINE, ("move_id", "amount_currency", "currency_id"), "move_id", parts, *self._receivable):
            for each in page:
                put = -amount(each["amount_currency"], _name(each["currency_id"]), f"Odoo line {each['id']}")
                if taken := _taken(parts[_id(each["move_id"])], put):
                    found[each["id"]] = {kind: f"{piece}" for kind, piece in taken.items()}
        return found

    @cached_property
    def _reversals(self) -> Mapping[int, date]:
        """When money was taken back by an entry that reverses its own, by the move it was received with."""
        domain = [*self._receivable, self._mine, ["move_id.reversed_entry_id", "!=", False], ["move_id.move_type", "=", "entry"]]
        domain += [["parent_state", "=", "posted"], ["reconciled", "=", True]]
        lines = list(self._each(LINE, ("move_id", "date"), domain))
        moves = self._moves({_id(each["move_id"]) for each in lines})
        return {of["reverses"]: date.fromisoformat(each["date"]) for each in lines if (of := moves.get(_id(each["move_id"])))}

    def _undone(self, line: Record) -> date | None:
        return self._day(line["company"], line["stamp"]) if line["gone"] else self._reversals.get(line["move"])

    # --- money -------------------------------------------------------------------------------------------------------

    def _payments(self, since: datetime | None, left_out: Counter[str]) -> Iterator[Record]:
        for line in self._lines(since, "payments"):
            received = Decimal(line["amount"]) - sum(map(Decimal, (line["deducted"] or {}).values()), ZERO)
            if received <= 0:
                continue
            yield {
                "payment_id": line["document"],
                "customer_id": line["customer"],
                "payment_date": line["on"],
                "currency": line["currency"],
                "amount": received,
                "company_id": line["company"],
                "method": line["method"],
                "reference": line["reference"],
                "reversed_on": self._undone(line),
                "updated_at": _utc(line["stamp"]),
            }
        unbooked = [["move_id", "=", False], ["state", "in", ["in_process", "paid"]], ["partner_type", "=", "customer"]]
        if "move_id" in self._fields("account.payment"):
            left_out["payments that are not in the ledger yet"] = self._count("account.payment", [*unbooked, self._mine])

    def _refunds(self) -> Iterator[Record]:
        """Money paid out, by what it was put against; what was not is of no source. They are few: all of them, every night."""
        domain = [*self._receivable, self._mine, *ONCE_POSTED_LINE, ["debit", ">", 0]]
        given: dict[int, list[Record]] = defaultdict(list)
        lines: dict[int, Record] = {}
        booked = ["|", "|", ["payment_id", "!=", False], ["statement_line_id", "!=", False], ["move_id.move_type", "=", "entry"]]
        for page in self._list(LINE, _LINE, [*domain, *booked]):
            lines |= {line["id"]: line for line in self._told(page) if line["kind"] == "refund"}
        backs: dict[int, Record] = {}
        for page in self._by(PARTIAL, _PARTIAL, "debit_move_id", lines):
            backs |= self._known(_id(each["credit_move_id"]) for each in page)
            for each in page:
                given[_id(each["debit_move_id"])].append(each)
        for id_, line in sorted(lines.items()):
            common = {
                "customer_id": line["customer"],
                "refunded_on": line["on"],
                "currency": line["currency"],
                "company_id": line["company"],
                "method": line["method"],
                "reversed_on": self._undone(line),
                "updated_at": _utc(line["stamp"]),
            }
            left = Decimal(line["amount"])
            for each in given[id_]:
                back = backs.get(_id(each["credit_move_id"]))
                put = amount(each["debit_amount_currency"], line["currency"], f"Odoo reconciliation {each['id']}")
                if back and put and back["kind"] in ("payment", "credit_memo"):
                    left -= put
                    source = {"source_type": back["kind"], "source_id": back["document"]}
                    yield {**common, "refund_id": f"{line['document']}:{each['id']}", "amount": put, **source}
            if left:
                yield {**common, "refund_id": line["document"], "amount": left}

    def _allocations(self, since: datetime | None, parents: set[tuple[str, ...]]) -> Iterator[Record]:
        """What was put against documents that raise a debt, and whose applications those are that come whole."""
        self._parts()
        self._lines(since)  # walks them
        if since is None:
            for page in self._list(PARTIAL, _PARTIAL, [self._mine]):
                yield from self._put(page)
            return
        owed = self._touched()
        parents |= {(line["document"],) for line in owed}
        for page in self._by(PARTIAL, _PARTIAL, "debit_move_id", (line["id"] for line in owed)):
            yield from self._put(page)

    def _touched(self) -> list[Record]:
        """The lines of all documents that a changed line is of or was put against."""
        changed = list(self._lines(self._walked["lines"], *GROUPS))
        against: set[int] = set()
        for page in self._by(PARTIAL, _PARTIAL, "credit_move_id", (line["id"] for line in changed if line["kind"] not in OWED)):
            against |= {_id(each["debit_move_id"]) for each in page}
        owed = {line["id"]: line for line in (*changed, *self._known(against).values()) if line["kind"] in OWED}
        moves = {line["move"] for line in owed.values() if not line["by_line"]}
        for page in self._by(LINE, ("move_id",), "move_id", moves, *self._receivable):
            owed |= self._known(each["id"] for each in page)
        return list(owed.values())

    def _parts(self) -> None:
        for _ in self._instalments() if "instalments" not in self._walked else ():
            pass

    def _put(self, page: Sequence[Record]) -> Iterator[Record]:
        lines = self._known(_id(each[side]) for each in page for side in ("debit_move_id", "credit_move_id"))
        paired = [(each, lines.get(_id(each["debit_move_id"])), lines.get(_id(each["credit_move_id"]))) for each in page]
        split = self._split({back["id"]: back for _, _, back in paired if back and back["deducted"]})
        parts = self._spool.some("parts", (str(owed["id"]) for _, owed, _ in paired if owed))
        for each, owed, back in paired:
            if not owed or not back or owed["kind"] not in OWED or back["kind"] == "reversal":
                continue
            what, foreign = f"Odoo reconciliation {each['id']}", back["currency"] != owed["currency"]
            put = whole = amount(each["debit_amount_currency"], owed["currency"], what)
            if not put:
                continue  # an exchange difference, which the company's currency alone knows
            paid = given = amount(each["credit_amount_currency"], back["currency"], what) if foreign else whole
            common = {
                "invoice_id": owed["document"],
                "allocated_on": each["max_date"],
                "instalment_number": parts.get(str(owed["id"]), {}).get("part"),
                "updated_at": _utc(each["write_date"]),
            }
            for kind, piece in split.get(each["id"], {}).items():
                part = amount(piece * whole / paid, owed["currency"], what) if foreign else piece
                yield {**common, "allocation_id": f"{each['id']}:{kind}", "source_type": kind, "amount": part}
                put, given = put - part, given - piece
            if not put:
                continue
            kind = back["kind"]
            sourced = kind in ("payment", "credit_memo")
            yield {
                **common,
                "allocation_id": str(each["id"]),
                "source_type": kind if sourced or kind in SETTLES else "adjustment",
                "source_id": back["document"] if sourced else None,
                "amount": put,
                "source_amount": given if sourced and foreign else None,
            }

    def _split(self, backs: Mapping[int, Record]) -> Mapping[int, dict[str, Decimal]]:
        """What of each application was deducted from the money, by application: of the first of them first."""
        split: dict[int, dict[str, Decimal]] = {}
        left = {id_: {kind: Decimal(put) for kind, put in line["deducted"].items()} for id_, line in backs.items()}
        for page in self._by(PARTIAL, _PARTIAL, "credit_move_id", backs):
            for each in page:
                of, currency = left[_id(each["credit_move_id"])], backs[_id(each["credit_move_id"])]["currency"]
                put = amount(each["credit_amount_currency"], currency, f"Odoo reconciliation {each['id']}")
                for kind in of:
                    if piece := min(put, of[kind]):
                        split.setdefault(each["id"], {})[kind] = piece
                        of[kind] -= piece
                        put -= piece
        return split

    # --- rates and sums ----------------------------------------------------------------------------------------------

    def _exchange_rates(self) -> Iterator[Record]:
        """Of every active currency against each company's own; Odoo keeps how many of it one of the company's are."""
        bases = {id_: _name(self.found[id_]["currency_id"]) for id_ in self.companies}
        quoted: dict[int, list[tuple[str, str, Decimal]]] = defaultdict(list)
        domain = [["currency_id.active", "=", True]]
        for each in self._each("res.currency.rate", ("name", "currency_id", "rate", "company_id"), domain):
            rate = number(each["rate"], f"Odoo rate {each['id']}")
            if rate > 0:
                quoted[_id(each["company_id"])].append((str(each["name"])[:10], str(_name(each["currency_id"])), rate))
        told: dict[tuple[str, str, str], Decimal] = {}
        for company, base in bases.items():
            rows = sorted([*quoted[0], *quoted[company]])
            own = [(day, rate) for day, currency, rate in rows if currency == base]
            for day, currency, rate in rows:
                if currency != base:
                    of_base = next((rate for on, rate in reversed(own) if on <= day), Decimal(1))
                    value = EXACT.quantize(EXACT.divide(of_base, rate), RATE_DIGITS)
                    told.setdefault((day, currency, str(base)), value)
        for (day, currency, base_currency), value in sorted(told.items()):
            yield {"rate_date": day, "currency": currency, "base_currency": base_currency, "rate": value}

    def aged(self, day: date) -> Iterator[Aged]:
        """What lines on receivable accounts have left, by customer, in each company's currency. It is what is left now: Odoo keeps no
        other outside of its own reports."""
        del day
        owed: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
        domain = [*self._receivable, self._mine, ["parent_state", "=", "posted"]]
        for each in self._sums(domain, ["company_id", "partner_id"], "amount_residual"):
            if debtor := self._debtor(each["partner_id"]):
                owed[_id(each["company_id"]), debtor] += number(each["amount_residual"], f"Odoo balance of {debtor}")
        for (company, debtor), balance in sorted(owed.items()):
            currency = str(_name(self.found[company]["currency_id"]))
            yield Aged(str(debtor), currency, amount(balance, currency, f"Odoo balance of {debtor}"))


_ROLE: Final = "Give the user of ARREARS_ODOO_KEY the access right Accounting / Read-only"


class _ById:
    """Pages go on behind the last id of the page before and end with the first that is not full."""

    def __init__(self, size: int):
        self.size = size

    def following(self, asked: Question, answer: Any) -> Question | None:
        return asked.with_(after=answer[-1]["id"]) if len(answer) >= self.size else None


def _id(value: Any) -> int:
    """The id of a record that another one names; 0 where it names none."""
    return int(value[0]) if value else 0


def _name(value: Any) -> str | None:
    return str(value[1]) if value else None


def _is_money(line: Record) -> bool:
    return bool(line["payment_id"] or line["statement_line_id"])


def _kind(whole: Decimal, others: Sequence[str]) -> str:
    """What a receivable line of an entry is, that is no payment's and no statement's, by what the entry's other accounts are for."""
    if whole > 0:
        return "refund" if "cash" in others else "debit_memo"
    told = (("cash", "payment"), ("discount", "discount"), ("exchange", "adjustment"), ("expense", "write_off"))
    return next((kind for account, kind in told if account in others), "credit_memo")


def _document(move: Record) -> str | None:
    """What a move is that sells; a negative total turns it round."""
    if move["move_type"] not in SALES:
        return None
    negative = str(move["amount_total"]).startswith("-")
    return "credit_memo" if (move["move_type"] == "out_refund") != negative else "invoice"


def _slim(move: Record) -> tuple[str, Record]:
    """What of a move its lines need to know."""
    return str(move["id"]), {"document": _document(move), "reverses": _id(move["reversed_entry_id"])}


def _taken(parts: dict[str, Decimal], whole: Decimal) -> dict[str, Decimal]:
    """What of deductions falls to a line of money, at most all of it; the rest is left in `parts` for the next."""
    taken = {}
    for name in parts:
        if (put := min(parts[name], whole)) > 0:
            taken[name] = put
            parts[name] -= put
            whole -= put
    return taken


def _days(line: Record) -> tuple[int, bool] | None:
    """Days, and whether from the end of the month, of a term of one line; None where it says something else. Each version its own way."""
    if "delay_type" in line:
        found = {"days_after": False, "days_after_end_of_month": True}.get(str(line["delay_type"]))
        return None if found is None else (int(line["nb_days"]), found)
    if "option" in line:
        found = {"day_after_invoice_date": False, "after_invoice_month": True}.get(str(line["option"]))
        return None if found is None else (int(line["days"]), found)
    return None if line.get("months") or line.get("end_month") else (int(line["days"]), False)


def _utc(text: str) -> str:
    """A stamp as the contract writes it: Odoo's are naive and in UTC."""
    return f"{text.replace(' ', 'T')}Z"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _earlier(one: datetime | None, other: datetime | None) -> bool:
    return other is not None and (one is None or one < other)


def _reading(refused: Refused) -> Exception | None:
    """What JSON-2 means by a refusal: no right to a model, or a model or method that is not there."""
    answer = refused.json
    if not isinstance(answer, dict) or "message" not in answer:
        return None
    words = shown(str(answer["message"]))
    if str(answer.get("name", "")).endswith("AccessError"):
        return SourceError(f"{refused.told}: {words}. {_ROLE}")
    return SourceError(f"{refused.told}: {words}") if refused.status == 404 else None


def _rights(source: OdooSource) -> Iterable[Right]:
    models = (
        "res.company",
        PARTNER,
        MOVE,
        LINE,
        PARTIAL,
        "account.payment",
        ACCOUNT,
        "account.payment.term",
        "res.currency.rate",
    )
    for model in models:
        question: tuple[tuple[str, Any], ...] = (("domain", []), ("fields", ["id"]), ("offset", 0), ("limit", 1))
        yield Right.tried(model, partial(source._call, model, "search_read", *question))


CONNECTOR = Connector(
    name="odoo",
    settings=OdooSettings,
    opened=OdooSource,
    words=lambda own: f"{without_password(own.url)}, {own.company or 'every company'}",
    needs="ARREARS_ODOO_URL and ARREARS_ODOO_KEY, and before Odoo 19 ARREARS_ODOO_DATABASE and ARREARS_ODOO_USER",
    gives=frozenset({"ledger", "rates"}),
    companies=lambda source: [Company(str(id_), each["name"]) for id_, each in source.found.items()],
    rights=_rights,
    aged=OdooSource.aged,
    sweep=timedelta(days=7),
)
