"""What a morning knows is put in front of dbt: every source is there, typed, and holds what was known — or it says why not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pyarrow as pa
import pytest

from dagster_project.contract import DATASETS, LANDING_COLUMNS, SQL_TYPES, TABLES
from dagster_project.landing import Landing
from dagster_project.morning import NothingKnown, prepare
from dagster_project.settings import Settings
from dagster_project.sources import Delivery, SourceError, page_schema
from dagster_project.sources.catalogue import Sources
from dagster_project.warehouse import Warehouse

MONDAY, TUESDAY = date(2025, 6, 2), date(2025, 6, 3)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    fresh = Warehouse(tmp_path / "warehouse" / "2025-06-02.test")
    fresh.create()
    return fresh


def land(landing: Landing, as_of: date, name: str, *records: Mapping[str, str | None]) -> None:
    page = pa.Table.from_pylist(list(records), schema=page_schema(DATASETS[name]))
    landing.land(DATASETS[name], Delivery(iter([page]), full=False, origin="test"), as_of)


def land_required(landing: Landing, as_of: date, **customer: str) -> None:
    land(landing, as_of, "customers", {"customer_id": "C1", "name": "One", **customer})
    land(landing, as_of, "invoices")
    land(landing, as_of, "payments")


def ask(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    with warehouse.prepared() as con:
        return con.execute(sql).fetchall()


def test_every_source_of_the_dbt_project_is_there_with_its_columns_and_types(
    landing: Landing, warehouse: Warehouse, manifest: dict[str, Any]
) -> None:
    land_required(landing, MONDAY)

    prepare(warehouse, landing, MONDAY, "then")

    found: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in ask(
        warehouse, "select schema_name, table_name, column_name, data_type from duckdb_columns() where not internal"
    ):
        found.setdefault(f"{schema}.{table}", {})[column] = {"VARCHAR": "string"}.get(kind, kind.lower())
    for source in manifest["sources"].values():
        assert f"{source['schema']}.{source['name']}" in found
    for dataset in TABLES.values():
        expected = {column.name: SQL_TYPES[column.type] for column in (*dataset.columns, *LANDING_COLUMNS)}
        assert found[f"{dataset.group}.{dataset.name}"] == expected


def test_a_morning_reads_what_was_known_then_and_only_on_demand_what_is_known_now(landing: Landing, tmp_path: Path) -> None:
    land_required(landing, MONDAY)
    land(landing, TUESDAY, "customers", {"customer_id": "C2", "name": "Two"})
    seen = {}
    for known in ("then", "now"):
        warehouse = Warehouse(tmp_path / "warehouse" / f"2025-06-02.{known}")
        warehouse.create()
        prepare(warehouse, landing, MONDAY, known)  # type: ignore[arg-type]
        seen[known] = ask(warehouse, "select customer_id from erp.customers order by 1")

    assert seen == {"then": [("C1",)], "now": [("C1",), ("C2",)]}


def test_the_first_morning_ever_landed_stands_beside_the_name_of_the_source(landing: Landing, tmp_path: Path) -> None:
    """Policy binds from it where no row says otherwise: a later morning, and an earlier one asked for afterwards, are told the same."""
    land(landing, MONDAY, "customers", {"customer_id": "C1", "name": "One"})
    land_required(landing, TUESDAY)
    for as_of, known in ((TUESDAY, "then"), (MONDAY, "now")):
        warehouse = Warehouse(tmp_path / "warehouse" / f"{as_of}.ledger")
        warehouse.create()
        prepare(warehouse, landing, as_of, known, "rest")  # type: ignore[arg-type]
        assert ask(warehouse, "select source, first_morning from reference.ledger") == [("rest", MONDAY)]


def test_a_morning_before_everything_known_says_so_and_names_both_ways_on(landing: Landing, warehouse: Warehouse) -> None:
    land_required(landing, TUESDAY)
    land(landing, MONDAY, "invoices")

    with pytest.raises(NothingKnown) as refused:
        prepare(warehouse, landing, MONDAY, "then")

    message = str(refused.value)
    assert "nothing was known of customers, payments on 2025-06-02" in message
    assert "make run DATE=2025-06-02 KNOWN=now" in message
    assert "make run DATE=2025-06-02 REFRESH=1" in message
    prepare(warehouse, landing, MONDAY, "now")


def test_the_holidays_of_every_calendar_in_use_are_there(
    landing: Landing, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    land_required(landing, MONDAY, country="FR")
    land(landing, MONDAY, "customers", {"customer_id": "C2", "name": "Two", "country": "SA"})
    land(
        landing,
        MONDAY,
        "companies",
        {"company_id": "A", "name": "Alpha", "currency": "EUR", "country": "DE", "calendar": "DE-BY"},
    )
    land(landing, MONDAY, "companies", {"company_id": "B", "name": "Beta", "currency": "EUR", "country": "XX"})

    with caplog.at_level(logging.WARNING, logger="arrears.morning"):
        prepare(warehouse, landing, MONDAY, "then")

    holidays = set(ask(warehouse, "select calendar, holiday_date from reference.holidays"))
    assert {calendar for calendar, _ in holidays} == {"DE-BY", "FR", "SA"}
    assert ("DE-BY", date(2025, 6, 19)) in holidays, "Corpus Christi, which is none in all of Germany"
    assert ("FR", date(2025, 7, 14)) in holidays
    assert {day.year for _, day in holidays} == set(range(2020, 2027))
    assert set(ask(warehouse, "select calendar, iso_weekday from reference.weekend_days")) == {
        *(("DE-BY", 6), ("DE-BY", 7)),
        *(("FR", 6), ("FR", 7)),
        *(("SA", 5), ("SA", 6)),
    }
    assert "calendar XX: no public holidays are known for it" in caplog.text


def test_a_time_zone_that_is_none_is_named_and_left_out(
    landing: Landing, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    land_required(landing, MONDAY)
    for company_id, timezone in (("A", "America/Los_Angeles"), ("B", "(GMT-08:00) Pacific"), ("C", "localtime"), ("D", "")):
        land(
            landing, MONDAY, "companies", {"company_id": company_id, "name": "X", "currency": "EUR", "timezone": timezone or None}
        )

    with caplog.at_level(logging.WARNING, logger="arrears.morning"):
        prepare(warehouse, landing, MONDAY, "then")

    assert ask(warehouse, "select timezone from reference.time_zones") == [("America/Los_Angeles",)]
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        "time zone (GMT-08:00) Pacific",
        "time zone localtime",
    ]


def test_the_engine_knows_every_time_zone_that_is_let_through(warehouse: Warehouse) -> None:
    names = ", ".join(f"('{name}')" for name in available_timezones() - {"localtime"})

    assert ask(
        warehouse,
        f"select count(timezone(name, timestamptz '2025-01-01 00:00:00+00')) > 400 from (values {names}) as zones (name)",
    ) == [(True,)]


def test_what_was_refused_is_told_until_a_later_load_can_be_read(landing: Landing, tmp_path: Path) -> None:
    fine = {"customer_id": "C2", "name": "Two"}
    steps = (
        ("2025-06-02", True, {"customer_id": "C1", "name": "One", "status": "active"}, []),
        ("2025-06-03", False, {"customer_id": "C1", "name": "One", "status": "in liquidation"}, [("customers", "C1")]),
        ("2025-06-04", False, None, [("customers", "C1")]),
        ("2025-06-05", False, {"customer_id": "C1", "name": "One", "status": "insolvent"}, []),
        ("2025-06-06", True, {"customer_id": " C1 ", "name": "One", "status": "?"}, [("customers", "C1")]),
        ("2025-06-07", True, {"customer_id": "C1", "name": "One", "status": "insolvent"}, []),
    )
    land(landing, MONDAY, "invoices")
    land(landing, MONDAY, "payments")
    told = []
    for day, full, record, _ in steps:
        page = pa.Table.from_pylist([fine] + ([record] if record else []), schema=page_schema(DATASETS["customers"]))
        as_of = date.fromisoformat(day)
        landing.land(DATASETS["customers"], Delivery(iter([page]), full, "test"), as_of, quarantine_share=Decimal(1))
        warehouse = Warehouse(tmp_path / "warehouse" / day)
        warehouse.create()
        prepare(warehouse, landing, as_of, "then")
        told.append(ask(warehouse, "select dataset, customer_id from reference.refused_records"))

    assert told == [expected for *_, expected in steps]


# --- the sources of a run ---------------------------------------------------------------------------------------------


def test_the_ledger_and_the_bureau_may_come_from_different_places(
    tmp_path: Path, server: Any, answer: Any, make_settings: Callable[..., Settings]
) -> None:
    server.on("/credit_scores", answer({"data": []}))
    settings = make_settings(source="files", files_dir=tmp_path, bureau="rest", rest_url=server.url, rest_token="t0ken")
    sources = Sources(settings, MONDAY)

    ledger, bureau = sources.of(DATASETS["customers"]), sources.of(DATASETS["credit_scores"])

    assert ledger is not None
    assert bureau is not None
    assert ledger.fetch(DATASETS["customers"], None) is None
    assert bureau.fetch(DATASETS["credit_scores"], None) is not None
    assert server.heard[0].headers["Authorization"] == "Bearer t0ken"
    assert sources.of(DATASETS["invoices"]) is ledger, "opened once a run"
    sources.close()


def test_without_a_bureau_there_is_nobody_to_ask_for_scores(tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    sources = Sources(make_settings(source="files", files_dir=tmp_path, bureau="none"), MONDAY)

    assert sources.of(DATASETS["credit_scores"]) is None
    assert sources.of(DATASETS["customers"]) is not None


def test_a_source_that_cannot_be_opened_says_so_when_it_is_asked(tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    sources = Sources(make_settings(source="files", files_dir=tmp_path / "nowhere"), MONDAY)

    with pytest.raises(SourceError, match="ARREARS_FILES_DIR"):
        sources.of(DATASETS["customers"])
