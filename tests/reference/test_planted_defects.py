"""The controls notice: each defect, put on purpose where it could come from, is refused or named by the control that is there for it.

Three places: what a source delivers, what a ledger holds, and what a model could get wrong. For the last the built tables are
tampered with as a wrong model would have left them, and the models' own tests are asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, LandingError
from dagster_project.quality import facts_of, validate
from dagster_project.sources import SourceError
from dagster_project.sources.files import FilesSource
from dagster_project.sources.rest import RestSource
from tests import compiled

from .books import Book
from .proof import BUILT, Desk, write_files

MORNING = date(2025, 6, 30)


def invoice(invoice_id: str, amount: str, customer_id: str = "K1", **more: Any) -> dict[str, Any]:
    return {
        "invoice_id": invoice_id,
        "invoice_number": f"No {invoice_id}",
        "customer_id": customer_id,
        "document_type": "invoice",
        "invoice_date": date(2025, 4, 1),
        "due_date": date(2025, 5, 1),
        "currency": "EUR",
        "amount": Decimal(amount),
        "company_id": "E1",
    } | more


def allocation(allocation_id: str, invoice_id: str, source_id: str, amount: str, **more: Any) -> dict[str, Any]:
    return {
        "allocation_id": allocation_id,
        "invoice_id": invoice_id,
        "source_type": "payment",
        "source_id": source_id,
        "allocated_on": date(2025, 5, 20),
        "amount": Decimal(amount),
    } | more


def good_book() -> Book:
    """A part payment, a prepayment, a bounce, a void, a credit memo, a foreign invoice: small, valid, and tying to its ledger."""
    paid = {"customer_id": "K1", "payment_date": date(2025, 5, 20), "currency": "EUR", "company_id": "E1"}
    return {
        "companies": [
            {"company_id": "E1", "name": "Entity 1", "currency": "EUR"},
            {"company_id": "E2", "name": "Entity 2", "currency": "USD"},
        ],
        "customers": [{"customer_id": name, "name": name, "company_id": "E1"} for name in ("K1", "K2", "K3")],
        "invoices": [
            invoice("PART", "300.00"),
            invoice("BOUNCED", "200.00"),
            invoice("VOIDED", "150.00", voided_on=date(2025, 6, 1)),
            invoice("MEMO", "40.00", document_type="credit_memo"),
            invoice("FOREIGN", "100.00", "K2", currency="USD", company_id="E1"),
            invoice("OTHER", "70.00", "K2", currency="USD", company_id="E2"),
            invoice("PARTS", "90.00", "K3"),
        ],
        "instalments": [
            {"invoice_id": "PARTS", "instalment_number": n, "due_date": date(2025, n, 1), "amount": Decimal("45.00")}
            for n in (5, 7)
        ],
        "payments": [
            {"payment_id": "P1", "amount": Decimal("100.00")} | paid,
            {"payment_id": "P2", "amount": Decimal("200.00"), "reversed_on": date(2025, 6, 10)} | paid,
            {"payment_id": "P3", "amount": Decimal("25.00")} | paid,
        ],
        "allocations": [
            allocation("A1", "PART", "P1", "100.00"),
            allocation("A2", "BOUNCED", "P2", "200.00"),
            allocation("A3", "PART", "MEMO", "10.00", source_type="credit_memo"),
        ],
        "exchange_rates": [
            {"rate_date": day, "currency": "USD", "base_currency": "EUR", "rate": Decimal(rate)}
            for day, rate in ((date(2023, 1, 1), "0.90"), (date(2025, 6, 1), "0.95"))
        ],
        # 300 − 100 − 10 + 200 − 30 + 95 + 90 − 25
        "control_balances": [
            {"company_id": "E1", "as_of": MORNING, "balance": Decimal("520.00")},
            {"company_id": "E2", "as_of": MORNING, "balance": Decimal("70.00")},
        ],
    }


# --- what a source delivers -------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> FilesSource:
    write_files(good_book(), tmp_path / "files")
    return FilesSource(tmp_path / "files")


def test_a_lost_page_fails_the_load(server: Any, answer: Any, landing: Landing) -> None:
    records = [{name: str(value) for name, value in record.items() if value} for record in good_book()["invoices"]]
    server.on("/invoices", answer({"data": records[:4], "next": "/invoices?page=2", "total": len(records)}))
    server.on("/invoices?page=2", answer({"data": records[4:6], "next": None, "total": len(records)}))

    with pytest.raises(SourceError, match=r"invoices.*\b6\b.*\b7\b|invoices.*\b7\b.*\b6\b"):
        landing.land(DATASETS["invoices"], RestSource(server.url, wait=0.001).fetch(DATASETS["invoices"], None), MORNING)

    assert landing.loads(DATASETS["invoices"]) == []


def test_a_page_delivered_twice_lands_once(server: Any, answer: Any, landing: Landing) -> None:
    records = [{name: str(value) for name, value in record.items() if value} for record in good_book()["invoices"]]
    server.on("/invoices", answer({"data": records, "next": "/invoices?page=2"}))
    server.on("/invoices?page=2", answer({"data": records[3:], "next": None}))

    manifest = landing.land(DATASETS["invoices"], RestSource(server.url, wait=0.001).fetch(DATASETS["invoices"], None), MORNING)

    assert (manifest.received, manifest.landed, manifest.repeated) == (11, 7, 4)


@pytest.mark.parametrize(
    ("dataset", "amount", "instead"), [("invoices", "40.00", "as a credit_memo"), ("payments", "25.00", "in refunds")]
)
def test_a_sign_turned_in_the_source_is_refused_with_the_amount(
    source: FilesSource, landing: Landing, dataset: str, amount: str, instead: str
) -> None:
    path = source.folder / f"{dataset}.csv"
    path.write_text(path.read_text("utf-8").replace(f",{amount},", f",-{amount},"), "utf-8")

    with pytest.raises(LandingError, match=f"amount is negative .*{instead}"):
        landing.land(DATASETS[dataset], source.fetch(DATASETS[dataset], None), MORNING)


def test_a_volume_that_falls_to_nothing_breaks_its_expectation(source: FilesSource, landing: Landing) -> None:
    allocations = DATASETS["allocations"]
    landing.land(allocations, source.fetch(allocations, None), MORNING)
    path = source.folder / "allocations.csv"
    path.write_text(path.read_text("utf-8").splitlines()[0] + "\n", "utf-8")

    landing.land(allocations, source.fetch(allocations, None), MORNING)

    verdict = validate(facts_of(landing, allocations, landing.loads(allocations)[-1], MORNING))
    assert [broken for broken in verdict.broken if broken.startswith("volume_share")]


# --- what a ledger holds ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The good book, built with every test passing."""
    desk = Desk(tmp_path_factory.mktemp("clean"), "EUR")
    desk.land(good_book(), MORNING)
    desk.build(MORNING)
    return desk


