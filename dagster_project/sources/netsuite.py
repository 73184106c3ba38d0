"""NetSuite's receivables (OneWorld) over SuiteQL: all subsidiaries of an account that a role sees, or one.

Belongs here: its tables, how it writes values, and what of them is which dataset. Does not belong here: asking (`http.py`), tokens
(`auth.py`), what a record must be (`landing/judge.py`).

    subsidiary                           companies
    customer, term                       customers, payment_terms
    transaction, its main line           invoices (CustInvc; CustCred is a credit memo), payments (CustPymt, CustDep), refunds (CustRfnd)
    lines of journals on receivables     memos, money, write-offs and discounts, by the journal's other accounts
    nexttransactionlinelink              allocations, refunds
    transaction.exchangerate             exchange_rates

Transactions are asked for by their stamp, and with them those of customers that changed. Links keep no stamp of having been undone: all
of them are read every night, and all journals on receivable accounts. What is voided says 0 from then on; what it was worth is
remembered under `ARREARS_HOME`. What was deleted is found by a weekly reading of everything.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import field_validator

from dagster_project.contract import Dataset
from dagster_project.sources import (
    Aged,
    Company,
    Connector,
    ConnectorSettings,
    Delivery,
    Opening,
    Parents,
    Right,
    SourceError,
)
from dagster_project.sources.answers import LIMITS, Limits, PassingError, without_password
from dagster_project.sources.auth import SignedAssertion, token_endpoint
from dagster_project.sources.http import Http, Refused
from dagster_project.sources.paging import Question, walked
from dagster_project.sources.records import RATE_DIGITS, ZERO, Record, Spool, amount, number, pages
from dagster_project.words import shown

ADDRESS: Final = "https://{account}.suitetalk.api.netsuite.com"
TOKENS: Final = "/services/rest/auth/oauth2/v1/token"
QUERIES: Final = "/services/rest/query/v1/suiteql"
PAGE_ROWS: Final = 1_000
OVERLAP: Final = timedelta(hours=2)
"""Stamps are where the role's user is: an hour of them comes twice when clocks are put back."""
TRIES: Final = 3
"""How often a page is asked for that does not go on where the one before ended."""

DAY: Final = "'YYYY-MM-DD'"
STAMP: Final = "'YYYY-MM-DD HH24:MI:SS'"
JOURNAL: Final = "Journal"
KINDS: Final[Mapping[str, str]] = {
    "CustInvc": "invoice",
    "CustCred": "credit_memo",
    "CustPymt": "payment",
    "CustDep": "payment",
    "CustRfnd": "refund",
}
SETTLES: Final = ("write_off", "discount")
"""What a journal's line may be that is no document and no money."""

