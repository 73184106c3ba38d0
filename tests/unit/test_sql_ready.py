"""The folders of queries that ship: each reads the same small book out of its own tables, to the cent, and says what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.settings import Settings
from dagster_project.sources import SourceError
from dagster_project.sources.catalogue import CONNECTORS, Sources
from dagster_project.sources.sql import READY, SqlSource
from tests.ready import BOOKS, edges, read, settled, statements


@pytest.fixture(scope="module", params=sorted(BOOKS))
def book(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A ready folder's name, and the address of a database with its book."""
    file = tmp_path_factory.mktemp(request.param) / "books.duckdb"
    con = duckdb.connect(str(file))
    for statement in statements(request.param):
        con.execute(statement)
    con.close()
    return request.param, f"duckdb:///{file}"


def test_every_document_and_payment_is_as_open_as_the_book_has_it(book: tuple[str, str]) -> None:
    name, url = book
    told = read(url, name)

    documents, payments = settled(told)

    assert documents == {key: Decimal(amount) for key, amount in BOOKS[name].open.items()}
    assert payments == {key: Decimal(amount) for key, amount in BOOKS[name].unapplied.items()}
    assert edges(told) == BOOKS[name].edges
    assert told["left_out"] == [BOOKS[name].left_out]
    for row in told["invoices"]:
        reported = row["open_amount_reported"]
        assert reported is None or Decimal(reported) == abs(documents[row["invoice_id"]]), row


def test_what_customers_owe_by_the_sources_own_books_is_what_the_edges_leave(book: tuple[str, str]) -> None:
    name, url = book
    source = SqlSource(url, READY / name)

    if BOOKS[name].owed:
        said = {(each.customer_id, each.currency): each.balance for each in source.aged(date(2025, 9, 1))}
        documents, payments = settled(read(url, name))
        assert said == {key: Decimal(balance) for key, balance in BOOKS[name].owed.items()}
        assert sum(said.values()) == sum(documents.values()) - sum(payments.values())
    else:
        with pytest.raises(SourceError, match=r"no folder has aged.sql"):
            list(source.aged(date(2025, 9, 1)))
    source.close()


def test_sap_says_when_an_invoice_is_due_and_what_a_discount_brought(tmp_path: Path) -> None:
    file = tmp_path / "books.duckdb"
    con = duckdb.connect(str(file))
    for statement in statements("sap"):
        con.execute(statement)
    con.close()

    told = read(f"duckdb:///{file}", "sap")

    invoice = next(row for row in told["invoices"] if row["invoice_id"] == "1000/2025/0090000001/001")
    assert (invoice["due_date"], invoice["amount"]) == ("2025-08-31", "100.1000")
    payment = next(row for row in told["payments"] if row["payment_id"] == "1000/2025/1400000001/001")
    assert payment["amount"] == "108.0000", "posted with 110.00, of which 2.00 are the discount"
    assert [(row["amount"], row["source_id"]) for row in told["refunds"]] == [("30.0000", "1000/2025/0090000009/001")]
    undone = {row["invoice_id"][10:20]: row["voided_on"] for row in told["invoices"] if row["voided_on"]}
    bounced = {row["payment_id"][10:20]: row["reversed_on"] for row in told["payments"] if row["reversed_on"]}
    assert (undone, bounced) == ({"0090000010": "2025-08-13"}, {"1400000010": "2025-08-18"}), (
        "what reverses stands for nothing itself"
    )
    residual = next(row for row in told["payments"] if row["payment_id"] == "1000/2025/1400000002/001")
    assert residual["amount"] == "60.0000", "posted with 80.00, of which 20.00 are carried on in a line of their own"
    assert [(row["invoice_id"][10:20], row["opened_on"]) for row in told["disputes"]] == [("0090000005", "2025-08-07")]
    assert [(row["payment_terms"], row["net_days"], row["discount_pct"]) for row in told["payment_terms"]] == [
        ("ZB30", "30", "2.000")
    ]
    assert {(row["currency"], row["rate_date"], Decimal(row["rate"])) for row in told["exchange_rates"]} == {
        ("JPY", "2025-08-01", Decimal("0.0064")),
        ("USD", "2025-08-01", Decimal("0.8")),
    }
    assert sorted((row["language"], row["email"], row["status"]) for row in told["customers"]) == [
        ("de", "z@sieben.example", "active"),
        ("en", None, "on_hold"),
    ]


def test_a_night_would_refuse_nothing_of_it(book: tuple[str, str], landing: Landing) -> None:
    name, url = book
    source = SqlSource(url, READY / name)
    for dataset in DATASETS.values():
        delivery = source.fetch(dataset, None)
        if delivery:
            manifest = landing.land(dataset, delivery, date(2025, 9, 1))
            assert (manifest.quarantined, manifest.repeated) == (0, 0), (dataset.name, manifest.reasons)
    source.close()


def test_every_folder_has_what_a_night_needs_and_a_book_of_its_own() -> None:
    assert {path.name for path in READY.iterdir() if path.is_dir()} == set(BOOKS)
    for name in BOOKS:
        files = {path.stem for path in (READY / name).iterdir()}
        assert {"customers", "invoices", "payments", "allocations", "left_out"} <= files
        assert {file for file in files if not file.startswith("_")} - {"left_out", "aged"} <= set(DATASETS)


def test_a_ready_folder_is_named_in_the_settings_and_ones_own_queries_stand_before_it(
    book: tuple[str, str], make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    name, url = book
    (tmp_path / "customers.sql").write_text("select 'mine' customer_id, 'mine' name")
    settings = make_settings(source="sql", sql_url=url, sql_ready=name, sql_dir=tmp_path)
    sources = Sources(settings, date(2025, 9, 1))
    source: Any = sources.of(DATASETS["customers"])

    told = {dataset: source.fetch(DATASETS[dataset], None) for dataset in ("customers", "invoices")}

    assert [page.column("customer_id").to_pylist() for page in told["customers"].pages] == [["mine"]]
    assert sum(page.num_rows for page in told["invoices"].pages) == len(BOOKS[name].open)
    assert CONNECTORS["sql"].words(settings.own(CONNECTORS["sql"])) == f"queries of {tmp_path.name} and {name}"
    sources.close()


def test_a_folder_that_is_not_there_or_none_at_all_is_said(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ValueError, match=r"ARREARS_SQL_READY: 'oracle' is none of the folders that ship: fivetran_netsuite, "):
        make_settings(source="sql", sql_url="sqlite://", sql_ready="oracle")


def test_neither_folder_is_said(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(
        ValueError, match="neither ARREARS_SQL_DIR, a folder of queries, nor ARREARS_SQL_READY, one that ships, is set"
    ):
        make_settings(source="sql", sql_url="sqlite://")
