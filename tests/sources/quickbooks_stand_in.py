"""QuickBooks Online, as its pages and recorded answers have it, holding the book: what is void or deleted has lost what it said."""

from __future__ import annotations

import re
from datetime import date, timedelta, timezone
from decimal import Decimal
from typing import Any

from tests.sources.one_book import CHANGED, RATES, Book, by_key, total
from tests.sources.stand_in import Reply, Request, StandIn, moment

REALM = "9130347821"
DEBTORS, BANK, BAD_DEBT, DISCOUNT = "84", "35", "71", "72"
OLD = "2025-01-10T09:00:00Z"
BERLIN = timezone(timedelta(hours=2))


def number_of(kind: str, key: str) -> str:
    """An id: numbers of one kind are a series of their own, so that they repeat between kinds."""
    return str(sum(ord(sign) * 31**place for place, sign in enumerate(f"{key}")) % 9_973 + len(kind))


def ref(value: str, name: str = "") -> dict[str, str]:
    return {"value": value, **({"name": name} if name else {})}


def meta(stamp: str) -> dict[str, dict[str, str]]:
    return {
        "MetaData": {"CreateTime": "2025-01-01T00:00:00+02:00", "LastUpdatedTime": moment(stamp).astimezone(BERLIN).isoformat()}
    }


def given(**fields: Any) -> dict[str, Any]:
    """An object: what is null, false or an empty text is left out."""
    return {name: value for name, value in fields.items() if value not in (None, False, "")}


def link(kind: str, id_: str, amount: Any) -> dict[str, Any]:
    return {"Amount": amount, "LinkedTxn": [{"TxnId": id_, "TxnType": kind}], "LineEx": {"any": []}}


