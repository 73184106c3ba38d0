"""Tryton's receivables as datasets, from a server that answers as Tryton 8.2 does: values that name their class, pages behind an id."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dagster_project.connect import connect
from dagster_project.contract import DATASETS
from dagster_project.loopback import LoopbackServer
from dagster_project.settings import Settings
from dagster_project.sources import SourceError
from dagster_project.sources.tryton import TrytonSource

KEY = "k3y-of-the-application"


def money(text: str | None) -> dict[str, str] | None:
    return text and {"__class__": "Decimal", "decimal": text}


def day(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    on = date.fromisoformat(text)
    return {"__class__": "date", "year": on.year, "month": on.month, "day": on.day}


STAMP = {"__class__": "datetime", "year": 2025, "month": 9, "day": 1, "hour": 6, "minute": 30, "second": 0, "microsecond": 0}


def invoice(
    number: int, total: str, on: str, *, currency: str = "EUR", state: str = "posted", move: int | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "id": number, "number": f"INV-{number}", "type": "out", "party": 7, "invoice_date": day(on),
        "currency": {"code": currency, "digits": 2},
        "total_amount": money(total), "tax_amount": money("0.00"), "payment_term": None, "reference": None, "state": state,
        "move": move if move is not None else number, "cancel_move": None, "lines_to_pay": [], "amount_to_pay": money("0"),
        "write_date": None, "create_date": STAMP, **more,
    }  # fmt: skip


def line(
    number: int, move: int, on: str, amount: str, *, journal: str = "revenue", due: str | None = None, pays: int | None = None,
    group: int | None = None, foreign: tuple[str, str] | None = None, undoes: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    debit = Decimal(amount)
    return {
        "id": number, "party": 7, "date": day(on), "maturity_date": day(due), "debit": money(str(max(debit, Decimal(0)))),
        "credit": money(str(max(-debit, Decimal(0)))), "amount_second_currency": money(foreign[1]) if foreign else None,
        "second_currency": {"code": foreign[0]} if foreign else None, "reconciliation": group and {"id": group, "date": day(on)},
        "origin": f"account.move.line,{undoes}" if undoes else None, "description": None, "invoice_payment": pays,
        "move": {"id": move, "number": str(move), "origin": None, "journal": {"name": journal, "type": journal}},
        "write_date": None, "create_date": STAMP,
    }  # fmt: skip


class Ledger:
    """What the server holds, model by model, and what it was asked."""

    def __init__(self) -> None:
        self.models: dict[str, list[dict[str, Any]]] = {
            "company.company": [
                {"id": 1, "party": {"id": 1, "name": "Wir GmbH"}, "currency": {"code": "EUR"}, "timezone": "Europe/Berlin"}
            ],
            "party.party": [
                {"id": 7, "code": "D7", "name": "Seven", "active": 1, "lang": {"code": "de"}, "customer_payment_term": None,
                 "write_date": STAMP, "create_date": STAMP, "credit_limit_amount": money("500")},
                {"id": 8, "code": "S8", "name": "A supplier", "active": 1, "lang": None, "customer_payment_term": None,
                 "write_date": None, "create_date": STAMP, "credit_limit_amount": None},
            ],
            "party.contact_mechanism": [{"id": 1, "party": 7, "type": "email", "value": "ap@seven.example"}],
            "ir.model.field": [{"id": 1, "name": "credit_limit_amount", "model": "party.party"}],
        }  # fmt: skip
        self.asked: list[str] = []
        self.refused: set[str] = set()

    def answer(self, model: str, domain: list[Any], size: int) -> list[dict[str, Any]]:
        self.asked.append(model)
        records = self.models.get(model, [])
        for name, operator, value in domain:
            if operator == ">" and name == "id":
                records = [record for record in records if record["id"] > value]
            if operator == "=" and model == "ir.model.field":
                records = [record for record in records if record[name] == value]
            if model == "account.invoice" and name == "type":
                records = [record for record in records if record["type"] == value]
        return records[:size]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def source(ledger: Ledger) -> Iterator[TrytonSource]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(place.query).items()}
            model = place.path.rpartition("/")[2]
            status = 401 if self.headers["Authorization"] != f"Bearer {KEY}" else 403 if model in ledger.refused else 200
            body = b"<!doctype html><title>not for you</title>"
            if status == 200:
                domain = json.loads(base64.urlsafe_b64decode(asked["d"]))
                body = json.dumps(ledger.answer(model, domain, int(asked["s"]))).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = LoopbackServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opened = TrytonSource(f"http://127.0.0.1:{server.server_port}/ledger", KEY, page_rows=2, wait=0)
    yield opened
    opened.http.close()
    server.shutdown()
    server.server_close()


def records(source: TrytonSource, dataset: str) -> list[dict[str, str]]:
    delivery = source.fetch(DATASETS[dataset], None)
    assert delivery is not None
    assert delivery.full
    return [
        {name: value for name, value in row.items() if value is not None} for page in delivery.pages for row in page.to_pylist()
    ]


def edges(source: TrytonSource) -> set[tuple[str, str, str | None, str]]:
    return {
        (row["invoice_id"], row["source_type"], row.get("source_id"), row["amount"]) for row in records(source, "allocations")
    }


def test_customers_are_those_who_owe_with_what_is_known_of_them(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [invoice(1, "100.00", "2025-08-01")]

    (customer,) = records(source, "customers")

    assert customer["customer_id"] == "7"
    assert (customer["email"], customer["language"], customer["credit_limit"]) == ("ap@seven.example", "de", "500")
    assert records(source, "companies") == [
        {"company_id": "1", "name": "Wir GmbH", "currency": "EUR", "timezone": "Europe/Berlin"}
    ]


def test_a_payment_settles_the_invoice_it_names_and_two_maturities_are_instalments(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [invoice(1, "100.01", "2025-08-01"), invoice(2, "20.00", "2025-08-01", state="draft")]
    ledger.models["account.move.line"] = [
        line(11, 1, "2025-08-01", "50.00", due="2025-08-20"),
        line(12, 1, "2025-08-01", "50.01", due="2025-09-10"),
        line(13, 90, "2025-08-19", "-60.00", journal="cash", pays=1),
        line(14, 91, "2025-08-21", "-5.00", journal="cash"),
    ]

    assert [row["invoice_id"] for row in records(source, "invoices")] == ["1"], "a draft is no document"
    assert records(source, "invoices")[0]["due_date"] == "2025-09-10"
    assert [(row["due_date"], row["amount"]) for row in records(source, "instalments")] == [
        ("2025-08-20", "50.00"),
        ("2025-09-10", "50.01"),
    ]
    assert [(row["payment_id"], row["amount"]) for row in records(source, "payments")] == [("13", "60.00"), ("14", "5.00")]
    assert edges(source) == {("1", "payment", "13", "60.00")}


def test_what_is_left_out_is_counted_by_name(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [
        invoice(1, "100.00", "2025-08-01"),
        invoice(2, "20.00", "2025-08-01", state="draft"),
        {**invoice(3, "70.00", "2025-08-01"), "type": "in"},
    ]
    ledger.models["account.move.line"] = [
        line(11, 1, "2025-08-01", "100.00", due="2025-08-31"),
        line(12, 91, "2025-08-30", "2.00", journal="exchange"),
    ]

    told = {}
    for name in ("invoices", "payments", "customers"):
        delivery = source.fetch(DATASETS[name], None)
        assert delivery is not None
        list(delivery.pages)
        told[name] = delivery.left_out

    assert told == {
        "invoices": {"drafts and cancelled drafts": 1, "documents of suppliers": 1},
        "payments": {"lines of company currency alone": 0, "exchange moves": 1},
        "customers": {"parties without receivables": 1},
    }


def test_a_payment_taken_back_is_reversed_on_the_day_it_was(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [invoice(1, "100.00", "2025-08-01")]
    ledger.models["account.move.line"] = [
        line(11, 1, "2025-08-01", "100.00", due="2025-08-31"),
        line(13, 90, "2025-08-30", "-100.00", journal="cash", pays=1, group=5),
        {**line(14, 91, "2025-09-03", "100.00", journal="cash", undoes=13, group=5)},
    ]

    (payment,) = records(source, "payments")

    assert payment["reversed_on"] == "2025-09-03"
    assert edges(source) == {("1", "payment", "13", "100.00")}
    assert records(source, "refunds") == []


def test_a_credit_note_is_put_against_what_it_was_reconciled_with(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [
        invoice(1, "100.00", "2025-08-01", state="paid"),
        invoice(2, "-30.00", "2025-08-05", state="paid"),
    ]
    ledger.models["account.move.line"] = [
        line(11, 1, "2025-08-01", "100.00", due="2025-08-31", group=4),
        line(12, 2, "2025-08-05", "-30.00", due="2025-08-05", group=4),
        line(13, 90, "2025-08-30", "-65.00", journal="cash", pays=1, group=4),
        line(14, 92, "2025-08-30", "-5.00", journal="write-off", group=4),
    ]

    assert [(row["document_type"], row["amount"]) for row in records(source, "invoices")] == [
        ("invoice", "100.00"),
        ("credit_memo", "30.00"),
    ]
    assert edges(source) == {
        ("1", "payment", "13", "65.00"),
        ("1", "credit_memo", "2", "30.00"),
        ("1", "write_off", None, "5.00"),
    }


def test_an_invoice_cancelled_by_a_credit_note_stays_and_one_cancelled_by_a_move_is_void(
    source: TrytonSource, ledger: Ledger
) -> None:
    by_note = {"id": 2, "date": day("2025-08-05")}
    ledger.models["account.invoice"] = [
        invoice(1, "100.00", "2025-08-01", state="cancelled", cancel_move=by_note),
        invoice(2, "-100.00", "2025-08-05", state="paid"),
        invoice(3, "40.00", "2025-08-02", state="cancelled", cancel_move={"id": 80, "date": day("2025-08-07")}),
    ]
    ledger.models["account.move.line"] = [
        line(11, 1, "2025-08-01", "100.00", due="2025-08-31", group=4),
        line(12, 2, "2025-08-05", "-100.00", due="2025-08-05", group=4),
        line(13, 3, "2025-08-02", "40.00", due="2025-08-31", group=6),
        line(14, 80, "2025-08-07", "-40.00", group=6, undoes=13),
    ]

    assert {row["invoice_id"]: row.get("voided_on") for row in records(source, "invoices")} == {
        "1": None,
        "2": None,
        "3": "2025-08-07",
    }
    assert edges(source) == {("1", "credit_memo", "2", "100.00")}


def test_amounts_are_of_the_documents_currency_and_exchange_moves_are_none(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [invoice(1, "100.00", "2025-08-01", currency="USD", state="paid")]
    ledger.models["account.move.line"] = [
        line(11, 1, "2025-08-01", "90.00", due="2025-08-31", group=4, foreign=("USD", "100.00")),
        line(12, 90, "2025-08-30", "-92.00", journal="cash", pays=1, group=4, foreign=("USD", "-100.00")),
        line(13, 91, "2025-08-30", "2.00", journal="exchange", group=4),
    ]
    rate = {"date": day("0001-01-01"), "currency": {"code": "USD"}, "rate": money("1.25")}
    ledger.models["currency.currency.rate"] = [
        {"id": 1, **rate},
        {"id": 2, **rate, "date": day("2025-08-01"), "rate": money("1.1")},
    ]

    (payment,) = records(source, "payments")

    assert (payment["currency"], payment["amount"]) == ("USD", "100.00")
    assert edges(source) == {("1", "payment", "12", "100.00")}
    assert len(records(source, "invoices")) == 1
    assert [(row["rate_date"], row["rate"]) for row in records(source, "exchange_rates")] == [
        ("1970-01-01", "0.8000000000"),
        ("2025-08-01", "0.9090909091"),
    ]


def test_a_payment_in_another_currency_says_both_amounts(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [invoice(1, "100.00", "2025-08-01", currency="USD")]
    ledger.models["account.move.line"] = [
        line(11, 1, "2025-08-01", "90.00", due="2025-08-31", foreign=("USD", "100.00")),
        line(12, 90, "2025-08-30", "-45.00", journal="cash", pays=1),
    ]

    (edge,) = records(source, "allocations")

    assert (edge["amount"], edge["source_amount"]) == ("50.00", "45.00")


def test_money_paid_out_is_a_refund_and_a_journal_that_raises_a_debt_a_memo(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [invoice(2, "-30.00", "2025-08-05")]
    ledger.models["account.move.line"] = [
        line(12, 2, "2025-08-05", "-30.00", due="2025-08-05"),
        line(13, 90, "2025-08-20", "30.00", journal="cash", pays=2),
        line(14, 91, "2025-08-21", "12.50", journal="general", due="2025-09-01"),
    ]

    (refund,) = records(source, "refunds")

    assert (refund["amount"], refund["source_type"], refund["source_id"]) == ("30.00", "credit_memo", "2")
    memo = records(source, "invoices")[1]
    assert (memo["invoice_id"], memo["document_type"], memo["due_date"]) == ("line:14", "debit_memo", "2025-09-01")


def test_a_model_is_walked_once_page_by_page(source: TrytonSource, ledger: Ledger) -> None:
    ledger.models["account.invoice"] = [invoice(number, "10.00", "2025-08-01") for number in range(1, 6)]
    ledger.models["account.move.line"] = [
        line(number + 10, number, "2025-08-01", "10.00", due="2025-08-31") for number in range(1, 6)
    ]

    assert len(records(source, "invoices")) == 5
    assert records(source, "payments") == records(source, "allocations") == []

    assert ledger.asked.count("account.invoice") == 3 + 1, "two, two and the last; and what there is of suppliers"
    assert ledger.asked.count("account.move.line") == 3
    assert ledger.asked.count("company.company") == 1


def test_what_is_wrong_with_key_or_company_is_said(source: TrytonSource, ledger: Ledger) -> None:
    second = {**ledger.models["company.company"][0], "id": 2, "party": {"id": 9, "name": "Sie AG"}}
    ledger.models["company.company"].append(second)
    with pytest.raises(SourceError, match="ARREARS_TRYTON_COMPANY: say which company; the key's user sees 1 Wir GmbH, 2 Sie AG"):
        records(source, "companies")

    stranger = TrytonSource(source.url, "another", wait=0)
    with pytest.raises(SourceError, match=r"401 Unauthorized.*check ARREARS_TRYTON_KEY"):
        records(stranger, "companies")
    stranger.http.close()


def test_connecting_shows_companies_rights_and_what_comes(
    source: TrytonSource, ledger: Ledger, make_settings: Callable[..., Settings]
) -> None:
    ledger.models["account.invoice"] = [invoice(1, "100.00", "2025-08-01"), invoice(2, "20.00", "2025-08-01", state="draft")]
    ledger.models["account.move.line"] = [line(11, 1, "2025-08-01", "100.00", due="2025-08-31")]
    settings = make_settings(source="tryton", tryton_url=source.url, tryton_key=KEY)
    seen: list[str] = []

    assert connect(settings, "tryton", seen.append)
    assert "companies  1  Wir GmbH" in seen
    assert "invoices                       1  left out: 1 drafts and cancelled drafts" in seen
    assert "  currency              EUR" in seen

    ledger.refused.add("account.invoice")
    seen.clear()
    assert not connect(settings, "tryton", seen.append)
    missing = seen[seen.index("\nWhat is missing in rights:") + 1]
    assert missing.startswith("  account.invoice (invoices): ")
    assert missing.endswith("Put the key's user into the groups Accounting, Party and Dunning")
    assert not any("?f=" in text for text in seen), "no more of an address than a person can use"
    assert any(text.startswith("  customers, invoices, instalments, payments, ") for text in seen), "the same words once"

    wrong = make_settings(source="tryton", tryton_url=source.url, tryton_key=KEY, tryton_company=9)
    seen.clear()
    assert not connect(wrong, "tryton", seen.append)
    assert "companies  1  Wir GmbH" in seen, "which there are is shown, though another is set"
    assert any("9 is not a company that the key's user sees: 1 Wir GmbH" in text for text in seen)

    seen.clear()
    assert not connect(make_settings(source="tryton", tryton_url=source.url, tryton_key="another"), "tryton", seen.append)
    assert "check ARREARS_TRYTON_KEY" in seen[-1]
