"""Datasets out of a database: what a folder of queries may say, how values arrive, and what is said of what cannot be used."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.contract import DATASETS
from dagster_project.sources import SourceError
from dagster_project.sources.sql import SqlSource


class Books:
    """A database file with a folder of queries beside it."""

    def __init__(self, folder: Path, dialect: str):
        self.folder, self.file = folder, folder / f"books.{dialect}"
        self.url = f"{dialect}:///{self.file}"
        self.queries = folder / "queries"
        self.queries.mkdir()
        self.dialect = dialect

    def holds(self, *statements: str) -> None:
        con: Any = duckdb.connect(str(self.file)) if self.dialect == "duckdb" else sqlite3.connect(self.file)
        for statement in statements:
            con.execute(statement)
        con.commit()
        con.close()

    def asks(self, **queries: str) -> None:
        for name, query in queries.items():
            (self.queries / f"{name}.sql").write_text(query, "utf-8")

    def read(self, dataset: str, since: datetime | None = None, **options: Any) -> list[dict[str, Any]]:
        source = SqlSource(self.url, self.queries, **options)
        try:
            delivery = source.fetch(DATASETS[dataset], since)
            assert delivery is not None
            return [
                {name: value for name, value in row.items() if value is not None}
                for page in delivery.pages
                for row in page.to_pylist()
            ]
        finally:
            source.close()

    def fault(self, dataset: str) -> str:
        with pytest.raises(SourceError) as refused:
            self.read(dataset)
        return str(refused.value)


@pytest.fixture(params=["sqlite", "duckdb"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Books:
    return Books(tmp_path, request.param)


INVOICE = "select 'I1' invoice_id, 'RE-1' invoice_number, '007' customer_id, 'invoice' document_type, 'EUR' currency, "


def test_values_arrive_as_the_text_of_what_they_are(tmp_path: Path) -> None:
    books = Books(tmp_path, "duckdb")
    books.holds("create table nothing (a int)")
    books.asks(
        invoices=INVOICE
        + "date '2025-08-31' invoice_date, timestamp '2025-09-30 00:00:00' due_date, 1234567890123.45::decimal(18,2) amount, "
        "timestamptz '2025-09-01 02:30:00+02' updated_at, null po_number, 'as it is' colour"
    )

    (row,) = books.read("invoices")

    assert row["invoice_date"] == "2025-08-31"
    assert row["due_date"] == "2025-09-30", "a midnight is a day"
    assert row["amount"] == "1234567890123.45"
    assert row["updated_at"] == "2025-09-01T00:30:00.000000Z"
    assert row["customer_id"] == "007"
    assert row["_extra"] == '{"colour": "as it is"}'
    assert "po_number" not in row


def test_an_amount_that_comes_as_a_float_is_refused_with_the_cast_to_write(books: Books) -> None:
    books.holds("create table documents (amount double)", "insert into documents values (1234.56)")
    books.asks(invoices=INVOICE + "'2025-08-31' invoice_date, amount from documents")

    said = books.fault("invoices")

    assert "invoices.sql: amount comes as a float (such as 1234.56)" in said
    assert "cast(amount as decimal(18, 4)) as amount" in said


def test_rows_come_in_pages_in_the_order_of_the_query(books: Books) -> None:
    books.holds("create table k (n int)", *(f"insert into k values ({n})" for n in range(25)))
    books.asks(companies="select cast(n as varchar) company_id, 'N' name, 'EUR' currency from k order by n")

    assert [row["company_id"] for row in books.read("companies", page_rows=10)] == [str(n) for n in range(25)]


def test_what_changed_is_asked_for_from_an_hour_before_the_newest_landed(books: Books) -> None:
    books.holds(
        "create table c (id varchar, changed timestamp)",
        "insert into c values ('old', '2025-09-01 10:00:00'), ('again', '2025-09-01 11:30:00'), ('new', '2025-09-01 12:30:00')",
    )
    query = "select id customer_id, id name, changed updated_at from c where changed >= :updated_since order by changed"
    books.asks(customers=query)

    assert [row["customer_id"] for row in books.read("customers")] == ["old", "again", "new"]
    assert [row["customer_id"] for row in books.read("customers", datetime(2025, 9, 1, 12, 0))] == ["again", "new"]

    source = SqlSource(books.url, books.queries)
    whole = [source.fetch(DATASETS["customers"], since) for since in (None, datetime(2025, 9, 1))]
    source.close()
    assert [delivery.full for delivery in whole if delivery] == [True, False]


def test_a_query_without_the_word_is_everything_every_night(books: Books) -> None:
    books.asks(customers="/* of :all */ select 'A' customer_id, 'at :updated_since -- 12:30' name -- not :updated_since\n;")
    source = SqlSource(books.url, books.queries)

    delivery = source.fetch(DATASETS["customers"], datetime(2025, 9, 1))

    assert delivery is not None
    assert delivery.full
    assert [page.column("name").to_pylist() for page in delivery.pages] == [["at :updated_since -- 12:30"]]
    source.close()


def test_a_dataset_without_a_query_is_absent(books: Books) -> None:
    books.asks(customers="select 'A' customer_id, 'A' name")
    source = SqlSource(books.url, books.queries)

    assert source.fetch(DATASETS["disputes"], None) is None
    source.close()


def test_what_the_queries_leave_out_is_counted_by_the_folder(books: Books) -> None:
    books.asks(
        customers="select 'A' customer_id, 'A' name",
        payments="select 1",
        left_out="select 'customers' dataset, 'prospects' what, 3 records union all select 'invoices', 'drafts', 2",
    )
    source = SqlSource(books.url, books.queries)
    delivery = source.fetch(DATASETS["customers"], None)
    assert delivery is not None
    assert sum(page.num_rows for page in delivery.pages) == 1
    assert delivery.left_out == {"prospects": 3}
    source.close()

    books.asks(left_out="select 'customers', 'prospects'")
    assert "left_out.sql: a row of it is a dataset, what of it is left out, and how many records" in books.fault("customers")


def test_what_is_wrong_with_a_query_is_said_with_its_file(books: Books) -> None:
    books.asks(
        customers="select 'A' customer_id",
        payments="select 1 from",
        companies="select 'A' company_id, 'A' name, 'B' name, 'EUR' currency",
        contacts="select 'C' contact_id, 'A' customer_id, 'senior' role, 'N' name where :updated_since is not null",
    )

    assert "customers.sql: required column name is missing; the query has customer_id" in books.fault("customers")
    assert "payments.sql: " in books.fault("payments")
    assert "companies.sql: column name is there twice" in books.fault("companies")
    assert "contacts has no updated_at" in books.fault("contacts")
    assert all("[SQL" not in books.fault(name) and "\n" not in books.fault(name) for name in ("payments", "companies"))


def test_settings_that_mean_nothing_say_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "customers.sql").write_text("select 1")

    for url, said in {
        "no address": r"write dialect\+driver://user:password@host/database",
        "nodb://host/x": "driver is not installed",
    }.items():
        with pytest.raises(SourceError, match=said):
            SqlSource(url, tmp_path)
    with pytest.raises(SourceError, match="has no queries"):
        SqlSource("sqlite://", tmp_path / "nowhere")


def test_no_password_is_in_where_it_came_from_or_in_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "customers.sql").write_text("select 1")
    source = SqlSource("postgresql+psycopg://reader:s3cret@127.0.0.1:1/books?connect_timeout=1&sslpassword=s3cret", tmp_path)

    delivery = source.fetch(DATASETS["customers"], None)

    assert delivery is not None
    assert "s3cret" not in delivery.origin
    with pytest.raises(SourceError) as refused:
        list(delivery.pages)
    assert "ARREARS_SQL_URL: postgresql+psycopg://reader:***@127.0.0.1:1/books: connection failed" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_payments_are_of_the_moment_the_invoices_were_read(tmp_path: Path) -> None:
    books = Books(tmp_path, "sqlite")
    books.holds("pragma journal_mode = wal", "create table c (id varchar)", "insert into c values ('A')")
    books.asks(
        customers="select id customer_id, id name from c", companies="select id company_id, id name, 'EUR' currency from c"
    )
    source = SqlSource(books.url, books.queries)
    first = source.fetch(DATASETS["customers"], None)
    assert first is not None
    assert sum(page.num_rows for page in first.pages) == 1

    books.holds("insert into c values ('B')")
    second = source.fetch(DATASETS["companies"], None)

    assert second is not None
    assert sum(page.num_rows for page in second.pages) == 1
    source.close()