_SUBSIDIARIES: Final = (
    "SELECT s.id, s.name, c.symbol AS currency, s.country FROM subsidiary s JOIN currency c ON c.id = s.currency "
    "WHERE s.iselimination = 'F'"
)
_CUSTOMERS: Final = (
    "SELECT c.id, c.entityid, c.companyname, c.parent, m.symbol AS currency, BUILTIN.DF(c.terms) AS terms, c.creditlimit, c.oncredithold, "
    "c.creditholdoverride, c.email, c.phone, BUILTIN.DF(c.salesrep) AS salesrep, c.isinactive, "
    f"TO_CHAR(c.lastmodifieddate, {STAMP}) AS changed FROM customer c LEFT JOIN currency m ON m.id = c.currency WHERE 1 = 1"
)
_TERMS: Final = (
    "SELECT t.id, t.name, t.daysuntilnetdue, t.discountpercent, t.daysuntilexpiry FROM term t WHERE t.datedriven = 'F'"
)
_DOCUMENTS: Final = (
    f"SELECT t.id, t.type, t.tranid, TO_CHAR(t.trandate, {DAY}) AS trandate, TO_CHAR(t.duedate, {DAY}) AS duedate, t.entity, "
    "m.symbol AS currency, t.exchangerate, t.foreigntotal, tl.foreignamountunpaid, tl.foreignpaymentamountunused, t.otherrefnum, "
    "BUILTIN.DF(t.terms) AS terms, t.voided, BUILTIN.DF(t.employee) AS employee, tl.subsidiary, "
    f"TO_CHAR(t.lastmodifieddate, {STAMP}) AS changed FROM transaction t JOIN transactionline tl ON tl.transaction = t.id "
    "AND tl.mainline = 'T' JOIN currency m ON m.id = t.currency WHERE t.posting = 'T' "
    "AND t.type IN ({types}) AND {mine}"
)
_JOURNALS: Final = (
    f"SELECT t.id, tl.id AS line, t.tranid, TO_CHAR(t.trandate, {DAY}) AS trandate, tl.entity, m.symbol AS currency, tl.foreignamount, "
    f"t.voided, tl.subsidiary, TO_CHAR(t.lastmodifieddate, {STAMP}) AS changed FROM transaction t "
    "JOIN transactionline tl ON tl.transaction = t.id JOIN transactionaccountingline tal ON tal.transaction = t.id "
    "AND tal.transactionline = tl.id AND tal.accountingbook = 1 JOIN account a ON a.id = tal.account "
    "JOIN currency m ON m.id = t.currency WHERE t.type = 'Journal' AND t.posting = 'T' AND a.accttype = 'AcctRec'"
)
_OTHERS: Final = (
    "SELECT DISTINCT tal.transaction AS id, tal.transactionline AS line, a.acctnumber, a.accttype FROM transactionaccountingline tal "
    "JOIN account a ON a.id = tal.account JOIN transaction t ON t.id = tal.transaction WHERE t.type = 'Journal' AND t.posting = 'T' "
    "AND tal.accountingbook = 1 AND a.accttype <> 'AcctRec' AND tal.transaction IN (SELECT x.transaction FROM transactionaccountingline x "
    "JOIN account y ON y.id = x.account WHERE y.accttype = 'AcctRec')"
)
_LINKS: Final = (
    "SELECT DISTINCT l.previousdoc, l.previousline, l.previoustype, l.nextdoc, l.nextline, l.nexttype, l.foreignamount, "
    f"TO_CHAR(p.trandate, {DAY}) AS previousdate, TO_CHAR(n.trandate, {DAY}) AS nextdate, p.voided AS previousvoid, "
    "n.voided AS nextvoid, m.symbol AS currency, n.foreigntotal AS nexttotal, "
    f"TO_CHAR(l.lastmodifieddate, {STAMP}) AS changed FROM nexttransactionlinelink l JOIN transaction p ON p.id = l.previousdoc "
    "JOIN transaction n ON n.id = l.nextdoc JOIN currency m ON m.id = p.currency "
    "WHERE l.linktype = '{kind}' AND l.foreignamount > 0 AND p.posting = 'T' AND n.posting = 'T' "
    "AND EXISTS (SELECT 1 FROM transactionline tl WHERE tl.transaction = p.id AND {mine})"
)
_LINK_KEYS: Final[Mapping[str, str]] = {
    name: f"l.{name}" for name in ("nextdoc", "previousdoc", "previousline", "nextline")
}  # what a link is known by, in the order they are read in
_BALANCES: Final = (
    "SELECT b.entity, b.subsidiary, b.balance FROM (SELECT COALESCE(tl.entity, t.entity) AS entity, tl.subsidiary, "
    "SUM(tal.amount) AS balance FROM transactionaccountingline tal "
    "JOIN transactionline tl ON tl.transaction = tal.transaction AND tl.id = tal.transactionline "
    "JOIN transaction t ON t.id = tal.transaction JOIN account a ON a.id = tal.account WHERE a.accttype = 'AcctRec' "
    f"AND tal.accountingbook = 1 AND t.posting = 'T' AND t.trandate < TO_DATE('{{day}}', {DAY}) AND {{mine}} "
    "GROUP BY COALESCE(tl.entity, t.entity), tl.subsidiary) b WHERE b.entity IS NOT NULL"
)


