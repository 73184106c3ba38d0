"""What is there twice is found, a null being a value as any other."""

from __future__ import annotations

from typing import Any

import duckdb

from tests.grains import doubled


def test_a_row_that_is_there_twice_is_found(manifest: dict[str, Any]) -> None:
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as arrears; attach ':memory:' as published; use arrears")
        con.execute("create schema intermediate; create schema published.marts")
        con.execute("create table intermediate.int_customers as select unnest(['K1', 'K2', 'K1', 'K1']) as customer_id")
        con.execute("create view intermediate.int_families as select unnest(['K1', 'K2']) as customer_id")
        con.execute(
            "create table published.marts.kpi_alerts as "
            "select date '2025-05-01' as month, 'total' as scope, null as scope_value, 'dso' as kpi from range(2)"
        )

        assert doubled(con) == ({"int_customers": 1, "kpi_alerts": 1}, 3)
