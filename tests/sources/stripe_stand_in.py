"""Stripe, as its OpenAPI description and pages have it: an account in Berlin with a small ledger of its own, since Stripe has no credit
without an invoice and no money on account.

Belongs here: the lists and how they are cut. Does not belong here: what is to come of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.sources.stand_in import Reply, Request, StandIn

KEY = "rk_live_5f0e4a6e"
BERLIN = ZoneInfo("Europe/Berlin")
LISTS = ("customers", "invoices", "invoice_payments", "credit_notes", "refunds", "disputes")


def at(day: str, hour: int = 0) -> int:
    """An instant of a day in Berlin, in seconds."""
    return int(datetime.fromisoformat(f"{day}T{hour:02}:30:00").replace(tzinfo=BERLIN).timestamp())


def invoice(
    key: str, day: str, total: int, paid: int = 0, *, due: int | None = None, currency: str = "eur", **more: Any
) -> dict[str, Any]:
    """An invoice of so many of the smallest units; `due` is what of it was asked for, less credits."""
    asked = total if due is None else due
    status = "paid" if paid >= asked else "open"
    paid_at = at("2025-06-20") if status == "paid" else None
    return {
        "id": f"in_{key}", "object": "invoice", "number": f"RE-{key}", "livemode": True, "status": status, "created": at(day),
        "customer": "cus_nord", "collection_method": "send_invoice", "currency": currency, "total": total, "amount_due": asked,
        "amount_paid": paid, "amount_remaining": asked - paid, "pre_payment_credit_notes_amount": 0, "due_date": at("2025-07-15", 23),
        "effective_at": None,
        "custom_fields": [{"name": "PO Number", "value": f"PO {key}"}], "total_taxes": [{"amount": 100}, {"amount": 19}],
        "hosted_invoice_url": f"https://pay.example/{key}",
        "status_transitions": {"finalized_at": at(day), "paid_at": paid_at, "voided_at": None, "marked_uncollectible_at": None}, **more,
    }  # fmt: skip


def payment(
    key: str, of: str, day: str, amount: int, intent: str, *, kind: str = "payment_intent", currency: str = "eur"
) -> dict[str, Any]:
    """So much of a payment, put to an invoice."""
    return {
        "id": f"inpay_{key}", "object": "invoice_payment", "livemode": True, "status": "paid", "invoice": f"in_{of}", "amount_paid": amount,
        "currency": currency, "created": at(day), "payment": {"type": kind, kind: intent}, "status_transitions": {"paid_at": at(day)},
    }  # fmt: skip


def note(key: str, of: str, day: str, before: int, **more: Any) -> dict[str, Any]:
    """A credit note that lowers an invoice by so much before it is paid."""
    return {
        "id": f"cn_{key}", "object": "credit_note", "number": f"GS-{key}", "livemode": True, "status": "issued", "invoice": f"in_{of}",
        "customer": "cus_nord", "currency": "eur", "created": at(day), "effective_at": None, "voided_at": None, "refunds": [],
        "pre_payment_amount": before, "post_payment_amount": 0, "out_of_band_amount": None, **more,
    }  # fmt: skip


class Stripe(StandIn):
    """One account, its lists newest first."""

    def __init__(self) -> None:
        super().__init__({})
        self.lists: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}

    def lets_in(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {KEY}"

    def refused(self, request: Request) -> Reply:
        return self.fault("Invalid API Key provided: rk_live_****4a6e", 401)

    def fault(self, message: str, status: int, **headers: str) -> Reply:
        return Reply({"error": {"type": "invalid_request_error", "message": message}}, status, {"Request-Id": "req_7", **headers})

    def data(self, request: Request) -> Reply:
        if request.headers.get("Stripe-Version") != "2025-03-31.basil":
            return self.fault("Invalid Stripe API version", 400)
        name = request.path.removeprefix("/v1/")
        if name == "account":
            return Reply({
                "id": "acct_1", "business_profile": {"name": "Wir Handel GmbH"}, "country": "DE", "default_currency": "eur",
                "settings": {"dashboard": {"timezone": "Europe/Berlin"}},
            })  # fmt: skip
        if name not in LISTS:
            return self.fault(f"Unrecognized request URL (GET: {request.path})", 404)
        asked = request.query
        found = sorted(
            (each for each in self.lists[name] if each["created"] <= int(asked.get("created[lte]", each["created"]))
             and each.get("collection_method") == asked.get("collection_method", each.get("collection_method"))),
            key=lambda each: (-each["created"], each["id"]),
        )  # fmt: skip
        start = next((place for place, each in enumerate(found, 1) if each["id"] == asked.get("starting_after")), 0)
        size = int(asked.get("limit", 10))
        return Reply(
            {"object": "list", "url": request.path, "data": found[start : start + size], "has_more": start + size < len(found)}
        )
