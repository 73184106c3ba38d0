"""NetSuite's SuiteQL, as public descriptions have it, holding the book in a database of its own that the queries are run on."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.sources.one_book import Book, by_key, total
from tests.sources.stand_in import ID, Reply, Request, StandIn, moment

CERTIFICATE = "cert-7f"
ZONE = ZoneInfo("Europe/Berlin")
SUBSIDIARIES = {"main": 2, "kent": 1}
CURRENCIES = {"EUR": 1, "GBP": 2, "USD": 3}
AR, INCOME, BANK, BAD = 10, 11, 12, 13
TABLES = {
    "subsidiary": "id name currency country iselimination",
    "currency": "id symbol",
    "customer": "id entityid companyname parent currency terms creditlimit oncredithold creditholdoverride email phone salesrep isinactive "
    "lastmodifieddate",
    "term": "id name daysuntilnetdue discountpercent daysuntilexpiry datedriven",
    "account": "id acctnumber accttype",
    "transaction_": "id type tranid trandate duedate entity currency exchangerate foreigntotal otherrefnum terms employee posting voided "
    "lastmodifieddate",
    "transactionline": "id transaction_ mainline entity subsidiary foreignamount foreignamountunpaid foreignpaymentamountunused",
    "transactionaccountingline": "transaction_ transactionline account amount accountingbook",
    "nexttransactionlinelink": "previousdoc previousline previoustype nextdoc nextline nexttype foreignamount linktype lastmodifieddate",
}


def local(stamp: str) -> str:
    """A stamp as it is kept: where the role's user is."""
    return moment(stamp).astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")


