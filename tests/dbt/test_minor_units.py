"""Amounts and the digits of their currency: what has more of them than it can have is found, and told so that it can be mended."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pyarrow as pa

from dagster_project.amounts import digits_on, places, written
from dagster_project.contract import DATASETS, Type
from dagster_project.explained import _worded
from dagster_project.paths import DBT_PROJECT, SEEDS
from tests import compiled

MORNING = date(2025, 6, 30)
NAME = "amounts_have_the_digits_of_their_currency"

BOOK: dict[str, list[dict[str, Any]]] = {
    "customers": [
        {"customer_id": "C", "currency": "EUR", "credit_limit": "1000.001"},
        {"customer_id": "D", "credit_limit": "0.001"},
    ],
    "invoices": [
        {"invoice_id": "E", "currency": "EUR", "amount": "1.234", "tax_amount": "0.10"},
        {"invoice_id": "Y", "currency": "JPY", "amount": "100.5", "tax_amount": "8"},
        {"invoice_id": "K", "currency": "KWD", "amount": "1.234", "tax_amount": "0.0125"},
        {"invoice_id": "Q", "currency": "QQQ", "amount": "1.23"},
    ],
    "instalments": [{"invoice_id": "Y", "instalment_number": 2, "amount": "50.25"}],
    "payments": [{"payment_id": "P", "currency": "JPY", "amount": "7"}],
    "allocations": [{"allocation_id": "A", "invoice_id": "K", "source_id": "P", "amount": "0.0005", "source_amount": "0.5"}],
    "refunds": [{"refund_id": "R", "currency": "USD", "amount": "0.999"}],
    "disputes": [{"dispute_id": "S", "invoice_id": "Y", "amount": "100"}],
    "invoice_lines": [{"invoice_id": "E", "line_number": 3, "amount": "1.2345"}],
    "control_balances": [{"company_id": "1", "as_of": MORNING, "balance": "0.5"}],
}


def test_every_amount_with_more_digits_than_its_currency_is_found_with_its_record() -> None:
    nodes = compiled.compiled()
    (node,) = [node for node in nodes if node.name == NAME]
    given = {f"stg_erp__{dataset}": staged(dataset, rows) for dataset, rows in BOOK.items()}
    given["int_companies"] = pa.table({"company_id": ["1"], "currency": ["JPY"]})
    assert {parent for parent in node.parents if parent != "currencies"} == set(given)

    with compiled.over(nodes, MORNING, ["currencies", *given], given) as con:
        found = con.execute(compiled.at(node, MORNING)).fetchall()

    assert [(dataset, record, column, f"{amount.normalize():f}", currency) for dataset, record, column, amount, currency, _ in found] == [
        ("allocations", "A", "amount", "0.0005", "KWD"),
        ("allocations", "A", "source_amount", "0.5", "JPY"),
        ("control_balances", "1/2025-06-30", "balance", "0.5", "JPY"),
        ("customers", "C", "credit_limit", "1000.001", "EUR"),
        ("instalments", "Y/2", "amount", "50.25", "JPY"),
        ("invoice_lines", "E/3", "amount", "1.2345", "EUR"),
        ("invoices", "E", "amount", "1.234", "EUR"),
        ("invoices", "K", "tax_amount", "0.0125", "KWD"),
        ("invoices", "Y", "amount", "100.5", "JPY"),
        ("refunds", "R", "amount", "0.999", "USD"),
    ]  # fmt: skip


def test_a_currency_whose_row_is_gone_is_named_where_it_is_in_use(tmp_path: Path) -> None:
    seeds = Path(shutil.copytree(SEEDS, tmp_path / "seeds"))
    table = seeds / "currencies.csv"
    table.write_text("".join(line for line in table.read_text("utf-8").splitlines(True) if not line.startswith("JPY,")), "utf-8")
    nodes = compiled.compiled()
    (node,) = [node for node in nodes if node.name == "currencies_are_known"]
    given = {f"stg_erp__{dataset}": staged(dataset, BOOK[dataset]) for dataset in ("invoices", "payments")}
    given["int_companies"] = pa.table({"currency": ["EUR", None]})

    with compiled.over(nodes, MORNING, ["currencies", *given], given, seeds) as con:
        assert con.execute(compiled.at(node, MORNING)).fetchall() == [("JPY",), ("QQQ",)]


def test_halves_of_amounts_of_four_digits_are_no_reason_to_hold_a_list_back() -> None:
    nodes = compiled.compiled()
    (node,) = [node for node in nodes if node.name == "kpi_groups_add_up_to_the_total"]

    def found(kpi: str, *numerators: str) -> list[Any]:
        scopes = [("total", None), ("company", "A"), ("company", "B")]
        rows = [
            {
                "month": MORNING,
                "kpi": kpi,
                "scope": scope,
                "scope_value": value,
                "numerator": Decimal(numerator),
                "denominator": None,
            }
            for (scope, value), numerator in zip(scopes, numerators, strict=True)
        ]
        kinds = {"month": pa.date32(), "numerator": pa.decimal128(18, 4), "denominator": pa.decimal128(18, 4)}
        schema = pa.schema([(name, kinds.get(name, pa.string())) for name in rows[0]])
        with compiled.over(nodes, MORNING, ["kpi_monthly"], {"kpi_monthly": pa.Table.from_pylist(rows, schema)}) as con:
            return con.execute(compiled.at(node, MORNING)).fetchall()

    assert not found("carrying_cost", "0.0001", "0.0001", "0.0001"), "of 0.0001 each the halves are 0.00005"
    assert found("carrying_cost", "0.01", "0.01", "0.01")
    assert found("dbt_days", "0.0001", "0.0001", "0.0001")


def staged(dataset: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as staging has them, what is not said null."""
    kinds = {Type.AMOUNT: pa.decimal128(18, 4), Type.INTEGER: pa.int32(), Type.DATE: pa.date32()}
    columns = {column.name: kinds.get(column.type, pa.string()) for column in DATASETS[dataset].columns}
    values = {
        name: [Decimal(row[name]) if pa.types.is_decimal(kind) and name in row else row.get(name) for row in rows]
        for name, kind in columns.items()
    }
    return pa.table({name: pa.array(values[name], kind) for name, kind in columns.items()})


