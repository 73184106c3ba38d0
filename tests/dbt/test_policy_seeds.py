"""What guards the rows is guarded itself: the house's own dbt tests, rendered here, over tables that must pass and must fail."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from dagster_project.paths import DBT_PROJECT

SEEDS = DBT_PROJECT / "seeds" / "policy"
TESTS = DBT_PROJECT / "tests"


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as scratch:
        yield scratch


def generic(name: str, **arguments: Any) -> str:
    """The SQL of one of the generic tests, as dbt would render it."""
    text = (TESTS / "generic" / f"{name}.sql").read_text("utf-8")
    text = re.sub(r"{%-?\s*test\b", "{% macro", text)
    text = re.sub(r"{%-?\s*endtest\b", "{% endmacro", text)
    return str(getattr(jinja2.Template(text).module, name)(**arguments))


def singular(name: str) -> str:
    """The SQL of one of the singular tests; a policy table is the table of that name."""
    text = (TESTS / "singular" / f"{name}.sql").read_text("utf-8")
    return jinja2.Template(text).render(policy_rows=lambda table: table, config=lambda **_: "")


def rows(con: duckdb.DuckDBPyConnection, *values: str) -> str:
    con.execute(f"create or replace table things as select * from (values {', '.join(values)}) t(name, number)")
    return "things"


def count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    """How many faults a test finds: dbt takes none as a pass."""
    return len(con.execute(sql).fetchall())


# --- the generic tests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        (["('a', 1)", "('a', 2)", "('b', 1)"], 0),
        (["('a', 1)", "('a', 1)", "('b', 1)"], 1),
        (["('a', 1)", "('a', 1)", "('b', 1)", "('b', 1)", "('b', 1)"], 2),
        (["('a', 1)", "('b', null)"], 1),
        (["('a', 1)", "(null, 2)"], 1),
    ],
)
def test_one_row_per_finds_what_is_there_twice_and_what_has_no_name(
    values: list[str], faults: int, con: duckdb.DuckDBPyConnection
) -> None:
    assert count(con, generic("one_row_per", model=rows(con, *values), columns=["name", "number"])) == faults


def test_one_row_per_of_one_column_looks_at_that_alone(con: duckdb.DuckDBPyConnection) -> None:
    table = rows(con, "('a', 1)", "('a', 2)")

    assert count(con, generic("one_row_per", model=table, columns=["name"])) == 1
    assert count(con, generic("one_row_per", model=table, columns=["number"])) == 0


@pytest.mark.parametrize(
    ("values", "faults"),
    [(["('a', 1)", "('b', 0)", "('', 2)"], 0), (["('a', 1)", "(null, 1)"], 1), (["('a', null)", "(null, null)"], 2)],
)
def test_complete_finds_every_row_with_something_missing(values: list[str], faults: int, con: duckdb.DuckDBPyConnection) -> None:
    assert count(con, generic("complete", model=rows(con, *values), columns=["name", "number"])) == faults


@pytest.mark.parametrize(
    ("values", "faults"),
    [(["('a', 1)", "('b', 2)"], 0), (["('a', 1)", "('b', -2)"], 1), (["('a', null)", "('b', 2)"], 1), (["('b', 0)"], 1)],
)
def test_holds_takes_nothing_but_true_for_true(values: list[str], faults: int, con: duckdb.DuckDBPyConnection) -> None:
    assert count(con, generic("holds", model=rows(con, *values), expression="number > 0")) == faults


# --- the aging buckets ------------------------------------------------------------------------------------------------

COLUMNS = ("bucket", "from_days", "to_days", "amount_column")
GOOD = [
    ("current", None, 0, "current_amount"),
    ("1-30", 1, 30, "d1_30"),
    ("31-60", 31, 60, "d31_60"),
    ("61-90", 61, 90, "d61_90"),
    ("90+", 91, None, "d90_plus"),
]


def faults_of(con: duckdb.DuckDBPyConnection, buckets: list[tuple[Any, ...]]) -> list[str]:
    con.execute(
        "create or replace table aging_buckets (bucket varchar, from_days integer, to_days integer, amount_column varchar)"
    )
    if buckets:
        con.executemany("insert into aging_buckets values (?, ?, ?, ?)", buckets)
    return [row[3] for row in con.execute(singular("aging_bucket_table_is_total")).fetchall()]


def changed(place: int, **values: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(values.get(name, old) for name, old in zip(COLUMNS, row, strict=True)) if number == place else row
        for number, row in enumerate(GOOD)
    ]


def test_the_buckets_of_the_policy_and_other_whole_tables_pass(con: duckdb.DuckDBPyConnection) -> None:
    assert faults_of(con, GOOD) == []
    assert faults_of(con, list(reversed(GOOD))) == [], "the order of the rows means nothing"
    assert faults_of(con, [("current", None, 0, "current_amount"), ("late", 1, None, "d90_plus")]) == []
    with (SEEDS / "aging_buckets.csv").open(encoding="utf-8", newline="") as file:
        assert faults_of(con, [tuple(row[name] or None for name in COLUMNS) for row in csv.DictReader(file)]) == []


@pytest.mark.parametrize(
    ("buckets", "reason"),
    [
        ([], "there are no buckets"),
        (GOOD[:2] + GOOD[3:], "leaves a gap to the bucket before"),
        (changed(2, from_days=32), "leaves a gap to the bucket before"),
        (changed(2, from_days=30), "overlaps the bucket before"),
        (changed(2, to_days=None), "overlaps the next bucket"),
        (changed(1, from_days=None), "overlaps the first bucket"),
        (changed(3, from_days=91, to_days=90), "begins after it ends"),
        (GOOD[:-1], "the last bucket has an end"),
        (changed(4, to_days=9_999), "the last bucket has an end"),
        (changed(0, from_days=-9_999), "the first bucket has a beginning"),
        (changed(0, to_days=5), "the first bucket must hold what is not past due, and only that"),
        (changed(0, bucket=None), "a bucket needs a name of its own"),
        (changed(1, bucket="no_due_date"), "a bucket needs a name of its own"),
        (changed(1, amount_column="current_amount"), "only the first bucket stands in current_amount"),
        (changed(1, amount_column="d0_15"), "unknown amount column"),
    ],
)
def test_a_bucket_table_with_a_gap_an_overlap_or_an_end_is_refused(
    buckets: list[tuple[Any, ...]], reason: str, con: duckdb.DuckDBPyConnection
) -> None:
    assert reason in faults_of(con, buckets)


# --- the policy -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seed_tests(manifest: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Each generic test on a policy seed: the seed, the test, its arguments."""
    return [
        (parent.split(".")[-1], node["test_metadata"]["name"], node["test_metadata"]["kwargs"])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node.get("test_metadata")
        for parent in node["depends_on"]["nodes"]
        if parent.startswith("seed.")
    ]


