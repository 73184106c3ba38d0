"""A ledger kept in PostgreSQL: read as a stream, exactly, in one state, and the same as from files."""

from __future__ import annotations

import csv
import resource
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dagster_project.contract import DATASETS, SQL_TYPES, Dataset
from dagster_project.paths import ROOT
from dagster_project.sources import SourceError
from dagster_project.sources.files import FilesSource
from dagster_project.sources.sql import SqlSource

LEDGER = ROOT / "tests" / "fixtures" / "ledger"


def run(database: str, *statements: str) -> None:
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def fill(database: str, folder: Path) -> list[Dataset]:
    """The fixture's ledger as tables with the types a database would give it, and a query for each."""
    filled = []
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        for path in sorted(LEDGER.glob("*.csv")):
            dataset = DATASETS[path.stem]
            with path.open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
            kinds = {name: SQL_TYPES[dataset.by_name[name].type] for name in header}
            kinds = {name: {"string": "text", "timestamp": "timestamptz"}.get(kind, kind) for name, kind in kinds.items()}
            connection.exec_driver_sql(f"create table {dataset.name} ({', '.join(f'{n} {k}' for n, k in kinds.items())})")
            connection.exec_driver_sql("set time zone 'UTC'")
            values = ", ".join(f"cast(%s as {kind})" for kind in kinds.values())
            for row in rows:
                connection.exec_driver_sql(f"insert into {dataset.name} values ({values})", tuple(cell or None for cell in row))
            (folder / f"{dataset.name}.sql").write_text(f"select {', '.join(header)} from {dataset.name}", "utf-8")
            filled.append(dataset)
    engine.dispose()
    return filled


def landed(source: SqlSource | FilesSource, dataset: Dataset, folder: Path) -> set[tuple[Any, ...]]:
    from datetime import date

    from dagster_project.duck import scratch
    from dagster_project.landing import Landing, rows_select

    landing = Landing(folder / "landing", folder / "quarantine")
    landing.land(dataset, source.fetch(dataset, None), date(2025, 6, 30))
    loads = landing.loads(dataset)
    folder.mkdir(exist_ok=True)
    with scratch(folder) as con:
        columns = ", ".join(f'"{name}"' for name in dataset.column_names)
        return set(con.execute(f"select {columns} from ({rows_select(dataset, con, loads)})").fetchall())


def test_the_ledger_is_the_same_as_from_files(database: str, tmp_path: Path) -> None:
    datasets = fill(database, tmp_path)
    source, files = SqlSource(database, tmp_path), FilesSource(LEDGER)

    for dataset in datasets:
        assert landed(source, dataset, tmp_path / "sql") == landed(files, dataset, tmp_path / "files"), dataset.name
    source.close()


def test_all_datasets_are_of_one_moment_and_nothing_can_be_written(database: str, tmp_path: Path) -> None:
    run(database, "create table c (id text)", "insert into c values ('A')", "create sequence s")
    for name in ("customers", "companies"):
        key = "customer_id" if name == "customers" else "company_id"
        (tmp_path / f"{name}.sql").write_text(f"select id as {key}, id as name, 'EUR' as currency from c", "utf-8")
    (tmp_path / "contacts.sql").write_text(
        "select nextval('s') contact_id, 'A' customer_id, 'senior' as role, 'N' as name", "utf-8"
    )
    source = SqlSource(database, tmp_path)

    def rows(name: str) -> int:
        delivery = source.fetch(DATASETS[name], None)
        assert delivery is not None
        return sum(page.num_rows for page in delivery.pages)

    assert rows("customers") == 1
    run(database, "insert into c values ('B')")
    assert rows("companies") == 1, "what was posted meanwhile waits for the next night"
    with pytest.raises(SourceError, match=r"contacts\.sql: cannot execute nextval\(\) in a read-only transaction"):
        rows("contacts")
    source.close()


def test_what_changed_is_told_by_the_databases_own_clock_whatever_its_zone(database: str, tmp_path: Path) -> None:
    run(
        database,
        "set time zone 'America/Los_Angeles'",
        "create table c (id text, changed timestamptz)",
        "insert into c values ('old', '2025-09-01 09:00+00'), ('new', '2025-09-01 12:30+00')",
    )
    (tmp_path / "customers.sql").write_text(
        "select id customer_id, id as name, changed updated_at from c where changed >= :updated_since"
    )
    source = SqlSource(database, tmp_path)

    delivery = source.fetch(DATASETS["customers"], datetime(2025, 9, 1, 12))

    assert delivery is not None
    (page,) = delivery.pages
    assert page.column("customer_id").to_pylist() == ["new"]
    assert page.column("updated_at").to_pylist() == ["2025-09-01T12:30:00.000000Z"]
    source.close()


def test_a_long_table_is_a_stream(database: str, tmp_path: Path) -> None:
    (tmp_path / "customers.sql").write_text(
        "select n::text customer_id, repeat('x', 200) as name from generate_series(1, 500000) n"
    )
    source = SqlSource(database, tmp_path)
    delivery = source.fetch(DATASETS["customers"], None)
    assert delivery is not None
    pages = iter(delivery.pages)
    rows = next(pages).num_rows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    rows += sum(page.num_rows for page in pages)

    assert rows == 500_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000, "kilobytes; the rows are some 110 MB of text"
    source.close()
