"""ERPNext over Frappe's REST interface, as its public source has it, holding the book: its payment ledger above all."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.sources.one_book import CHANGED, Book, by_key, total
from tests.sources.stand_in import Reply, Request, StandIn, moment

KEY, SECRET_OF_KEY = "key-77c1", "s3cret-of-the-key-9d"
SITE = ZoneInfo("Europe/Berlin")
COMPANIES = {"main": "Wir Handel GmbH", "kent": "We Trade Ltd"}
CHILDREN = ("Payment Schedule", "Payment Terms Template Detail", "Payment Entry Deduction", "Journal Entry Account")
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda ours, asked: str(ours) == str(asked),
    ">": lambda ours, asked: str(ours) > str(asked),
    "in": lambda ours, asked: str(ours) in map(str, asked),
}


def local(stamp: str) -> str:
    """A stamp as the site writes it: naive, in its own zone; some have no fraction."""
    return moment(stamp).astimezone(SITE).strftime("%Y-%m-%d %H:%M:%S")


class ErpNext(StandIn):
    """A site with two companies."""

    def lets_in(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"token {KEY}:{SECRET_OF_KEY}"

    def refused(self, request: Request) -> Reply:
        return Reply({"exc_type": "AuthenticationError", "exception": "frappe.exceptions.AuthenticationError"}, 401)

    def data(self, request: Request) -> Reply:
        if request.path.endswith("frappe.client.get_time_zone"):
            return Reply({"message": {"time_zone": SITE.key}})
        doctype = request.path.removeprefix("/api/resource/")
        if len(request.path) + sum(map(len, request.query.values())) > 4_000:
            return Reply(b"Request Line is too large", 414)
        if doctype in CHILDREN and not request.query.get("parent"):
            return self.denied(doctype)
        fields = json.loads(request.query.get("fields", '["name"]'))
        filters = json.loads(request.query.get("filters", "[]"))
        records = [
            record
            for record in self.records(self.book)[doctype]
            if all(SIGNS[sign](record.get(name), value) for name, sign, value in filters)
        ]
        records.sort(key=lambda record: str(record["name"]))
        size = int(request.query.get("limit_page_length", 20))
        found = [{name: record.get(name) for name in fields} for record in records[:size]]
        return Reply({"data": found})

    def denied(self, doctype: str) -> Reply:
        told = json.dumps([json.dumps({"message": f"User has no permission for {doctype}"})])
        return Reply(
            {"exc_type": "PermissionError", "exception": "frappe.exceptions.PermissionError", "_server_messages": told}, 403
        )

    def records(self, book: Book) -> dict[str, list[dict[str, Any]]]:
        self._ledger: list[dict[str, Any]] = []
        invoices = [self.invoice(row, book) for row in book["invoices"]]
        journals: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        for row in book["allocations"]:
            if row["source_type"] in ("credit_memo", "write_off"):
                name = f"ACC-JV-{row['allocation_id']}"
                invoice = by_key(book["invoices"])[row["invoice_id"]]
                voucher = ("Journal Entry", name)
                self.row(
                    voucher,
                    ("Sales Invoice", invoice["invoice_number"]),
                    invoice,
                    row["allocated_on"],
                    -Decimal(row["amount"]),
                    row,
                )
                if row["source_type"] == "credit_memo":
                    note = by_key(book["invoices"])[row["source_id"]]
                    self.row(
                        voucher,
                        ("Sales Invoice", note["invoice_number"]),
                        invoice,
                        row["allocated_on"],
                        Decimal(row["amount"]),
                        row,
                    )
                else:
                    lines += [{"name": f"{name}-1", "parent": name, "account": "Debtors", "party": invoice["customer_id"]},
                              {"name": f"{name}-2", "parent": name, "account": "Bad Debts", "party": None}]  # fmt: skip
                journals.append({"name": name, "voucher_type": "Credit Note" if row["source_type"] == "credit_memo" else "Journal Entry",
                                 "docstatus": 1, "company": COMPANIES["main"], "modified": local(row["updated_at"])})  # fmt: skip
        deductions: list[dict[str, Any]] = []
        entries = [self.payment(row, book, deductions) for row in book["payments"]]
        entries += [self.refund(row, book) for row in book["refunds"]]
        draft = {**invoices[0], "name": "ACC-DRAFT", "docstatus": 0}
        self.row(("Payment Entry", "ACC-PAY-supplier"), ("Purchase Invoice", "PI-1"), book["invoices"][0], "2025-05-01", Decimal(-9),
                 book["invoices"][0], account_type="Payable", party_type="Supplier")  # fmt: skip
        return {
            "Company": [{"name": COMPANIES[row["company_id"]], "company_name": row["name"], "default_currency": row["currency"],
                         "country": {"DE": "Germany", "GB": "United Kingdom"}[row["country"]]} for row in book["companies"]],
            "Country": [{"name": "Germany", "code": "de"}, {"name": "United Kingdom", "code": "gb"}],
            "Customer": [self.customer(row) for row in book["customers"] if (row["customer_id"], row["status"]) != ("alt", "closed")],
            "Payment Terms Template Detail": [
                {"name": "t1", "parent": "Net 30", "due_date_based_on": "Day(s) after invoice date", "credit_days": 30, "discount": 0.0}],
            "Sales Invoice": [*invoices, draft],
            "Payment Schedule": [
                {"name": f"ps-{row['invoice_id']}-{row['instalment_number']}", "parenttype": "Sales Invoice",
                 "parent": by_key(book["invoices"])[row["invoice_id"]]["invoice_number"], "idx": int(row["instalment_number"]),
                 "due_date": row["due_date"], "payment_amount": Decimal(row["amount"])} for row in book.get("instalments", [])],
            "Payment Entry": entries,
            "Payment Entry Deduction": deductions,
            "Journal Entry": journals,
            "Journal Entry Account": lines,
            "Account": [{"name": "Bad Debts", "root_type": "Expense", "account_type": None, "company": COMPANIES["main"]}],
            "Currency Exchange": [
                {"name": f"cx-{row['base_currency']}-{row['rate_date']}", "date": row["rate_date"], "from_currency": row["currency"],
                 "to_currency": row["base_currency"], "exchange_rate": Decimal(row["rate"]), "modified": "2025-01-01 00:00:00"}
                for row in book["exchange_rates"]],
            "Payment Ledger Entry": self._ledger,
        }  # fmt: skip

    def row(self, voucher: tuple[str, str], against: tuple[str, str], document: dict[str, Any], on: str, amount: Decimal,
            stamped: dict[str, Any], *, delinked: bool = False, **more: Any) -> None:  # fmt: skip
        """A row of the payment ledger; what is binary money comes as such."""
        self._ledger.append(
            {
                "name": f"ple-{len(self._ledger):04}", "posting_date": on, "company": COMPANIES[document["company_id"]],
                "account_type": "Receivable", "party_type": "Customer", "party": self.named(document["customer_id"]),
                "voucher_type": voucher[0], "voucher_no": voucher[1], "against_voucher_type": against[0], "against_voucher_no": against[1],
                "amount_in_account_currency": float(amount) + 1e-13, "account_currency": document["currency"],
                "delinked": int(delinked), "creation": f"2025-01-01 08:{len(self._ledger):06}",
                "modified": local(stamped["updated_at"]) + ".220145", **more,
            }
        )  # fmt: skip

    def named(self, customer: str) -> str:
        return f"CUST-{customer}"

    def customer(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": self.named(row["customer_id"]), "customer_name": row["name"], "default_currency": row["currency"],
            "email_id": row["email"], "disabled": int(row["status"] == "closed"), "is_frozen": 0, "is_internal_customer": 0,
            "payment_terms": "Net 30", "creation": "2024-05-01 08:00:00.000000", "modified": local(row["updated_at"]),
        }  # fmt: skip

    def invoice(self, row: dict[str, Any], book: Book) -> dict[str, Any]:
        memo, void = row["document_type"] == "credit_memo", bool(row.get("voided_on"))
        sign, own = Decimal(-1 if memo else 1), ("Sales Invoice", row["invoice_number"])
        self.row(own, own, row, row["invoice_date"], sign * Decimal(row["amount"]), row, delinked=void)
        if void:
            self.row(own, own, row, row["invoice_date"], -sign * Decimal(row["amount"]), row, delinked=True)
        return {
            "name": row["invoice_number"], "customer": self.named(row["customer_id"]), "company": COMPANIES[row["company_id"]],
            "posting_date": row["invoice_date"], "due_date": row["due_date"], "currency": row["currency"],
            "total_taxes_and_charges": sign * Decimal(row["tax_amount"]), "po_no": row.get("po_number"), "is_return": int(memo),
            "docstatus": 2 if void else 1, "payment_terms_template": "Net 30", "modified": local(row["updated_at"]) + ".000001",
            "outstanding_amount": Decimal("180.00") if void else sign * Decimal(row["open_amount_reported"]),
        }  # fmt: skip

    def payment(self, row: dict[str, Any], book: Book, deductions: list[dict[str, Any]]) -> dict[str, Any]:
        key, gone = row["payment_id"], bool(row.get("reversed_on"))
        voucher = ("Payment Entry", f"ACC-PAY-{key}")
        own = [each for each in book["allocations"] if each["source_id"] == key]
        for each in own:
            invoice = by_key(book["invoices"])[each["invoice_id"]]
            more = total([o for o in book["allocations"] if o["source_type"] == "discount"], invoice_id=each["invoice_id"])
            if more:
                deductions.append({"name": f"d-{key}", "parent": voucher[1], "account": "Skonto", "amount": more})
            against = ("Sales Invoice", invoice["invoice_number"])
            for amount in (-Decimal(each["amount"]) - more, *([Decimal(each["amount"]) + more] if gone else [])):
                self.row(voucher, against, row, row["payment_date"], amount, row, delinked=gone)
        if rest := Decimal(row["amount"]) - total(own):
            self.row(voucher, voucher, row, row["payment_date"], -rest, row)
        return {
            "name": voucher[1], "payment_type": "Receive", "party_type": "Customer", "party": self.named(row["customer_id"]),
            "company": COMPANIES[row["company_id"]], "posting_date": row["payment_date"], "paid_amount": Decimal(row["amount"]),
            "received_amount": Decimal(row["amount"]), "paid_from_account_currency": row["currency"],
            "paid_to_account_currency": row["currency"], "mode_of_payment": "Wire", "reference_no": row["reference"],
            "docstatus": 2 if gone else 1, "modified": local(row["updated_at"]),
        }  # fmt: skip

    def refund(self, row: dict[str, Any], book: Book) -> dict[str, Any]:
        voucher = ("Payment Entry", f"ACC-PAY-{row['refund_id']}")
        note = by_key(book["invoices"]).get(row["source_id"], {}).get("invoice_number")
        against = ("Sales Invoice", note) if note else ("Payment Entry", f"ACC-PAY-{row['source_id']}")
        self.row(voucher, against, row, row["refunded_on"], Decimal(row["amount"]), row)
        return {
            "name": voucher[1], "payment_type": "Pay", "party_type": "Customer", "party": self.named(row["customer_id"]),
            "company": COMPANIES[row["company_id"]], "posting_date": row["refunded_on"], "paid_amount": Decimal(row["amount"]),
            "docstatus": 1, "modified": local(row["updated_at"]),
        }  # fmt: skip


assert moment(CHANGED).astimezone(UTC).day != moment(CHANGED).astimezone(SITE).day, (
    "a change before midnight there and after it here"
)