def load(con: duckdb.DuckDBPyConnection, manifest: dict[str, Any], seed: str) -> None:
    types = manifest["nodes"][f"seed.arrears.{seed}"]["config"]["column_types"]
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    path: Path = SEEDS / f"{seed}.csv"
    con.execute(f"create table {seed} as from read_csv('{path}', header = true, columns = {{{columns}}})")


def found_in(con: duckdb.DuckDBPyConnection, seed: str, test: str, arguments: dict[str, Any]) -> int:
    return count(con, generic(test, model=seed, **{name: value for name, value in arguments.items() if name != "model"}))


def test_the_policy_as_delivered_passes_its_own_tests(
    con: duckdb.DuckDBPyConnection, manifest: dict[str, Any], seed_tests: list[tuple[str, str, dict[str, Any]]]
) -> None:
    for seed in {seed for seed, _, _ in seed_tests}:
        load(con, manifest, seed)

    assert {
        f"{seed} {test}": found_in(con, seed, test, arguments)
        for seed, test, arguments in seed_tests
        if "{{" not in str(arguments)
    } == {f"{seed} {test}": 0 for seed, test, arguments in seed_tests if "{{" not in str(arguments)}
    assert len(seed_tests) > 8


def test_every_policy_that_is_read_by_name_refuses_a_name_it_does_not_know(
    con: duckdb.DuckDBPyConnection, manifest: dict[str, Any], seed_tests: list[tuple[str, str, dict[str, Any]]]
) -> None:
    """A misspelt parameter would otherwise be read as nothing at all."""
    checked = []
    for seed, test, arguments in seed_tests:
        if test == "holds" and "case parameter" in arguments["expression"]:
            load(con, manifest, seed)
            con.execute(f"insert into {seed} (parameter, value) values ('misspelt', '1')")
            checked.append(seed)
            assert found_in(con, seed, test, arguments) == 1, seed

    assert "aging_policy" in checked


def test_no_row_of_the_policy_is_there_twice(manifest: dict[str, Any]) -> None:
    for path in SEEDS.glob("*.csv"):
        lines = [line for line in path.read_text("utf-8").splitlines() if line]
        assert len(lines) == len(set(lines)), path.name


def test_every_row_says_since_when_it_holds_and_who_approved_it() -> None:
    for path in SEEDS.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                assert all(row[name] for name in ("policy", "valid_from", "approved_by", "approved_on")), f"{path.name}: {row}"
                assert "valid_to" in row, path.name