class NetSuiteSettings(ConnectorSettings, env_prefix="ARREARS_NETSUITE_"):
    """The account, an integration's client id, its certificate's id and our private key; the time zone of the role's user; which subsidiary
    where not all; the accounts, by number, that journals write off to or grant discounts by."""

    account: str
    client_id: str
    certificate_id: str
    key_file: Path
    timezone: str = "UTC"
    subsidiary: str = ""
    write_off_accounts: str = ""
    discount_accounts: str = ""
    url: str = ""

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a time zone, such as Europe/Berlin") from None


class NetSuiteSource:
    """The subsidiaries of an account."""

    def __init__(
        self, own: NetSuiteSettings, opening: Opening, *, wait: float = 1.0, limits: Limits = LIMITS, size: int = PAGE_ROWS
    ):
        self.own = own
        account = own.account.strip().lower().replace("_", "-")
        self.url = (own.url or ADDRESS.format(account=account)).rstrip("/")
        self.http = Http(
            self.url,
            SignedAssertion(
                f"{self.url}{TOKENS}",
                own.client_id,
                own.certificate_id,
                own.key_file,
                exchange=token_endpoint,
                scope=["rest_webservices"],
            ),
            setting="ARREARS_NETSUITE_URL",
            credentials="ARREARS_NETSUITE_CLIENT_ID and ARREARS_NETSUITE_CERTIFICATE_ID (its mapping ends with the certificate, and "
            "where a sandbox is refreshed)",
            limits=limits,
            wait=wait,
            reading=_reading,
        )
        opening.stack.callback(self.http.close)
        self.size = size
        self.zone = ZoneInfo(own.timezone)
        self._memory = Spool(opening.home / "memory" / f"netsuite-{account}.sqlite")
        opening.stack.callback(self._memory.close)
        self._rates: dict[tuple[str, str, str], tuple[str, str, Any]] = {}
        self._kinds = {
            **dict.fromkeys(_listed(own.write_off_accounts), "write_off"),
            **dict.fromkeys(_listed(own.discount_accounts), "discount"),
        }

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        left_out: Counter[str] = Counter()
        asked = since and datetime.combine((since - OVERLAP).date(), time.min, UTC)
        whole: Mapping[str, Callable[[], Iterator[Record]]] = {
            "companies": self._companies,
            "customers": self._customers,
            "payment_terms": self._payment_terms,
            "refunds": self._refunds,
            "allocations": self._allocations,
        }
        changed: Mapping[str, Callable[[], Iterator[Record]]] = {
            "payments": lambda: self._payments(asked),
            "exchange_rates": self._exchange_rates,
        }
        found: set[tuple[str, ...]] = set()
        if dataset.name == "invoices":
            records, full = self._invoices(asked, left_out, found), asked is None
        elif dataset.name in whole:
            records, full = whole[dataset.name](), True
        elif dataset.name in changed:
            records, full = changed[dataset.name](), asked is None and dataset.name != "exchange_rates"
        else:
            return None
        return Delivery(
            pages=pages(dataset, records),
            full=full,
            origin=without_password(self.url),
            parents=Parents(("invoice_id",), found) if dataset.name == "invoices" and asked else None,
            left_out=left_out,
        )

    # --- asking ------------------------------------------------------------------------------------------------------

    def query(self, text: str, **keys: str) -> Iterator[Record]:
        """The rows of a query, in the order of `keys` (their columns, by the name they come as), so that none is missed or met twice
        and none lies beyond the 100,000th: each page is asked for by what the one before ended with."""
        for page in self._pages(text, **keys):
            yield from page

    def _pages(self, text: str, **keys: str) -> Iterator[Sequence[Record]]:
        first = Question(f"{self.url}{QUERIES}", {"q": text, "keys": json.dumps(keys), "after": "[]"})
        return walked(first, self._page, _Behind(self.size), text[:60], self.http.limits)

    def _page(self, question: Question) -> list[Record]:
        keys, after = json.loads(question.parameters["keys"]), json.loads(question.parameters["after"])
        text = question.parameters["q"]
        if after:
            columns = list(keys.values())
            behind = [
                " AND ".join([*(f"{column} = {value}" for column, value in zip(columns[:place], after, strict=False)),
                              f"{columns[place]} > {after[place]}"])
                for place in range(len(columns))
            ]  # fmt: skip
            text += f" AND ({' OR '.join(f'({each})' for each in behind)})"
        if keys:
            text += f" ORDER BY {', '.join(keys.values())}"
        for _ in range(TRIES):
            found = self.asked(text)
            marks = [[int(row[name]) for name in keys] for row in found]
            if all(one < other for one, other in zip([after, *marks], marks, strict=False)) or not keys:
                return found
        raise SourceError(
            f"{without_password(self.url)}: what comes is not the page behind {after} that was asked for: {shown(text, 80)}"
        )

    def asked(self, text: str, rows: int | None = None) -> list[Record]:
        """One page of a query: at most `rows`."""
        address, limit = f"{self.url}{QUERIES}", {"limit": str(rows or self.size)}
        answer = self.http.json(address, limit, headers={"Prefer": "transient"}, body={"q": text}, number=str, whole=str)
        if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
            raise SourceError(f"{without_password(self.url)}: no rows came back: is ARREARS_NETSUITE_ACCOUNT right?")
        return list(answer["items"])

    def _utc(self, text: str) -> datetime | str:
        """A stamp, which comes naive where the role's user is."""
        if self.zone.key == "UTC":
            return f"{text.replace(' ', 'T')}Z"
        return datetime.fromisoformat(text).replace(tzinfo=self.zone).astimezone(UTC)

    # --- companies and customers -------------------------------------------------------------------------------------

    @cached_property
    def found(self) -> Mapping[str, Record]:
        """The subsidiaries that the role sees, by id."""
        return {each["id"]: each for each in self.query(_SUBSIDIARIES, id="s.id")}

    @cached_property
    def subsidiaries(self) -> Sequence[str]:
        wanted = self.own.subsidiary.strip()
        chosen = [id_ for id_, each in self.found.items() if wanted in ("", id_, each["name"])]
        if not chosen:
            told = ", ".join(f"{id_} {each['name']}" for id_, each in self.found.items()) or "none"
            raise SourceError(f"ARREARS_NETSUITE_SUBSIDIARY: {wanted!r} is not a subsidiary that the role sees: {told}")
        return chosen

    @property
    def _mine(self) -> str:
        return f"tl.subsidiary IN ({', '.join(self.subsidiaries)})"

    def _companies(self) -> Iterator[Record]:
        for id_ in self.subsidiaries:
            each = self.found[id_]
            yield {"company_id": id_, "name": each["name"], "currency": each["currency"], "country": each.get("country")}

    def _customers(self) -> Iterator[Record]:
        for each in self.query(_CUSTOMERS, id="c.id"):
            override = each.get("creditholdoverride", "AUTO")
            held = override == "ON" or (override == "AUTO" and each.get("oncredithold") == "T")
            limit = number(each.get("creditlimit"), f"NetSuite customer {each['id']}")
            yield {
                "customer_id": each["id"],
                "name": each.get("companyname") or each.get("entityid") or each["id"],
                "parent_customer_id": each.get("parent"),
                "currency": each.get("currency"),
                "credit_limit": limit or None,
                "payment_terms": each.get("terms"),
                "email": each.get("email"),
                "phone": each.get("phone"),
                "sales_rep": each.get("salesrep"),
                "status": "closed" if each.get("isinactive") == "T" else "on_hold" if held else "active",
                "updated_at": self._utc(each["changed"]),
            }

    def _payment_terms(self) -> Iterator[Record]:
        """Terms of a number of days; date-driven ones stand in the invoices' due dates."""
        told: set[str] = set()
        for each in self.query(_TERMS, id="t.id"):
            if each["name"] not in told and each.get("daysuntilnetdue"):
                told.add(each["name"])
                discount = number(str(each.get("discountpercent") or "0").rstrip("%"), f"NetSuite terms {each['id']}")
                yield {
                    "payment_terms": each["name"],
                    "net_days": each["daysuntilnetdue"],
                    "discount_pct": discount or None,
                    "discount_days": each.get("daysuntilexpiry") if discount else None,
                }

    # --- documents ---------------------------------------------------------------------------------------------------

    def _documents(self, since: datetime | None, *kinds: str) -> Iterator[Record]:
        """Transactions that are of those kinds, changed since a time or of customers that did. What they are worth is kept: void, they say
        it no more."""
        types = (name for name, kind in KINDS.items() if kind in kinds)
        text = _DOCUMENTS.format(types=_quoted(types), mine=self._mine)
        if since:
            moment = f"TO_DATE('{since.astimezone(self.zone):%Y-%m-%d %H:%M:%S}', {STAMP})"
            changed = f"SELECT c.id FROM customer c WHERE c.lastmodifieddate >= {moment}"
            text += f" AND (t.lastmodifieddate >= {moment} OR t.entity IN ({changed}))"
        for page in self._pages(text, id="t.id"):
            standing = (each for each in page if each["voided"] != "T")
            self._memory.put("worth", ((f"{int(each['id']):012}", {"amount": each["foreigntotal"]}) for each in standing))
            yield from page

    def _worth(self, record: Record) -> Decimal:
        told = record.get("foreigntotal")
        if record["voided"] == "T" and not number(told, "NetSuite amount"):
            told = (self._memory.get("worth", f"{int(record['id']):012}") or {}).get("amount")
        return abs(amount(told, record["currency"], f"NetSuite transaction {record['id']}"))

    def _gone(self, record: Record) -> date | None:
        """The day of the last change, where the role's user is: NetSuite keeps no other of a void."""
        return date.fromisoformat(record["changed"][:10]) if record["voided"] == "T" else None

    def _invoices(self, since: datetime | None, left_out: Counter[str], nothing_left: set[tuple[str, ...]]) -> Iterator[Record]:
        for each in self._documents(since, "invoice", "credit_memo"):
            self._quote(each)
            kind = KINDS[each["type"]]
            gone, what = self._gone(each), f"NetSuite transaction {each['id']}"
            left = each.get("foreignamountunpaid" if kind == "invoice" else "foreignpaymentamountunused")
            yield {
                "invoice_id": each["id"],
                "invoice_number": each.get("tranid") or each["id"],
                "customer_id": each["entity"],
                "company_id": each["subsidiary"],
                "document_type": kind,
                "invoice_date": each["trandate"],
                "due_date": each.get("duedate") if kind == "invoice" else None,
                "currency": each["currency"],
                "amount": self._worth(each),
                "payment_terms": each.get("terms"),
                "po_number": each.get("otherrefnum"),
                "sales_rep": each.get("employee"),
                "voided_on": gone,
                "open_amount_reported": ZERO if gone else abs(amount(left, each["currency"], what)),
                "updated_at": self._utc(each["changed"]),
            }
        for line in self._journals.values():
            if line["kind"] == "payment":
                continue
            left = line["amount"] - (self._applied[line["document"]] if line["kind"] in SETTLES else ZERO)
            if line["kind"] in SETTLES and left <= 0:
                nothing_left.add((line["document"],))
                continue
            yield {
                "invoice_id": line["document"],
                "invoice_number": line.get("tranid") or line["document"],
                "customer_id": line["entity"],
                "company_id": line["subsidiary"],
                "document_type": "debit_memo" if line["kind"] == "debit_memo" else "credit_memo",
                "invoice_date": line["trandate"],
                "due_date": line["trandate"] if line["kind"] == "debit_memo" else None,
                "currency": line["currency"],
                "amount": left,
                "voided_on": self._gone(line),
                "updated_at": self._utc(line["changed"]),
            }
        counted = "SELECT COUNT(*) AS n FROM transaction t WHERE t.type IN ({types}) AND t.posting IN ({posting})"
        unposted = counted.format(types=_quoted(KINDS), posting="'F'")
        bills = counted.format(types="'VendBill', 'VendCred'", posting="'T', 'F'")
        left_out["what is not posted"], left_out["documents of suppliers"] = (
            int(self.asked(text)[0]["n"]) for text in (unposted, bills)
        )

    @cached_property
    def _journals(self) -> Mapping[str, dict[str, Any]]:
        """Lines of journals on receivable accounts that name a customer, by `<journal>:<line>`, as what they are."""
        others: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for each in self.query(_OTHERS, id="tal.transaction", line="tal.transactionline"):
            others[each["id"]].append((each.get("acctnumber", ""), each["accttype"]))
        found: dict[str, dict[str, Any]] = {}
        for each in self.query(f"{_JOURNALS} AND {self._mine}", id="t.id", line="tl.id"):
            document = f"{each['id']}:{each['line']}"
            put = amount(each.get("foreignamount"), each["currency"], f"NetSuite journal {document}")
            if each.get("entity") and put:
                kind = "debit_memo" if put > 0 else self._kind(others[each["id"]])
                found[document] = {**each, "document": document, "kind": kind, "amount": abs(put)}
        return found

    def _kind(self, others: Sequence[tuple[str, str]]) -> str:
        """What a journal's line is that lowers what is owed."""
        told = next((self._kinds[account] for account, _ in others if account in self._kinds), "")
        return told or ("payment" if any(kind == "Bank" for _, kind in others) else "credit_memo")

    # --- money -------------------------------------------------------------------------------------------------------

    def _payments(self, since: datetime | None) -> Iterator[Record]:
        for each in self._documents(since, "payment"):
            yield {
                "payment_id": each["id"],
                "customer_id": each["entity"],
                "payment_date": each["trandate"],
                "currency": each["currency"],
                "amount": self._worth(each),
                "company_id": each["subsidiary"],
                "reference": each.get("otherrefnum") or each.get("tranid"),
                "reversed_on": self._gone(each),
                "updated_at": self._utc(each["changed"]),
            }
        for line in self._journals.values():
            if line["kind"] == "payment":
                yield {
                    "payment_id": line["document"],
                    "customer_id": line["entity"],
                    "payment_date": line["trandate"],
                    "currency": line["currency"],
                    "amount": line["amount"],
                    "company_id": line["subsidiary"],
                    "reference": line.get("tranid"),
                    "reversed_on": self._gone(line),
                    "updated_at": self._utc(line["changed"]),
                }

    def _links(self, kind: str = "Payment", of: str = "") -> Iterator[Record]:
        """What was put against what, once a pair of lines: of all transactions, or where one is of a type."""
        more = f" AND (l.previoustype = '{of}' OR l.nexttype = '{of}')" if of else ""
        return self.query(_LINKS.format(kind=kind, mine=self._mine) + more, **_LINK_KEYS)

    @cached_property
    def _deposits(self) -> Mapping[str, str]:
        """The deposit that each of its applications draws on."""
        return {each["nextdoc"]: each["previousdoc"] for each in self._links("DepAppl")}

    def _ends(self, link: Record) -> tuple[Record, Record]:
        """What is owed and what was put against it: by their types, for either may stand first."""
        one, other = (
            {name: link.get(f"{side}{name}", "") for name in ("doc", "line", "type", "date", "void")}
            for side in ("previous", "next")
        )
        turned = other["type"] == "CustInvc" or (one["type"] != "CustInvc" and self._owes(other) and not self._owes(one))
        return (other, one) if turned else (one, other)

    def _owes(self, end: Record) -> bool:
        if end["type"] == JOURNAL:
            return (self._journals.get(f"{end['doc']}:{end['line']}") or {}).get("kind") == "debit_memo"
        return bool(end["type"] == "CustInvc")

    def _document(self, end: Record) -> str:
        """What an end is called: a journal is several."""
        if end["type"] == JOURNAL:
            return f"{end['doc']}:{end['line']}"
        return str(self._deposits.get(end["doc"], end["doc"]) if end["type"] == "DepAppl" else end["doc"])

    def _source(self, end: Record) -> str:
        """What an end is that lowers a debt; nothing where it is none that we have."""
        if end["type"] == JOURNAL:
            return str((self._journals.get(self._document(end)) or {}).get("kind", ""))
        return "payment" if end["type"] == "DepAppl" else KINDS.get(str(end["type"]), "")

    @cached_property
    def _applied(self) -> Mapping[str, Decimal]:
        """What of each journal's line was put against others."""
        put: dict[str, Decimal] = defaultdict(Decimal)
        for link in self._links(of=JOURNAL):
            for end in self._ends(link):
                if end["type"] == JOURNAL:
                    put[self._document(end)] += _put(link)
        return put

    def _allocations(self) -> Iterator[Record]:
        """Links, on the later of both documents' days, since NetSuite keeps none of an application. What a payment put beyond its cash
        was a discount taken with it."""
        for _, of in groupby(self._links(), key=lambda link: link["nextdoc"]):
            cash: Decimal | None = None
            for link in of:
                owed, back = self._ends(link)
                kind = self._source(back)
                if (
                    not self._owes(owed)
                    or kind not in ("payment", "credit_memo", *SETTLES)
                    or "T" in (owed["void"], back["void"])
                ):
                    continue
                common = {
                    "invoice_id": self._document(owed),
                    "allocated_on": max(owed["date"], back["date"]),
                    "updated_at": self._utc(link["changed"]),
                }
                place, put = f"{owed['doc']}-{owed['line']}-{back['doc']}-{back['line']}", _put(link)
                if link["nexttype"] == "CustPymt":
                    total = abs(amount(link.get("nexttotal"), link["currency"], f"NetSuite payment {back['doc']}"))
                    cash = (total if cash is None else cash) - put
                    if (beyond := min(put, max(-cash, ZERO))) > 0:
                        yield {**common, "allocation_id": f"{place}:discount", "source_type": "discount", "amount": beyond}
                        cash, put = ZERO, put - beyond
                if put:
                    source = self._document(back) if kind not in SETTLES else None
                    yield {**common, "allocation_id": place, "source_type": kind, "source_id": source, "amount": put}

    def _refunds(self) -> Iterator[Record]:
        """Money paid out, by what it gives back; what gives nothing back by a link is of no source. All of it, every night."""
        given: dict[str, list[tuple[Record, Record]]] = defaultdict(list)
        for link in self._links(of="CustRfnd"):
            refund, given_back = ("next", "previous") if link["nexttype"] == "CustRfnd" else ("previous", "next")
            given[link[f"{refund}doc"]].append(({name: link[f"{given_back}{name}"] for name in ("doc", "line", "type")}, link))
        for each in self._documents(None, "refund"):
            common = {
                "customer_id": each["entity"],
                "refunded_on": each["trandate"],
                "currency": each["currency"],
                "company_id": each["subsidiary"],
                "reversed_on": self._gone(each),
                "updated_at": self._utc(each["changed"]),
            }
            left = self._worth(each)
            for back, link in given[each["id"]]:
                kind = self._source(back)
                if kind in ("payment", "credit_memo"):
                    left -= _put(link)
                    source = {"source_type": kind, "source_id": self._document(back)}
                    yield {**common, "refund_id": f"{each['id']}:{back['doc']}-{back['line']}", "amount": _put(link), **source}
            if left > 0:
                yield {**common, "refund_id": each["id"], "amount": left}

    def _quote(self, each: Record) -> None:
        """Keep a document's rate: of a day and pair that of the document changed last."""
        base = self.found[each["subsidiary"]]["currency"]
        if each["currency"] != base and each["voided"] != "T":
            key, told = (each["trandate"], each["currency"], base), (each["changed"], each["id"], each.get("exchangerate"))
            self._rates[key] = max(told, self._rates.get(key, told), key=lambda one: one[:2])

    def _exchange_rates(self) -> Iterator[Record]:
        """The rates of the invoices and credit memos that came tonight."""
        for (day, currency, base), (_, id_, told) in sorted(self._rates.items()):
            if (rate := number(told, f"NetSuite rate of {id_}")) > 0:
                yield {"rate_date": day, "currency": currency, "base_currency": base, "rate": rate.quantize(RATE_DIGITS)}

    def aged(self, day: date) -> Iterator[Aged]:
        """What the receivable accounts hold by customer, posted up to a day, in each subsidiary's currency at the documents' rates."""
        owed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        text = _BALANCES.format(day=day + timedelta(days=1), mine=self._mine)
        for each in self.query(text, entity="b.entity", subsidiary="b.subsidiary"):
            owed[each["entity"], self.found[each["subsidiary"]]["currency"]] += number(each.get("balance"), "NetSuite balance")
        for (customer, currency), balance in sorted(owed.items()):
            yield Aged(customer, currency, amount(balance, currency, f"NetSuite balance of {customer}"))