@pytest.fixture(scope="module")
def controls() -> Mapping[str, str]:
    """The tests of the models, as the queries dbt made of them: name to SQL."""
    nodes = compiled.needed_for(compiled.compiled(reporting_currency="EUR"), *BUILT)
    return {node.name: compiled.at(node, MORNING) for node in nodes if node.kind == "test"}


def named_by(con: duckdb.DuckDBPyConnection, controls: Mapping[str, str]) -> dict[str, str]:
    """The tests that object, and the rows they object to."""
    found = {name: con.execute(sql).fetchall() for name, sql in controls.items()}
    return {name: str(rows) for name, rows in found.items() if rows}


@pytest.fixture(scope="module")
def objections(controls: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the tests say of the same book with something wrong with each of these records."""
    book = good_book()
    book["invoices"] += [
        invoice("TWICE", "80.00"),
        invoice("UNEVEN", "50.00", "K3"),
        invoice("GBP-1", "60.00", currency="GBP"),
        invoice("MISBOOKED", "33.00", "K2", currency="USD", company_id="E2"),  # the ledger has it in E1
        invoice("STRANGE", "0.00", "nobody"),
        invoice("OWING-CREDIT", "15.00", document_type="credit_memo"),
    ]
    book["instalments"].append(
        {"invoice_id": "UNEVEN", "instalment_number": 1, "due_date": date(2025, 5, 1), "amount": Decimal("49.98")}
    )
    paid = {"customer_id": "K1", "currency": "EUR", "company_id": "E1"}
    book["payments"] += [
        {"payment_id": "P4", "payment_date": date(2025, 5, 20), "amount": Decimal("80.00")} | paid,
        {"payment_id": "P-DOLLAR", "payment_date": date(2025, 5, 20), "amount": Decimal("9.00")} | paid | {"currency": "USD"},
        {"payment_id": "TOMORROW", "payment_date": date(2025, 7, 1), "amount": Decimal("210.00")} | paid,
    ]
    book["allocations"] += [
        allocation("A4", "TWICE", "P4", "80.00"),
        allocation("A4-again", "TWICE", "P4", "80.00"),
        allocation("ORPHAN", "NO-SUCH-INVOICE", "P1", "1.00"),
        allocation("FATHERLESS", "PART", "NO-SUCH-PAYMENT", "1.00"),
        allocation("MIXED", "PART", "P-DOLLAR", "9.00"),
        allocation("ON-CREDIT", "OWING-CREDIT", "P1", "1.00"),
        allocation("A-TOMORROW", "PART", "TOMORROW", "210.00", allocated_on=date(2025, 7, 1)),
    ]
    book["control_balances"][1] |= {"as_of": date(2025, 6, 29)}
    desk = Desk(tmp_path_factory.mktemp("dirty"), "EUR")
    desk.land(book, MORNING)
    desk.build(MORNING, test=False)
    return named_by(desk.built.con, controls)


@pytest.mark.parametrize(
    ("control", "named"),
    [
        ("open_items_not_over_allocated", "'TWICE'"),
        ("open_items_not_over_allocated", "'payment/P4'"),
        ("allocations_have_parents", "('ORPHAN', 'NO-SUCH-INVOICE', 'payment', 'P1', Decimal('1.0000'), 'no such invoice"),
        (
            "allocations_have_parents",
            "('FATHERLESS', 'PART', 'payment', 'NO-SUCH-PAYMENT', Decimal('1.0000'), 'no such payment')",
        ),
        (
            "allocations_in_other_currencies_are_told",
            "('MIXED', 'PART', 'payment', 'P-DOLLAR', Decimal('9.0000'), 'in another currency",
        ),
        ("allocations_have_parents", "('ON-CREDIT', 'OWING-CREDIT'"),
        ("instalments_add_up", "('UNEVEN', Decimal('50.0000'), Decimal('49.9800'))"),
        ("exchange_rates_are_there", "('GBP', 'EUR', datetime.date(2025, "),
        ("customers_are_known", "('nobody', 1)"),
        ("control_account_verified", "'E2'"),
    ],
)
def test_what_is_wrong_in_a_ledger_is_named(objections: dict[str, str], control: str, named: str) -> None:
    assert named in objections.get(control, "")


def test_nothing_else_is_objected_to(objections: dict[str, str]) -> None:
    """A missing rate leaves sums without an answer; apart from that each defect trips its own control and no other."""
    assert set(objections) == {
        *("open_items_not_over_allocated", "allocations_have_parents", "instalments_add_up", "exchange_rates_are_there"),
        *("customers_are_known", "control_account_verified", "control_account_ties", "roll_forward_closes"),
        "allocations_in_other_currencies_are_told",
    }


# --- what a model could get wrong -------------------------------------------------------------------------------------

OPEN_ITEMS, AGING, HISTORY = "published.marts.open_items", "published.marts.aging_by_customer", "published.marts.aging_history"


@pytest.fixture(scope="module")
def tables(clean: Desk) -> duckdb.DuckDBPyConnection:
    return clean.built.con


def test_nothing_is_objected_to_in_a_good_book(tables: duckdb.DuckDBPyConnection, controls: Mapping[str, str]) -> None:
    assert len(controls) > 20
    assert named_by(tables, controls) == {}


@pytest.mark.parametrize(
    ("defect", "tampering", "control", "named"),
    [
        (
            "a join that fans out",
            f"insert into {OPEN_ITEMS} select * from {OPEN_ITEMS} where item_id = 'PART'",
            "open_items_one_row_per_item",
            "PART",
        ),
        (
            "a fan-out that is summed up",
            f"update {AGING} set balance = balance + 190 where customer_id = 'K1'",
            "nothing_open_is_lost",
            "K1",
        ),
        (
            "the sign of a credit turned",
            f"update {OPEN_ITEMS} set open_amount = -open_amount where item_id = 'MEMO'",
            "nothing_open_is_lost",
            "K1",
        ),
        (
            "a void ignored",
            f"insert into {OPEN_ITEMS} by name select * replace ('VOIDED' as item_id, 150 as open_amount) from {OPEN_ITEMS} "
            "where item_id = 'BOUNCED'",
            "nothing_open_is_lost",
            "K1",
        ),
        ("an item lost", f"delete from {OPEN_ITEMS} where item_id = 'PARTS/7'", "nothing_open_is_lost", "K3"),
        ("a wrong entity", f"update {OPEN_ITEMS} set company_id = 'E2' where item_id = 'FOREIGN'", "nothing_open_is_lost", "E2"),
        (
            "two currencies in one sum",
            f"update {OPEN_ITEMS} set currency = 'EUR' where item_id = 'FOREIGN'",
            "nothing_open_is_lost",
            "USD",
        ),
        (
            "a credit netted into a bucket",
            f"update {HISTORY} set d31_60 = d31_60 - 30 where customer_id = 'K1' and snapshot_date = as_of",
            "aging_history_adds_up",
            "K1",
        ),
        (
            "more in dispute than is open",
            f"update {OPEN_ITEMS} set disputed_amount = 1000 where item_id = 'PART'",
            "open_items_disputed_within_open",
            "PART",
        ),
        (
            "a stale rate",
            "update published.marts.control_reconciliation set subledger_balance = 515, difference = -5, tied = false, "
            "state = 'untied' where company_id = 'E1'",
            "control_account_ties",
            "E1",
        ),
        (
            "a movement left out",
            "update published.marts.roll_forward set billed = billed - 300 where company_id = 'E1' and month = date '2025-04-01'",
            "roll_forward_closes",
            "E1",
        ),
        (
            "early money that pays for late",
            "update published.marts.days_beyond_terms_monthly set dbt_days = -3 where customer_id = 'K1' and month = date '2025-05-01'",
            "days_beyond_terms_monthly_weighs_both_parts",
            "K1",
        ),
    ],
)
def test_what_a_model_could_get_wrong_is_named(
    tables: duckdb.DuckDBPyConnection, controls: Mapping[str, str], defect: str, tampering: str, control: str, named: str
) -> None:
    tables.begin()
    try:
        (changed,) = tables.execute(tampering).fetchone() or (0,)
        objected = named_by(tables, controls)
    finally:
        tables.rollback()

    assert changed, f"{defect}: nothing was tampered with"
    assert named in objected.get(control, ""), f"{defect}: objections are {sorted(objected)}"