class NetSuite(StandIn):
    """An account with two subsidiaries. `hidden` are tables that the role may not see."""

    token_path = "/services/rest/auth/oauth2/v1/token"

    def __init__(self, book: Book):
        super().__init__(book)
        self.ids: dict[str, int] = {}
        self.hidden: set[str] = set()
        self.more: list[tuple[str, dict[str, Any]]] = []

    def id(self, key: str) -> int:
        return self.ids.setdefault(key, 1001 + len(self.ids))

    def token(self, request: Request) -> Reply:
        """A certificate's assertion instead of a secret."""
        head, body, _ = request.form["client_assertion"].split(".")
        told = {**self.read(head), **self.read(body)}
        wanted = {
            "alg": "ES256",
            "kid": CERTIFICATE,
            "iss": ID,
            "aud": f"{self.url}{self.token_path}",
            "scope": ["rest_webservices"],
        }
        if any(told[name] != value for name, value in wanted.items()):
            return Reply({"error": "invalid_request", "error_description": "invalid_client"}, 400)
        self.tokens += 1
        self.good = f"access-{self.tokens}-81f"
        return Reply({"access_token": self.good, "expires_in": "3600", "token_type": "bearer"})

    @staticmethod
    def read(part: str) -> dict[str, Any]:
        return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))

    def refused(self, request: Request) -> Reply:
        details = [{"detail": "Invalid login attempt.", "o:errorCode": "INVALID_LOGIN"}]
        return Reply({"title": "Unauthorized", "status": 401, "o:errorDetails": details}, 401)

    def failed(self, detail: str, status: int = 400, code: str = "INVALID_PARAMETER") -> Reply:
        return Reply(
            {"title": "Bad Request", "status": status, "o:errorDetails": [{"detail": detail, "o:errorCode": code}]}, status
        )

    def data(self, request: Request) -> Reply:
        if request.path != "/services/rest/query/v1/suiteql" or request.headers.get("Prefer") != "transient":
            return self.failed("Required header Prefer is missing")
        limit, text = int(request.query["limit"]), request.json["q"]
        assert limit <= 1_000 and "offset" not in request.query
        for table in self.hidden:
            if re.search(rf"\b{table}\b", text):
                return self.failed(
                    f"Invalid search query. Detailed unprocessed description follows. Record '{table}' was not found."
                )
        with self.database() as con:
            con.row_factory = sqlite3.Row
            try:
                rows = con.execute(re.sub(r"\btransaction\b", "transaction_", text.replace("BUILTIN.DF(", "DF("))).fetchall()
            except sqlite3.Error as wrong:
                return self.failed(f"Invalid search query. Detailed unprocessed description follows. {wrong}")
        items = [
            {"links": [], **{name.lower().rstrip("_"): str(row[name]) for name in row.keys() if row[name] is not None}}  # noqa: SIM118
            for row in rows[:limit]
        ]
        return Reply({"links": [], "count": len(items), "hasMore": len(rows) > limit, "items": items, "offset": 0})

    def database(self) -> sqlite3.Connection:
        con = sqlite3.connect(":memory:")
        con.create_function("TO_CHAR", 2, lambda value, form: value and value[: 10 if form == "YYYY-MM-DD" else 19])
        con.create_function("TO_DATE", 2, lambda value, form: value)
        con.create_function("DF", 1, lambda value: {"30": "Net 30"}.get(value, value))
        for table, columns in TABLES.items():
            con.execute(f"create table {table} ({', '.join(columns.split())})")
        for table, row in [*self.records(self.book), *self.more]:
            values = [
                str(value) if isinstance(value, Decimal) and table != "nexttransactionlinelink" else value
                for value in row.values()
            ]
            values = [float(value) if isinstance(value, Decimal) else value for value in values]
            con.execute(f"insert into {table} ({', '.join(row)}) values ({', '.join('?' * len(row))})", values)
        return con

    # --- the tables ----------------------------------------------------------------------------------------------------

    def records(self, book: Book) -> list[tuple[str, dict[str, Any]]]:
        self._rows: list[tuple[str, dict[str, Any]]] = []
        add = self.add
        for company in book["companies"]:
            add("subsidiary", id=SUBSIDIARIES[company["company_id"]], name=company["name"], currency=CURRENCIES[company["currency"]],
                country=company["country"], iselimination="F")  # fmt: skip
        for symbol, id_ in CURRENCIES.items():
            add("currency", id=id_, symbol=symbol)
        for id_, number, kind in (
            (AR, "1200", "AcctRec"),
            (INCOME, "4000", "Income"),
            (BANK, "1100", "Bank"),
            (BAD, "6500", "Expense"),
        ):
            add("account", id=id_, acctnumber=number, accttype=kind)
        add("term", id=30, name="Net 30", daysuntilnetdue=30, discountpercent="2.0%", daysuntilexpiry=10, datedriven="F")
        merged = any((row["customer_id"], row["status"]) == ("alt", "closed") for row in book["customers"])
        for row in book["customers"]:
            if row["customer_id"] == "alt" and merged:
                continue
            stamp = "2025-06-30T23:30:00Z" if merged and row["customer_id"] == "nord" else row["updated_at"]
            add("customer", id=self.id(row["customer_id"]), entityid=row["customer_id"], companyname=row["name"], terms="30",
                currency=CURRENCIES[row["currency"]], creditlimit="5000" if row["customer_id"] == "sud" else None, email=row["email"],
                oncredithold="F", creditholdoverride="AUTO", isinactive="T" if row["status"] == "closed" else "F",
                lastmodifieddate=local(stamp))  # fmt: skip
        self.book_of = book
        for row in book["invoices"]:
            memo = row["document_type"] == "credit_memo"
            left = {"foreignpaymentamountunused" if memo else "foreignamountunpaid": Decimal(row["open_amount_reported"])}
            told = (
                {**row, "updated_at": "2025-06-10T08:00:00Z"} if row["invoice_id"] == "i12" else row
            )  # a merge stamps the customer alone
            self.document(row["invoice_id"], "CustCred" if memo else "CustInvc", told, row["invoice_date"], -1 if memo else 1, left,
                          tranid=row["invoice_number"], duedate=row["due_date"], otherrefnum=row.get("po_number"))  # fmt: skip
        for row in book["payments"]:
            kind = "CustDep" if row["payment_id"] == "p08" else "CustPymt"
            self.document(
                row["payment_id"], kind, row, row["payment_date"], -1, {}, tranid=row["payment_id"], otherrefnum=row["reference"]
            )
        for row in book["refunds"]:
            self.document(row["refund_id"], "CustRfnd", row, row["refunded_on"], 1, {}, tranid=row["refund_id"])
            self.link(
                row["source_id"],
                "CustCred" if row["source_type"] == "credit_memo" else "CustDep",
                row["refund_id"],
                "CustRfnd",
                row,
            )
        for row in book["allocations"]:
            self.application(row)
        first = book["invoices"][0]
        self.document("bill", "VendBill", first, "2025-05-02", 1, {}, tranid="BILL")
        self.document("pending", "CustInvc", first, "2025-05-02", 1, {}, tranid="PENDING", posting="F")
        return self._rows

    def add(self, table: str, **row: Any) -> None:
        self._rows.append((table, row))

    def document(
        self, key: str, kind: str, row: dict[str, Any], on: str, sign: int, left: dict[str, Decimal], **more: Any
    ) -> None:
        """A transaction and its main line; what is void is worth nothing any more."""
        gone = bool(row.get("voided_on") or row.get("reversed_on"))
        put = Decimal(0) if gone else sign * Decimal(row["amount"])
        base = by_key(self.book_of["companies"])[row["company_id"]]["currency"]
        rate = next((each["rate"] for each in self.book_of["exchange_rates"]
                     if (each["rate_date"], each["currency"], each["base_currency"]) == (on, row["currency"], base)), "1")  # fmt: skip
        if row["currency"] != base and rate == "1":
            rate = "0.8"
        self.add("transaction_", **{
            "id": self.id(key), "type": kind, "trandate": on, "entity": self.id(row["customer_id"]),
            "currency": CURRENCIES[row["currency"]], "exchangerate": rate, "foreigntotal": put, "terms": "30",
            "posting": "T", "voided": "T" if gone else "F",
            "lastmodifieddate": local(row["updated_at"]), **more})  # fmt: skip
        self.add("transactionline", id=0, transaction_=self.id(key), mainline="T", entity=self.id(row["customer_id"]),
                 subsidiary=SUBSIDIARIES[row["company_id"]], foreignamount=put, **left)  # fmt: skip
        self.add(
            "transactionline",
            id=1,
            transaction_=self.id(key),
            mainline="F",
            subsidiary=SUBSIDIARIES[row["company_id"]],
            foreignamount=-put,
        )
        self.add("transactionaccountingline", transaction_=self.id(key), transactionline=0, account=AR if kind != "VendBill" else INCOME,
                 amount=put * Decimal(rate), accountingbook=1)  # fmt: skip

    def journal(self, key: str, row: dict[str, Any], on: str, put: str, other: int) -> None:
        """Its second line is on the receivable account, its first on another; a second accounting book has them once more."""
        self.add("transaction_", id=self.id(key), type="Journal", tranid=key, trandate=on, currency=CURRENCIES[row["currency"]],
                 exchangerate="1", foreigntotal=Decimal(put), posting="T", voided="F",
                 lastmodifieddate=local(row["updated_at"]))  # fmt: skip
        for place, account, amount, entity in (
            (0, other, -Decimal(put), None),
            (1, AR, Decimal(put), self.id(row["customer_id"])),
        ):
            self.add("transactionline", id=place, transaction_=self.id(key), mainline="F" if place else "T", entity=entity,
                     subsidiary=SUBSIDIARIES[row["company_id"]], foreignamount=amount)  # fmt: skip
            for ledger in (1, 2):
                self.add("transactionaccountingline", transaction_=self.id(key), transactionline=place, account=account, amount=amount,
                         accountingbook=ledger)  # fmt: skip

    def application(self, row: dict[str, Any]) -> None:
        """Links: a deposit by its application, a credit memo from its own side, a discount within its payment's; undone ones are gone."""
        key, invoice = row["allocation_id"], by_key(self.book_of["invoices"])[row["invoice_id"]]
        if row["source_type"] == "discount" or row.get("reversed_on"):
            return
        if row["source_type"] == "write_off":
            self.journal(key, {**invoice, "updated_at": row["updated_at"]}, row["allocated_on"], f"-{row['amount']}", BAD)
            self.link(row["invoice_id"], "CustInvc", key, "Journal", row, nextline=1)
        elif row["source_type"] == "credit_memo":
            self.link(row["source_id"], "CustCred", row["invoice_id"], "CustInvc", row)
        elif row["source_id"] == "p08":
            self.document(f"{key} applied", "DepAppl", {**invoice, "amount": row["amount"], "updated_at": row["updated_at"]},
                          row["allocated_on"], -1, {}, tranid=key)  # fmt: skip
            self._rows[-1][1]["amount"] = Decimal(0)  # it moves nothing
            self.link("p08", "CustDep", f"{key} applied", "DepAppl", row, linktype="DepAppl")
            self.link(row["invoice_id"], "CustInvc", f"{key} applied", "DepAppl", row)
        else:
            discounts = [each for each in self.book_of["allocations"] if each["source_type"] == "discount"]
            whole = Decimal(row["amount"]) + total(discounts, invoice_id=row["invoice_id"])
            self.link(row["invoice_id"], "CustInvc", row["source_id"], "CustPymt", {**row, "amount": f"{whole}"})

    def link(self, previous: str, previoustype: str, following: str, nexttype: str, row: dict[str, Any], **more: Any) -> None:
        """Twice, as links come where there are several accounting books."""
        for _ in range(2):
            self.add("nexttransactionlinelink", **{
                "previousdoc": self.id(previous), "previousline": 0, "previoustype": previoustype, "nextdoc": self.id(following),
                "nextline": 0, "nexttype": nexttype, "foreignamount": Decimal(row["amount"]), "linktype": "Payment",
                "lastmodifieddate": local(row["updated_at"]), **more})  # fmt: skip