class QuickBooks(StandIn):
    """One company, and what change data capture says of it."""

    def refused(self, request: Request) -> Reply:
        error = {
            "message": "message=AuthenticationFailed; errorCode=003200; statusCode=401",
            "detail": "Token expired",
            "code": "3200",
        }
        return Reply({"fault": {"error": [error], "type": "AUTHENTICATION"}, "time": 1}, 401)

    def data(self, request: Request) -> Reply:
        if request.query.get("minorversion") != "75" or not request.path.startswith(f"/v3/company/{REALM}/"):
            return self.fault("Unsupported", "500", 400)
        if request.path.endswith("/cdc"):
            return self.captured(request.query["entities"].split(","), request.query["changedSince"])
        told = re.fullmatch(
            r"select (\*|count\(\*\)) from (\w+)(?: where (.*?))?(?: order by \S+ asc)?(?:\s+startposition (\d+))?(?: maxresults (\d+))?",
            request.query["query"].replace("  ", " "),
        )
        if not told:
            return self.fault("QueryParserError", "4000", 400)
        what, entity, where, start, size = told.groups()
        records = [each for each in self.objects(self.book)[entity] if self.fulfils(each, where or "")]
        records.sort(key=lambda each: (moment(each.get("MetaData", {}).get("LastUpdatedTime", OLD)), int(each["Id"])))
        if what != "*":
            return Reply({"QueryResponse": {"totalCount": len(records)}, "time": "2025-07-01T02:00:00+02:00"})
        first, most = int(start or 1), int(size or 100)
        page = records[first - 1 : first - 1 + most]
        answer = {entity: page, "startPosition": first, "maxResults": len(page)} if page else {}
        return Reply({"QueryResponse": answer, "time": "2025-07-01T02:00:00+02:00"})

    def fault(self, message: str, code: str, status: int, **headers: str) -> Reply:
        error = {"Message": message, "Detail": "", "code": code, "element": ""}
        return Reply({"Fault": {"Error": [error], "type": "ValidationFault"}}, status, {"intuit_tid": "tid-7", **headers})

    def fulfils(self, record: dict[str, Any], where: str) -> bool:
        if record.get("Active") is False and "Active IN (true, false)" not in where:
            return False
        if since := re.search(r"MetaData.LastUpdatedTime >= '([^']+)'", where):
            return moment(record["MetaData"]["LastUpdatedTime"]) >= moment(since[1])
        if ids := re.search(r"Id in \(([^)]*)\)", where):
            return f"'{record['Id']}'" in ids[1]
        return True

    def captured(self, entities: list[str], since: str) -> Reply:
        parts: list[dict[str, Any]] = []
        for entity in entities:
            found = [
                each for each in self.objects(self.book)[entity] if moment(each["MetaData"]["LastUpdatedTime"]) >= moment(since)
            ]
            found += [
                {"domain": "QBO", "status": "Deleted", "Id": id_, **meta(CHANGED)}
                for id_ in self.deleted(self.book).get(entity, ())
            ]
            parts.append({entity: found, "startPosition": 1, "maxResults": len(found)} if found else {})
        return Reply({"CDCResponse": [{"QueryResponse": parts}], "time": "2025-07-01T02:00:00+02:00"})

    def deleted(self, book: Book) -> dict[str, list[str]]:
        if not any(row.get("reversed_on") for row in book["payments"]):
            return {}
        return {
            "Payment": [number_of("payment", "p04"), number_of("payment", "a03")],
            "Customer": [number_of("customer", "alt")],
        }

    def objects(self, book: Book) -> dict[str, list[dict[str, Any]]]:
        gone = self.deleted(book)
        customers = [each for each in map(self.customer, book["customers"]) if each["Id"] not in gone.get("Customer", ())]
        invoices = {key: self.document(row) for key, row in by_key(book["invoices"]).items()}
        memos = [
            each for each, row in zip(invoices.values(), book["invoices"], strict=True) if row["document_type"] == "credit_memo"
        ]
        allocations = book["allocations"]
        payments = [self.payment(row, book) for row in book["payments"]]
        for row in allocations:  # what no cash belongs to is brought together by a payment of nothing
            if row["source_type"] == "credit_memo":
                payments.append(self.vehicle(row["allocation_id"], row, number_of("CreditMemo", row["source_id"]), book))
            elif row["source_type"] == "write_off":
                memos.append(self.memo_for(row, BAD_DEBT, book))
                payments.append(self.vehicle(row["allocation_id"], row, number_of("CreditMemo", row["allocation_id"]), book))
            elif row["source_type"] == "discount":
                memos.append(self.memo_for(row, DISCOUNT, book))
        checks = []
        for row in book["refunds"]:
            checks.append(
                {
                    "Id": number_of("check", row["refund_id"]), "PaymentType": "Check", "TxnDate": row["refunded_on"],
                    "CurrencyRef": ref(row["currency"]), "EntityRef": ref(number_of("customer", row["customer_id"])),
                    "Line": [{"Id": "1", "Amount": Decimal(row["amount"]), "DetailType": "AccountBasedExpenseLineDetail",
                              "AccountBasedExpenseLineDetail": {"AccountRef": ref(DEBTORS)}}],
                    **meta(row["updated_at"]),
                }
            )  # fmt: skip
            if row["source_type"] == "credit_memo":
                payments.append(
                    {
                        "Id": number_of("payment", row["refund_id"]), "TxnDate": row["refunded_on"], "TotalAmt": Decimal(0),
                        "CustomerRef": ref(number_of("customer", row["customer_id"])), "CurrencyRef": ref(row["currency"]),
                        "Line": [link("Check", checks[-1]["Id"], Decimal(row["amount"])),
                                 link("CreditMemo", number_of("CreditMemo", row["source_id"]), Decimal(row["amount"]))],
                        **meta(row["updated_at"]),
                    }
                )  # fmt: skip
        rent = {
            **checks[0],
            "Id": "1",
            "Line": [{"Id": "1", "Amount": 900, "AccountBasedExpenseLineDetail": {"AccountRef": ref("60")}}],
        }
        line = {
            "DepositLineDetail": {"AccountRef": ref(DEBTORS), "Entity": ref("1")},
            "LinkedTxn": [{"TxnId": "1", "TxnType": "Payment"}],
        }
        repeated = {"Id": "1", "TxnDate": "2025-04-09", "Line": [{"Id": "1", "Amount": 220, **line}], **meta(OLD)}
        journal = {"Id": "1", "TxnDate": "2025-04-09", "Line": [{"Id": "0", "Amount": 7, "JournalEntryLineDetail":
                   {"PostingType": "Debit", "AccountRef": ref("60")}}], **meta(OLD)}  # fmt: skip
        return {
            "CompanyInfo": [{"Id": "1", "CompanyName": "Wir Handel GmbH", "Country": "DE", "DefaultTimeZone": "Europe/Berlin"}],
            "Preferences": [{"Id": "1", "CurrencyPrefs": {"HomeCurrency": ref("EUR"), "MultiCurrencyEnabled": True}}],
            "Account": [{"Id": DEBTORS, "AccountType": "Accounts Receivable"}, {"Id": "60", "AccountType": "Expense"}],
            "Term": [{"Id": "3", "Name": "Net 30", "Type": "STANDARD", "DueDays": 30}],
            "PaymentMethod": [{"Id": "2", "Name": "Check"}],
            "Customer": customers,
            "Invoice": [
                each for each, row in zip(invoices.values(), book["invoices"], strict=True) if row["document_type"] == "invoice"
            ],
            "CreditMemo": memos,
            "Payment": [each for each in payments if each["Id"] not in gone.get("Payment", ())],
            "JournalEntry": [journal],
            "Deposit": [repeated],
            "Purchase": [*checks, rent],
        }

    def customer(self, row: dict[str, Any]) -> dict[str, Any]:
        active = row["status"] == "active"
        return {
            **given(
                Id=number_of("customer", row["customer_id"]),
                DisplayName=row["name"] + ("" if active else " (deleted)"),
                CurrencyRef=ref(row["currency"]),
                PrimaryEmailAddr=row["email"] and {"Address": row["email"]},
                SalesTermRef=ref("3"),
            ),
            "Active": active,
            **meta(row["updated_at"]),
        }

    def document(self, row: dict[str, Any]) -> dict[str, Any]:
        memo, void = row["document_type"] == "credit_memo", bool(row.get("voided_on"))
        open_, rate = Decimal(row["open_amount_reported"]), RATES.get(date.fromisoformat(row["invoice_date"]))
        stamp = row["updated_at"]
        if row["invoice_id"] == "i12":
            stamp = OLD  # what a merge moves to another customer does not look changed
        return {
            **given(
                Id=number_of("CreditMemo" if memo else "Invoice", row["invoice_id"]),
                DocNumber=row["invoice_number"],
                CustomerRef=ref(
                    number_of("customer", row["customer_id"]), by_key(self.book["customers"])[row["customer_id"]]["name"]
                ),
                BillEmail={"Address": "ap@nord.example"},
                TxnDate=row["invoice_date"],
                DueDate=row["due_date"],
                CurrencyRef=ref(row["currency"], "of it"),
                ExchangeRate=Decimal(rate) if rate and row["currency"] != "EUR" else None,
                PrivateNote="Voided" if void else None,
                TxnTaxDetail={"TotalTax": Decimal(0 if void else row["tax_amount"])},
                CustomField=row.get("po_number") and [{"Name": "P.O. Number", "StringValue": row["po_number"]}],
                RemainingCredit=open_ if memo else None,
            ),
            "Balance": open_,
            "TotalAmt": Decimal(0) if void else Decimal(row["amount"]),
            "Line": [{"Amount": 0, "DetailType": "SubTotalLineDetail"}],
            **meta(stamp),
        }

    def memo_for(self, row: dict[str, Any], item: str, book: Book) -> dict[str, Any]:
        invoice = by_key(book["invoices"])[row["invoice_id"]]
        return {
            "Id": number_of("CreditMemo", row["allocation_id"]), "DocNumber": f"M-{row['allocation_id']}", "TxnDate": row["allocated_on"],
            "CustomerRef": ref(number_of("customer", invoice["customer_id"])), "TotalAmt": Decimal(row["amount"]), "Balance": 0,
            "Line": [{"DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": ref(item)}}],
            **meta(row["updated_at"]),
        }  # fmt: skip

    def payment(self, row: dict[str, Any], book: Book) -> dict[str, Any]:
        key = row["payment_id"]
        own = [each for each in book["allocations"] if each["source_id"] == key]
        lines = []
        for each in own:
            discounts = [
                other
                for other in book["allocations"]
                if (other["invoice_id"], other["source_type"]) == (each["invoice_id"], "discount")
            ]
            more = sum((Decimal(other["amount"]) for other in discounts), Decimal(0))
            lines.append(link("Invoice", number_of("Invoice", each["invoice_id"]), Decimal(each["amount"]) + more))
            lines += [
                link("CreditMemo", number_of("CreditMemo", other["allocation_id"]), Decimal(other["amount"]))
                for other in discounts
            ]
        backs = [each for each in book["refunds"] if each["source_id"] == key]
        lines += [link("Check", number_of("check", each["refund_id"]), Decimal(each["amount"])) for each in backs]
        return {
            **given(
                Id=number_of("payment", key),
                CustomerRef=ref(number_of("customer", row["customer_id"])),
                TxnDate=row["payment_date"],
                CurrencyRef=ref(row["currency"]),
                PaymentRefNum=row["reference"],
                PaymentMethodRef=ref("2"),
                LinkedTxn=[{"TxnId": "121", "TxnType": "Deposit"}],
            ),
            "TotalAmt": Decimal(row["amount"]),
            "UnappliedAmt": Decimal(row["amount"]) - total(own) - total(backs),
            "Line": lines,
            **meta(row["updated_at"]),
        }

    def vehicle(self, key: str, row: dict[str, Any], memo: str, book: Book) -> dict[str, Any]:
        invoice = by_key(book["invoices"])[row["invoice_id"]]
        return {
            "Id": number_of("payment", key), "TxnDate": row["allocated_on"], "TotalAmt": Decimal(0),
            "CustomerRef": ref(number_of("customer", invoice["customer_id"])), "CurrencyRef": ref(invoice["currency"]),
            "Line": [link("Invoice", number_of("Invoice", row["invoice_id"]), Decimal(row["amount"])),
                     link("CreditMemo", memo, Decimal(row["amount"]))],
            **meta(row["updated_at"]),
        }  # fmt: skip
