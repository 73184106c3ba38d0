"""Xero, as its OpenAPI description and pages have it, holding the book."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.sources.one_book import RATES, Book, by_key, total
from tests.sources.stand_in import Reply, Request, StandIn, moment

TENANT = "7b1c0e6a-5f0e-4a6e-9a6e-000000000001"
PLURAL = {"/Contacts": "ContactID", "/Invoices": "InvoiceID", "/CreditNotes": "CreditNoteID", "/Payments": "PaymentID",
          "/Overpayments": "OverpaymentID", "/Prepayments": "PrepaymentID"}  # fmt: skip
OLD = "2025-01-10T09:00:00Z"


def xero_id(kind: str, key: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{kind}:{key}"))


def stamped(text: str) -> dict[str, str]:
    when = moment(text)
    return {
        "UpdatedDateUTC": f"/Date({int(when.timestamp() * 1000)}+0000)/",
        "UpdatedDateUTCString": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def dated(name: str, day: str, *, text: bool = True, offset: str = "+0000") -> dict[str, str]:
    """A day both ways; payments and applications have it only in milliseconds, some with the offset of where it was written."""
    hours = int(offset[:3])
    milliseconds = int((moment(f"{day}T00:00:00Z").timestamp() - 3600 * hours) * 1000)
    return {name: f"/Date({milliseconds}{offset})/", **({f"{name}String": f"{day}T00:00:00"} if text else {})}


class Xero(StandIn):
    """One organisation; `ids` of what the connector delivers."""

    def refused(self, request: Request) -> Reply:
        return Reply({"Type": None, "Title": "Unauthorized", "Status": 401, "Detail": "TokenExpired", "Instance": "x"}, 401)

    def data(self, request: Request) -> Reply:
        if request.path == "/connections":
            return Reply([{"tenantId": TENANT, "tenantName": "Wir Handel GmbH", "tenantType": "ORGANISATION"}])
        if request.headers.get("Xero-Tenant-Id") != TENANT:
            return Reply({"Title": "Forbidden", "Status": 403, "Detail": "AuthenticationUnsuccessful"}, 403)
        if "json" not in request.headers.get("Accept", ""):
            return Reply(b"<Response/>")
        endpoint = request.path.removeprefix("/api.xro/2.0")
        if endpoint == "/Organisation":
            return Reply({"Organisations": [{"Name": "Wir Handel GmbH", "BaseCurrency": "EUR", "CountryCode": "DE",
                                             "Timezone": "WEUROPESTANDARDTIME"}]})  # fmt: skip
        if endpoint not in PLURAL:
            return Reply({"ErrorNumber": 10, "Type": "ValidationException", "Message": "no such endpoint"}, 404)
        name = endpoint[1:]
        records = sorted(
            (each for each in self.records(self.book)[name] if self.asked(each, request)),
            key=lambda each: (moment(each["UpdatedDateUTCString"]), each[PLURAL[endpoint]]),
        )
        size, page = int(request.query.get("pageSize", 100)), int(request.query.get("page", 1))
        return Reply(
            {
                "Status": "OK",
                "pagination": {"page": page, "pageSize": size, "pageCount": -(-len(records) // size), "itemCount": len(records)},
                name: records[(page - 1) * size : page * size],
            }
        )

    def asked(self, record: dict[str, Any], request: Request) -> bool:
        since, where = request.headers.get("If-Modified-Since"), request.query.get("where")
        if record.get("ContactStatus") == "ARCHIVED" and request.query.get("includeArchived") != "true":
            return False
        if since and moment(record["UpdatedDateUTCString"]) < moment(f"{since}Z"):
            return False
        told = [re.fullmatch(r'(\w+)=="(\w+)"', part) for part in where.split(" OR ")] if where else []
        return not told or any(record.get(each[1]) == each[2] for each in told if each)

    def records(self, book: Book) -> dict[str, list[dict[str, Any]]]:
        contacts = {row["customer_id"]: self.contact(row) for row in book["customers"]}
        supplier = {"ContactID": xero_id("contact", "paper"), "Name": "Papier AG", "ContactStatus": "ACTIVE", "IsCustomer": False,
                    "IsSupplier": True, **stamped(OLD)}  # fmt: skip
        documents = {key: self.document(row, book) for key, row in by_key(book["invoices"]).items()}
        draft = {
            "Type": "ACCREC", "InvoiceID": xero_id("invoice", "draft"), "Status": "DRAFT", "Contact": contacts["nord"],
            "Total": Decimal("5.00"), "AmountDue": Decimal("5.00"), "CurrencyCode": "EUR", **dated("Date", "2025-06-01"), **stamped(OLD),
        }  # fmt: skip
        bill = {**draft, "Type": "ACCPAY", "InvoiceID": xero_id("invoice", "bill"), "Status": "AUTHORISED", "Contact": supplier}
        on_account = {row["payment_id"] for row in book["payments"] if self.is_on_account(row, book)}
        payments = [
            self.payment(row, book, documents) for row in book["allocations"]
            if row["source_type"] != "credit_memo" and row["source_id"] not in on_account
        ] + [self.refund(row, documents) for row in book["refunds"]]  # fmt: skip
        payments.append(
            {"PaymentID": xero_id("payment", "bill"), "PaymentType": "ACCPAYPAYMENT", "Status": "AUTHORISED", "Amount": Decimal(5),
             "Invoice": bill, **dated("Date", "2025-06-01", text=False), **stamped(OLD)}
        )  # fmt: skip
        paid_too_much = {"OverpaymentID": xero_id("payment", "bill"), "Type": "SPEND-OVERPAYMENT", "Status": "AUTHORISED",
                         "Total": Decimal(500), "Contact": supplier, **dated("Date", "2025-06-01"), **stamped(OLD)}  # fmt: skip
        return {
            "Contacts": [*contacts.values(), supplier],
            "Invoices": [*(each for each in documents.values() if each["Type"] == "ACCREC"), draft, bill],
            "CreditNotes": [each for each in documents.values() if each["Type"] == "ACCRECCREDIT"],
            "Payments": payments,
            "Overpayments": [
                *(self.overpayment(by_key(book["payments"])[key], book) for key in sorted(on_account)),
                paid_too_much,
            ],
            "Prepayments": [],
        }

    def contact(self, row: dict[str, Any]) -> dict[str, Any]:
        merged = row["customer_id"] == "alt" and row["status"] == "closed"
        return {
            "ContactID": xero_id("contact", row["customer_id"]),
            "Name": row["name"],
            "ContactStatus": "ACTIVE" if row["status"] == "active" else "ARCHIVED",
            "EmailAddress": row["email"] or "",
            "DefaultCurrency": row["currency"],
            "IsCustomer": not merged,
            "Addresses": [{"AddressType": "STREET", "Country": ""}, {"AddressType": "POBOX", "Country": "Germany"}],
            "PaymentTerms": {"Sales": {"Day": 30, "Type": "DAYSAFTERBILLDATE"}},
            "ContactPersons": [{"FirstName": "Anna", "LastName": "Z", "EmailAddress": "a@z.example", "IncludeInEmails": True}],
            **({"MergedToContactID": xero_id("contact", "nord")} if merged else {}),
            **stamped(row["updated_at"]),
        }

    def document(self, row: dict[str, Any], book: Book) -> dict[str, Any]:
        memo = row["document_type"] == "credit_memo"
        open_ = Decimal(row["open_amount_reported"])
        named = (
            {"CreditNoteID": xero_id("invoice", row["invoice_id"]), "CreditNoteNumber": row["invoice_number"], "RemainingCredit": open_,
             "Allocations": self.applications("credit_memo", row["invoice_id"], book)}
            if memo
            else {"InvoiceID": xero_id("invoice", row["invoice_id"]), "InvoiceNumber": row["invoice_number"], "AmountDue": open_,
                  **dated("DueDate", row["due_date"])}
        )  # fmt: skip
        return {
            **named,
            "Type": "ACCRECCREDIT" if memo else "ACCREC",
            "Reference": row.get("po_number") or "",
            "Contact": {"ContactID": xero_id("contact", row["customer_id"])},
            "Status": "VOIDED" if row.get("voided_on") else "AUTHORISED" if open_ else "PAID",
            "LineAmountTypes": "Exclusive",
            "TotalTax": Decimal(row["tax_amount"]),
            "Total": Decimal(row["amount"]),
            "CurrencyCode": row["currency"],
            "CurrencyRate": 1 / Decimal(RATES[date.fromisoformat(row["invoice_date"])])
            if row["currency"] != "EUR"
            else Decimal(1),
            **dated("Date", row["invoice_date"]),
            **stamped(row["updated_at"]),
        }

    def is_on_account(self, payment: dict[str, Any], book: Book) -> bool:
        return total(book["allocations"], source_id=payment["payment_id"]) != Decimal(payment["amount"])

    def applications(self, kind: str, key: str, book: Book) -> list[dict[str, Any]]:
        return [
            {"Amount": Decimal(row["amount"]), "Invoice": {"InvoiceID": xero_id("invoice", row["invoice_id"])},
             **dated("Date", row["allocated_on"], text=False, offset="+1300")}
            for row in book["allocations"]
            if (row["source_type"], row["source_id"]) == (kind, key)
        ]  # fmt: skip

    def payment(self, row: dict[str, Any], book: Book, documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
        paid = by_key(book["payments"]).get(row["source_id"], {})
        batch = {
            "BatchPaymentID": xero_id("batch", row["source_id"]),
            "BatchPayment": {"TotalAmount": "220.00", "IsReconciled": "true"},
        }
        return {
            "PaymentID": xero_id("allocation", row["allocation_id"]),
            **(batch if row["source_id"] == "p01" else {}),
            "PaymentType": "ACCRECPAYMENT",
            "Status": "DELETED" if row.get("reversed_on") else "AUTHORISED",
            "Amount": Decimal(row["amount"]),
            "Reference": paid.get("reference", ""),
            "Account": {"Code": {"write_off": "BAD", "discount": "DSC"}.get(row["source_type"], "090")},
            "Invoice": {key: documents[row["invoice_id"]][key] for key in ("Type", "InvoiceID", "CurrencyCode", "Contact")},
            **dated("Date", row["allocated_on"], text=False),
            **stamped(row["updated_at"]),
        }

    def refund(self, row: dict[str, Any], documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
        common = {"Contact": {"ContactID": xero_id("contact", row["customer_id"])}, "CurrencyCode": row["currency"]}
        memo = row["source_type"] == "credit_memo"
        return {
            "PaymentID": xero_id("refund", row["refund_id"]),
            "PaymentType": "ARCREDITPAYMENT" if memo else "AROVERPAYMENTPAYMENT",
            "Status": "AUTHORISED",
            "Amount": Decimal(row["amount"]),
            **({"Invoice": {"Type": "ACCRECCREDIT", "InvoiceID": xero_id("invoice", row["source_id"]), **common}} if memo else
               {"Overpayment": {"OverpaymentID": xero_id("payment", row["source_id"]), **common}}),
            **dated("Date", row["refunded_on"], text=False),
            **stamped(row["updated_at"]),
        }  # fmt: skip

    def overpayment(self, row: dict[str, Any], book: Book) -> dict[str, Any]:
        return {
            "OverpaymentID": xero_id("payment", row["payment_id"]),
            "Type": "RECEIVE-OVERPAYMENT" if row["payment_id"] == "p07" else "AROVERPAYMENT",
            "Status": "VOIDED" if row.get("reversed_on") else "AUTHORISED",
            "Contact": {"ContactID": xero_id("contact", row["customer_id"])},
            "Total": Decimal(row["amount"]),
            "CurrencyCode": row["currency"],
            "Reference": row["reference"],
            "Allocations": self.applications("payment", row["payment_id"], book),
            **dated("Date", row["payment_date"]),
            **stamped(row["updated_at"]),
        }