class _Behind:
    """Pages go on behind what the page before ended with, and end with the first that is not full."""

    def __init__(self, size: int):
        self.size = size

    def following(self, asked: Question, answer: Any) -> Question | None:
        if len(answer) < self.size or not (keys := json.loads(asked.parameters["keys"])):
            return None
        return asked.with_(after=json.dumps([int(answer[-1][name]) for name in keys]))


def _put(link: Record) -> Decimal:
    return amount(link["foreignamount"], link["currency"], f"NetSuite link of {link['previousdoc']} and {link['nextdoc']}")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _reading(refused: Refused) -> Exception | None:
    """What NetSuite means by a refusal: too many calls at once pass, whatever the status; a table that is not there is a right that is
    missing."""
    details = refused.json.get("o:errorDetails") if isinstance(refused.json, dict) else None
    if not isinstance(details, list) or refused.status == 401:
        return None
    if any(each.get("o:errorCode") == "CONCURRENCY_LIMIT_EXCEEDED" for each in details):
        return PassingError(refused.told)
    words = shown(" ".join(str(each.get("detail", "")) for each in details))
    if (
        refused.status == 403
        or "was not found" in words
        or "INSUFFICIENT_PERMISSION" in refused.content.decode("utf-8", "replace")
    ):
        return SourceError(
            f"{refused.told}: {words}. The role of the mapping lacks the permission to see this (docs/sources.md lists them)"
        )
    return SourceError(f"{refused.told}: {words}") if refused.status == 400 else None


def _rights(source: NetSuiteSource) -> Iterable[Right]:
    tables = ("subsidiary", "currency", "customer", "term", "transaction", "transactionline", "transactionaccountingline", "account",
              "nexttransactionlinelink")  # fmt: skip
    for table in tables:
        yield Right.tried(table, partial(source.asked, f"SELECT * FROM {table}", 1))


CONNECTOR = Connector(
    name="netsuite",
    settings=NetSuiteSettings,
    opened=NetSuiteSource,
    words=lambda own: f"account {own.account}, {own.subsidiary or 'every subsidiary'}",
    needs="ARREARS_NETSUITE_ACCOUNT, ARREARS_NETSUITE_CLIENT_ID, ARREARS_NETSUITE_CERTIFICATE_ID and ARREARS_NETSUITE_KEY_FILE",
    gives=frozenset({"ledger", "rates"}),
    companies=lambda source: [Company(id_, each["name"]) for id_, each in source.found.items()],
    rights=_rights,
    aged=NetSuiteSource.aged,
    sweep=timedelta(days=7),
)
