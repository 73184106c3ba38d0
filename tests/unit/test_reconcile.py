"""The page a controller signs: what the source says is open beside ours, by document and by customer, with what most likely is why."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.reconcile import NothingToReconcile, reconcile
from dagster_project.settings import Settings
from dagster_project.sources import Aged, SourceError
from dagster_project.sources.catalogue import CONNECTORS

D = Decimal


@pytest.fixture
def published(make_settings: Callable[..., Settings], mart: Callable[..., pa.Table], tmp_path: Path) -> Settings:
    """A morning of four customers: of A's two documents one differs by a payment, B has money on account, C a credit, D dollars."""
    settings = make_settings(source="files", files_dir=tmp_path)
    folder = settings.published / "parquet"
    folder.mkdir(parents=True)
    item = {"company_id": "C1", "currency": "EUR", "base_currency": "EUR"}

    def open_item(customer: str, kind: str, amount: str, base: str | None = None, **more: Any) -> dict[str, Any]:
        return {
            **item,
            "customer_id": customer,
            "item_type": kind,
            "open_amount": D(amount),
            "open_amount_base": D(base or amount),
            **more,
        }

    held = {
        "open_items": [
            open_item("A", "invoice", "100"),
            open_item("B", "invoice", "50"),
            open_item("B", "payment", "-20"),
            open_item("C", "credit_memo", "-7.50"),
            open_item("D", "invoice", "1000", "900.01", currency="USD"),
        ],
        "document_reconciliation": [
            {"company_id": "C1", "customer_id": "A", "item_id": "I1", "document_number": "=1|2", "currency": "EUR", "reported": D(70),
             "open_amount": D(100), "difference": D(-30), "likely_cause": "an allocation that was not delivered"},
        ],
        "reconciliation_totals": [
            {"company_id": "C1", "currency": "EUR", "documents_reported": 1234, "documents_differing": 1, "reported": D("112.50"),
             "open_amount": D("142.5"), "difference": D(-30), "documents_not_reported": 0, "open_amount_not_reported": D(0)},
        ],
        "control_reconciliation": [{"company_id": "C1", "currency": "EUR", "subledger_balance": D("1022.51"), "state": "unverified"}],
    }  # fmt: skip
    for name, rows in held.items():
        pq.write_table(mart(name, *rows), folder / f"{name}.parquet")
    run = {"as_of": [date(2025, 6, 30)], "source": ["files"], "policy": ["net_terms"], "run_id": ["r1"]}
    pq.write_table(pa.table(run), folder / "run.parquet")
    return settings


def with_report(monkeypatch: pytest.MonkeyPatch, *said: Aged) -> None:
    monkeypatch.setitem(CONNECTORS, "files", replace(CONNECTORS["files"], aged=lambda source, day: iter(said)))


def test_documents_are_totalled_and_listed_by_cause(published: Settings) -> None:
    text, page = reconcile(published)

    assert page == published.home / "reports" / "reconciliation" / "2025-06-30" / "reconciliation.md"
    assert page.read_text("utf-8") == text
    assert (
        "| C1      | EUR      |     1,234 |      1 |     112.50 |    142.50 |     -30.00 |            0 |               0.00 |"
        in text
    )
    assert "| an allocation that was not delivered | EUR      |         1 |     -30.00 |" in text
    assert (
        "| =1\\|2    | A        | EUR      |      70.00 |    100.00 |     -30.00 | an allocation that was not delivered |" in text
    )
    assert "`files` has none that can be asked for." in text
    assert "| C1      | EUR      |  1,022.51 |" in text
    assert "Approved by (controller): ____" in text
    (row,) = csv.DictReader((page.parent / "documents.csv").open("r", encoding="utf-8"))
    assert (row["document_number"], row["difference"]) == ("'=1|2", "-30.0000")


def test_customers_are_held_against_the_sources_own_report_with_what_explains_it(
    published: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = {"A": "70", "B": "50", "C": "0", "D": "900", "E": "5", "F": "0.02"}
    with_report(monkeypatch, *(Aged(customer, "EUR", D(balance)) for customer, balance in reported.items()))

    text, page = reconcile(published)

    said = {row["customer_id"]: row for row in csv.DictReader((page.parent / "customers.csv").open("r", encoding="utf-8"))}
    assert {customer: (row["difference"], row["cause"]) for customer, row in said.items()} == {
        "A": ("-30.0000", "documents that differ, see above"),
        "B": ("20.0000", "money on account, which the report leaves out"),
        "C": ("7.5000", "credits, which the report leaves out"),
        "D": ("-0.0100", "documents in another currency: here at the rate of the day, there at that of the document"),
        "E": ("5.0000", "not explained"),
        "F": ("0.0200", "cents: what rounding leaves of settled documents in another currency"),
    }
    assert "| EUR      |         6 |      6 |   1,025.02 |  1,022.51 |       2.51 |" in text
    assert "| not explained " in text


def test_a_report_that_agrees_or_cannot_be_had_is_said(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"A": "100", "B": "30", "C": "-7.5", "D": "900.01"}
    with_report(monkeypatch, *(Aged(customer, "EUR", D(balance)) for customer, balance in ours.items()))
    assert "Every customer owes what the source says." in reconcile(published)[0]

    def refuses(source: Any, day: date) -> list[Aged]:
        raise SourceError("403 Forbidden")

    monkeypatch.setitem(CONNECTORS, "files", replace(CONNECTORS["files"], aged=refuses))
    assert "could not be had: 403 Forbidden" in reconcile(published)[0]


def test_without_a_morning_the_way_to_one_is_said(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(NothingToReconcile, match="make run"):
        reconcile(make_settings())
