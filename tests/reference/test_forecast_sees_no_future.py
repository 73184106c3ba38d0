"""The benchmark of the forecast walks through mornings that know what was known then: one that knows more is noticed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from dagster_project.contract import Dataset
from dagster_project.landing import Known, Landing
from tests import compiled
from tests.benchmarks import forecast

JUNE, JULY = date(2025, 6, 30), date(2025, 7, 31)


@pytest.fixture
def ledger(tmp_path: Path) -> forecast.Ledger:
    """A customer that pays an invoice a week after it is due, twice; the second time in July."""
    folder = tmp_path / "ledger"
    folder.mkdir()
    due = (date(2025, 5, 20), date(2025, 6, 25))
    (folder / "customers.csv").write_text("customer_id,name\nK,Kay\n", "utf-8")
    (folder / "invoices.csv").write_text(
        "invoice_id,invoice_number,customer_id,document_type,invoice_date,due_date,currency,amount\n"
        + "".join(f"I{n},I{n},K,invoice,{day - timedelta(days=30)},{day},EUR,100\n" for n, day in enumerate(due)),
        "utf-8",
    )
    (folder / "payments.csv").write_text(
        "payment_id,customer_id,payment_date,currency,amount,reversed_on\n"
        f"P0,K,{due[0] + timedelta(days=7)},EUR,100,2025-07-15\nP1,K,{due[1] + timedelta(days=7)},EUR,100,\n",
        "utf-8",
    )
    return forecast.Ledger(folder)


@pytest.fixture
def refused(ledger: forecast.Ledger, tmp_path: Path) -> Callable[..., None]:
    def refused(delivered: forecast.Ledger, known: Known = "then") -> None:
        landing = Landing(tmp_path / "landing", tmp_path / "quarantine")
        for day in (JUNE, JULY):
            forecast.land(landing, delivered, day)
        nodes = compiled.needed_for(compiled.compiled(), "stg_erp__payments")
        built = compiled.build(nodes, landing, JUNE, tmp_path / "built", known, test=False)
        forecast.refuse_foreseen(built.con, ledger, JUNE)

    return refused


class Leaking(forecast.Ledger):
    """Knows a payment of July in June already, as of its last day."""

    def known_on(self, dataset: Dataset, day: date) -> pa.Table:
        if dataset.name == "payments":
            self.con.execute("update payments set payment_date = '2025-06-30' where payment_id = 'P1'")
        return super().known_on(dataset, day)


def test_what_was_known_then_is_not_refused(refused: Callable[..., None], ledger: forecast.Ledger) -> None:
    refused(ledger)


def test_a_payment_that_is_known_early_is_refused(refused: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(forecast.ForeseenError, match="payments what came later: payment_id P1"):
        refused(Leaking(tmp_path / "ledger"))


def test_a_morning_that_sees_later_loads_is_refused(refused: Callable[..., None], ledger: forecast.Ledger) -> None:
    with pytest.raises(forecast.ForeseenError, match="payment"):
        refused(ledger, "now")
