"""The folders of queries that ship, over PostgreSQL: the books of the suite, and the public seeds of Fivetran's packages where they are.

`ARREARS_FIVETRAN_SEEDS` names a folder with checkouts of dbt_quickbooks, dbt_xero and dbt_netsuite (Apache-2.0); without it the seeds are
skipped. They are rows for trying a schema on, cut loose from each other: what they show is that they are read and nothing is refused.
"""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.sources.sql import READY, SqlSource
from tests.ready import BOOKS, edges, read, settled, statements

SEEDS = os.environ.get("ARREARS_FIVETRAN_SEEDS")

PACKAGES = {
    "fivetran_quickbooks": ("dbt_quickbooks", ""),
    "fivetran_xero": ("dbt_xero", "xero_"),
    "fivetran_netsuite": ("dbt_netsuite", "netsuite2_"),
}
"""Whose seeds a folder reads, and what their names begin with."""

TEXTS = ("entity", "currency", "transaction", "subsidiary", "parent", "salesrep")
"""Columns that hold keys, beside those that say so: texts, whatever they look like."""


@pytest.mark.parametrize("name", sorted(BOOKS))
def test_a_book_reads_the_same_out_of_postgresql(name: str, database: str) -> None:
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        for statement in statements(name):
            connection.execute(sa.text(statement.replace(":", r"\:")))
    engine.dispose()

    told = read(database, name)
    documents, payments = settled(told)

    assert documents == {key: Decimal(amount) for key, amount in BOOKS[name].open.items()}
    assert payments == {key: Decimal(amount) for key, amount in BOOKS[name].unapplied.items()}
    assert edges(told) == BOOKS[name].edges


@pytest.mark.skipif(
    not SEEDS, reason="no seeds of Fivetran's packages: ARREARS_FIVETRAN_SEEDS names no folder of their checkouts"
)
@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_the_public_seeds_of_a_schema_are_read(name: str, database: str, landing: Landing) -> None:
    filled(database, name)
    source = SqlSource(database, READY / name)
    landed = {}
    for dataset in DATASETS.values():
        if delivery := source.fetch(dataset, None):
            manifest = landing.land(dataset, delivery, date(2025, 9, 1), quarantine_share=Decimal(1))
            landed[dataset.name] = manifest
    source.close()

    assert landed["customers"].received > 0
    assert {name: manifest.reasons for name, manifest in landed.items() if manifest.quarantined} == {}


def filled(database: str, name: str) -> None:
    """The seeds as tables of the types they look like, keys as texts; what the folder reads and no seed has is there and empty."""
    package, prefix = PACKAGES[name]
    con, engine = duckdb.connect(), sa.create_engine(database)
    with engine.begin() as connection:
        for statement in statements(name):
            if statement.startswith("create"):
                connection.exec_driver_sql(statement)
        for path in sorted((Path(str(SEEDS)) / package / "integration_tests" / "seeds").glob(f"{prefix}*_data.csv")):
            table = path.stem.removeprefix(prefix).removesuffix("_data").replace("transaction_line", "transactionline")
            if not sa.inspect(connection).has_table(table):
                continue
            rows = con.execute(f"from read_csv('{path}', header = true, sample_size = -1)")
            kinds = {column[0]: "varchar" if is_key(column[0]) else str(column[1]) for column in rows.description or ()}
            kinds = {column: "double precision" if kind == "DOUBLE" else kind for column, kind in kinds.items()}
            there = {column["name"] for column in sa.inspect(connection).get_columns(table)}
            for column in kinds.keys() - there:
                connection.exec_driver_sql(f'alter table {table} add column "{column}" {kinds[column]}')
            names = ", ".join(f'"{column}"' for column in kinds)
            for row in rows.fetchall():
                values = tuple(str(value) if value is not None else None for value in row)
                connection.exec_driver_sql(f"insert into {table} ({names}) values ({', '.join(['%s'] * len(values))})", values)
    engine.dispose()


def is_key(column: str) -> bool:
    return column == "id" or column.endswith("_id") or column in TEXTS
