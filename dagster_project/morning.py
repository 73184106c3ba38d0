"""Put what a morning knows in front of dbt.

Belongs here: choosing the loads a morning may read and showing them in the run's private file as the dbt sources — views over
Parquet, typed empty tables for absent datasets, what was refused and is not replaced yet, and the public holidays, week-ends and
time zones a library keeps. Does not belong here: rules about rows.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import available_timezones

import duckdb
import pyarrow as pa

from dagster_project.contract import DATASETS, ISSUED_STEPS, TABLES
from dagster_project.landing import Known, Landing, Load, rows_select
from dagster_project.warehouse import Warehouse

log = logging.getLogger("arrears.morning")

YEARS_BACK, YEARS_AHEAD = 5, 1
"""Holidays are listed for as many years around the morning: no due date that a figure still counts from lies further back, no dunning
step's date further ahead."""


class NothingKnown(Exception):
    """The morning asked for knows nothing of a required dataset."""


REFUSED_TEXTS = ("customer_id", "invoice_id", "company_id", "currency", "amount")
"""What is shown of a refused record, as it was received."""

SHOWN = ("customers", "invoices", "payments", "refunds", "allocations", "disputes", "promises")
"""The datasets whose refused records are shown: they can keep an item from being dunned, or be what the control account differs by."""


def prepare(
    warehouse: Warehouse, landing: Landing, as_of: date, known: Known, source: str = "files", bureau: str = "none"
) -> Mapping[str, Sequence[Load]]:
    """Create the sources of the dbt project in a fresh private file. `source`: where the ledger comes from; `bureau`: where scores do.
    Returns the loads that the morning knows, by dataset.

    Raises:
        NothingKnown: a required dataset has no load that the morning may know of.
        DamagedError: what is landed is not what was.
    """
    landing.sound(as_of if known == "then" else None)
    empty = [name for name, dataset in DATASETS.items() if dataset.required and not landing.loads(dataset, as_of, known)]
    if empty:
        raise NothingKnown(
            f"nothing was known of {', '.join(empty)} on {as_of}: every load is of a later morning. To build {as_of} from what is known "
            f"now: make run DATE={as_of} KNOWN=now. To ask the source again for that morning: make run DATE={as_of} REFRESH=1"
        )
    loads = {name: landing.loads(dataset, as_of, known) for name, dataset in TABLES.items()}
    with warehouse.prepared() as con:
        for group in sorted({dataset.group for dataset in TABLES.values()}):
            con.execute(f"create schema {group}")
        for name, dataset in TABLES.items():
            con.execute(f"create view {dataset.group}.{name} as {rows_select(dataset, con, loads[name])}")
        warehouse.says_issued(load.load_id for load in loads[ISSUED_STEPS.name])
        con.execute("create schema reference")
        _calendars(con, as_of)
        _time_zones(con)
        _refused(con, landing, as_of, known)
        first = min(load.as_of for dataset in TABLES.values() for load in landing.loads(dataset))
        told = {"source": source, "bureau": bureau, "first_morning": first}
        _table(con, "ledger", [told], source=pa.string(), bureau=pa.string(), first_morning=pa.date32())
    return loads


def _calendars(con: duckdb.DuckDBPyConnection, as_of: date) -> None:
    """Public holidays and week-ends of the calendars in use, written as ISO 3166 country (`DE`) or with a subdivision (`DE-BY`)."""
    import holidays

    used = con.execute(
        "select distinct calendar from (select coalesce(calendar, country) as calendar from erp.companies "
        "union select country from erp.customers) where calendar is not null order by 1"
    ).fetchall()
    years = range(as_of.year - YEARS_BACK, as_of.year + YEARS_AHEAD + 1)
    days, weekends = [], []
    for (calendar,) in used:
        country, _, subdivision = calendar.partition("-")
        try:
            listed = holidays.country_holidays(country, subdiv=subdivision or None, years=years)
        except NotImplementedError:
            log.warning("calendar %s: no public holidays are known for it; only week-ends count", calendar)
            continue
        days += [{"calendar": calendar, "holiday_date": day, "name": name} for day, name in sorted(listed.items())]
        weekends += [{"calendar": calendar, "iso_weekday": weekday + 1} for weekday in sorted(listed.weekend)]
    _table(con, "holidays", days, calendar=pa.string(), holiday_date=pa.date32(), name=pa.string())
    _table(con, "weekend_days", weekends, calendar=pa.string(), iso_weekday=pa.int32())


def _time_zones(con: duckdb.DuckDBPyConnection) -> None:
    """The time zones of the legal entities that there are: an engine asked for another one stops at it."""
    used = con.execute("select distinct timezone from erp.companies where timezone is not null order by 1").fetchall()
    known = available_timezones() - {"localtime"}
    for (name,) in used:
        if name not in known:
            log.warning(
                "time zone %s: not a name of the IANA database, such as Europe/Berlin; the days of its entity are UTC's", name
            )
    _table(con, "time_zones", [{"timezone": name} for (name,) in used if name in known], timezone=pa.string())


def _refused(con: duckdb.DuckDBPyConnection, landing: Landing, as_of: date, known: Known) -> None:
    """What a morning knows was said of what is owed and paid, and could not read."""
    rows: list[dict[str, Any]] = []
    for dataset in (DATASETS[name] for name in SHOWN):
        for load, record in landing.refused(dataset, as_of, known):
            told = {name: (record.get(name) or "").strip() or None for name in REFUSED_TEXTS}
            key = (record.get(dataset.key[0]) or "").strip() or None
            when = {"loaded_for": load.as_of, "loaded_at": load.loaded_at}
            rows.append({"dataset": dataset.name, "record_id": key, **told, **when})
    texts = dict.fromkeys(("dataset", "record_id", *REFUSED_TEXTS), pa.string())
    _table(con, "refused_records", rows, **texts, loaded_for=pa.date32(), loaded_at=pa.timestamp("us"))
    for dataset in (DATASETS[name] for name in {row["dataset"] for row in rows}):
        con.execute(
            f"delete from reference.refused_records as refused where dataset = ? and exists (from {dataset.group}.{dataset.name} "
            f"as landed where landed.{dataset.key[0]} = refused.record_id "
            "and (landed._as_of, landed._loaded_at) > (refused.loaded_for, refused.loaded_at))",
            [dataset.name],
        )


def _table(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]], **columns: pa.DataType) -> None:
    """A source that no dataset has: rows put in at once, for a statement each would cost more than the rest of the morning's start."""
    con.register("given", pa.Table.from_pylist(list(rows), pa.schema(columns.items())))
    con.execute(f"create table reference.{table} as select * from given")
    con.unregister("given")
