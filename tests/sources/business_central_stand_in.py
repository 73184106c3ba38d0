"""Business Central, as its documentation and public source have it, holding the book as a customer ledger and its details."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from tests.sources.one_book import Book, by_key
from tests.sources.stand_in import Reply, Request, StandIn, moment

TENANT = "6d2a"
COMPANIES = {"main": ("WIR", "11111111-aaaa"), "kent": ("KENT", "22222222-bbbb")}
NEVER = "0001-01-01T00:00:00Z"
KINDS = {"invoice": "Invoice", "credit_memo": "Credit_x0020_Memo", "payment": "Payment", "refund": "Refund"}


class BusinessCentral(StandIn):
    """An environment with two companies and the two queries installed."""

    def __init__(self, book: Book):
        super().__init__(book)
        self.numbers: dict[str, int] = {}

    def refused(self, request: Request) -> Reply:
        return Reply({"error": {"code": "Authentication_InvalidCredentials", "message": "CorrelationId: 7"}}, 401)

    def number(self, key: str) -> int:
        return self.numbers.setdefault(key, 1001 + len(self.numbers))

    def data(self, request: Request) -> Reply:
        api = f"/{TENANT}/production/api/"
        if request.path == f"{api}v2.0/companies":
            named = COMPANIES.items()
            return Reply(
                {"value": [{"id": id_, "name": name, "displayName": self.company(key)["name"]} for key, (name, id_) in named]}
            )
        told = re.fullmatch(rf"{api}(v2\.0|arrears/ar/v1\.0)/companies\(([\w-]+)\)/(\w+)", request.path)
        if not told:
            return Reply({"error": {"code": "BadRequest_NotFound", "message": "No HTTP resource"}}, 404)
        key = next(key for key, (_, id_) in COMPANIES.items() if id_ == told[2])
        records = [each for each in self.records(self.book, key)[told[3]] if self.fulfils(each, request.query.get("$filter", ""))]
        size = int(request.headers.get("Prefer", "odata.maxpagesize=20000").partition("=")[2])
        start = int(request.query.get("$skiptoken", 0))
        answer: dict[str, Any] = {"value": records[start : start + size]}
        if start + size < len(records):
            more = f"&$filter={quote(request.query['$filter'])}" if "$filter" in request.query else ""
            answer["@odata.nextLink"] = f"{self.url}{request.path}?aid=FIN&$skiptoken={start + size}{more}"
        return Reply(answer)

    def fulfils(self, record: dict[str, Any], asked: str) -> bool:
        if since := re.fullmatch(r"lastModifiedDateTime ge (\S+)", asked):
            return bool(record["lastModifiedDateTime"] != NEVER and moment(record["lastModifiedDateTime"]) >= moment(since[1]))
        return not asked or any(str(record[name]) == value for name, value in re.findall(r"(\w+) eq (\d+)", asked))

    def company(self, key: str) -> dict[str, Any]:
        return by_key(self.book["companies"])[key]

    def records(self, book: Book, company: str) -> dict[str, list[dict[str, Any]]]:
        own = self.company(company)
        entries: list[dict[str, Any]] = []
        details: list[dict[str, Any]] = []
        mine = {name: [row for row in rows if row.get("company_id", company) == company] for name, rows in book.items()}
        for row in mine["invoices"]:
            kind = row["document_type"]
            sign = -1 if kind == "credit_memo" else 1
            self.entry(entries, details, row, kind, row["invoice_id"], row["invoice_date"], sign, own,
                       dueDate=row["due_date"] or "0001-01-01", documentNumber=row["invoice_number"],
                       externalDocumentNumber=row.get("po_number") or "",
                       remainingAmount=sign * Decimal(row["open_amount_reported"]))  # fmt: skip
        for row in mine["payments"]:
            self.entry(entries, details, row, "payment", row["payment_id"], row["payment_date"], -1, own, documentNumber=row["payment_id"],
                       externalDocumentNumber=row["reference"], remainingAmount=0)  # fmt: skip
        for row in mine["refunds"]:
            self.entry(entries, details, row, "refund", row["refund_id"], row["refunded_on"], 1, own, documentNumber=row["refund_id"],
                       remainingAmount=0)  # fmt: skip
            self.application(
                details,
                f"rf-{row['refund_id']}",
                row["source_id"],
                row["refund_id"],
                {**row, "allocated_on": row["refunded_on"]},
                1,
            )
        for row in book["allocations"]:
            if row["invoice_id"] not in by_key(mine["invoices"]):
                continue
            if row["source_type"] in ("write_off", "discount"):
                kind = "Payment Tolerance" if row["source_type"] == "write_off" else "Payment Discount"
                self.detail(details, row["allocation_id"], row["invoice_id"], 0, row, kind, -Decimal(row["amount"]))
            elif row["allocation_id"] == "a08":  # applied from the invoice's side
                self.application(details, row["allocation_id"], row["source_id"], row["invoice_id"], row, 1)
            else:
                self.application(details, row["allocation_id"], row["invoice_id"], row["source_id"], row, -1)
        first = details[0]
        details.append({**first, "entryNumber": self.number(f"fx-{company}"), "entryType": "Unrealized Gain", "amount": 0})
        return {
            "companyInformation": [{"currencyCode": own["currency"], "country": own["country"]}],
            "paymentTerms": [{"id": "t30", "code": "30 DAYS", "dueDateCalculation": "30D", "discountPercent": 2,
                              "discountDateCalculation": "1W"},
                             {"id": "cm", "code": "CM", "dueDateCalculation": "CM", "discountPercent": 0}],
            "customers": [
                {"number": row["customer_id"], "displayName": row["name"], "email": row["email"] or "", "country": own["country"],
                 "currencyCode": row["currency"], "creditLimit": 0, "paymentTermsId": "t30", "blocked": "_x0020_",
                 "lastModifiedDateTime": NEVER}
                for row in mine["customers"] if (row["customer_id"], row["status"]) != ("alt", "closed")],
            "currencyExchangeRates": [
                {"currencyCode": row["currency"], "startingDate": row["rate_date"], "relationalCurrencyCode": "", "exchangeRateAmount": 100,
                 "relationalExchangeRateAmount": 100 * Decimal(row["rate"])}
                for row in book["exchange_rates"] if row["base_currency"] == own["currency"]],
            "customerLedgerEntries": entries,
            "detailedCustomerLedgerEntries": sorted(details, key=lambda each: each["entryNumber"]),
        }  # fmt: skip

    def entry(self, entries: list[Any], details: list[Any], row: dict[str, Any], kind: str, key: str, on: str,
              sign: int, company: dict[str, Any], **more: Any) -> None:  # fmt: skip
        undone = row.get("voided_on") or row.get("reversed_on")
        back = self.number(f"back-{key}") if undone else 0
        common = {
            "customerNumber": row["customer_id"], "documentType": KINDS[kind], "description": "",
            "currencyCode": "" if row["currency"] == company["currency"] else row["currency"], "reversed": bool(undone),
            "lastModifiedDateTime": row["updated_at"], "dueDate": "0001-01-01", **more,
        }  # fmt: skip
        amount = sign * Decimal(row["amount"])
        entries.append({**common, "entryNumber": self.number(key), "postingDate": on, "amount": amount, "positive": sign > 0,
                        "reversedByEntryNumber": back, "reversedEntryNumber": 0})  # fmt: skip
        self.detail(details, f"initial-{key}", key, 0, {**row, "allocated_on": on}, "Initial Entry", amount)
        if undone:
            entries.append(
                {**common, "entryNumber": back, "postingDate": undone, "amount": -amount, "positive": sign < 0, "documentType": " ",
                 "reversedByEntryNumber": 0, "reversedEntryNumber": self.number(key), "remainingAmount": 0}
            )  # fmt: skip

    def application(self, details: list[Any], key: str, entry: str, applying: str, row: dict[str, Any], sign: int) -> None:
        self.detail(details, key, entry, self.number(applying), row, "Application", sign * Decimal(row["amount"]))
        self.detail(details, f"{key}-mirror", applying, self.number(applying), row, "Application", -sign * Decimal(row["amount"]))

    def detail(
        self, details: list[Any], key: str, entry: str, applied: int, row: dict[str, Any], kind: str, amount: Decimal
    ) -> None:
        undone = row.get("reversed_on") if kind == "Application" else None
        one = {
            "entryNumber": self.number(f"d-{key}"), "customerLedgerEntryNumber": self.number(entry), "entryType": kind,
            "postingDate": row["allocated_on"], "amount": amount, "currencyCode": row.get("currency") or "", "unapplied": bool(undone),
            "appliedCustomerLedgerEntryNumber": applied, "transactionNumber": self.number(f"d-{key}"),
            "unappliedByEntryNumber": self.number(f"d-{key}-back") if undone else 0, "lastModifiedDateTime": row["updated_at"],
        }  # fmt: skip
        details.append(one)
        if undone:
            details.append({**one, "entryNumber": one["unappliedByEntryNumber"], "unappliedByEntryNumber": one["entryNumber"],
                            "amount": -amount, "postingDate": undone})  # fmt: skip