def test_what_is_found_is_told_in_the_digits_of_its_currency_and_with_all_it_has() -> None:
    digits = digits_on(MORNING)
    row = {"dataset": "invoices", "record": "E", "amount_column": "amount", "amount": Decimal("1.2340"), "currency": "EUR"}

    assert _worded(row, digits) == "dataset invoices, record E, amount column amount, amount 1.234, currency EUR"
    assert _worded({"difference": Decimal("-212506.0000"), "currency": "JPY"}, digits) == "difference -212,506, currency JPY"


def test_an_amount_is_written_with_the_digits_of_its_currency() -> None:
    digits = digits_on(MORNING)

    shown = [written(Decimal("1234.5000"), currency, digits) for currency in ("JPY", "EUR", "KWD", "QQQ", None)]

    assert shown == ["1,234.5", "1,234.50", "1,234.500", "1,234.50", "1,234.50"]
    assert (written(Decimal("1000"), "JPY", digits), written(Decimal("-0.0001"), "EUR", digits)) == ("1,000", "-0.0001")
    assert [places(Decimal(amount), 2) for amount in ("0.0000", "1E+3", "0.10", "0.125")] == [2, 2, 2, 3]


def test_a_figure_is_rounded_alike_where_it_fits_64_bits_and_where_it_does_not() -> None:
    macros = jinja2.Template((DBT_PROJECT / "macros" / "rounded.sql").read_text("utf-8")).module
    figures = [
        number * sign
        for number in (0, 5390.45 / 13000, 0.00005, 2.0000499999, 99_999_999.99995, 1e8, 123_456_789.12345)
        for sign in (1, -1)
    ]
    asked = [getattr(macros, f"{engine}__rounded_once")("figure") for engine in ("default", "spark")]
    rows = duckdb.sql(f"select {', '.join(asked)} from (select unnest({figures}::double[] || [null]) as figure)").fetchall()
    assert [short for short, _ in rows] == [long for _, long in rows]
    assert [short for short, _ in rows][2:8:2] == [Decimal("0.4147"), Decimal("0.0001"), Decimal("2.0000")]
