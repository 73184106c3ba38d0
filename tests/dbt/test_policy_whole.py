"""Nothing that a model asks of policy can go missing unnoticed: every row it needs is taken away here, one at a time, and named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dagster_project import asked as asked_module
from dagster_project import dbt_build
from dagster_project.asked import asked_for, refuse_a_policy_with_gaps
from dagster_project.paths import DBT_PROJECT, ROOT, SEEDS
from dagster_project.policy import PolicyError, _keys, packs, refuse_gaps, row_in_force, rows_in_force
from tests import compiled
from tests.compiled import Node
from tests.dbt.test_policy_packs import rewrite, rows_of

MORNING = date(2025, 6, 30)
PACK = "net_terms"


@pytest.fixture(scope="module")
def nodes() -> Sequence[Node]:
    return compiled.compiled()


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEEDS, tmp_path / "seeds", ignore=shutil.ignore_patterns("*.yml")))


@pytest.fixture(scope="module")
def asked(nodes: Sequence[Node]) -> frozenset[tuple[str, str]]:
    return asked_for()


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_every_table_says_what_names_its_rows() -> None:
    keys, wholes = _keys()

    assert set(keys) == {path.stem for path in SEEDS.glob("*.csv")}
    assert wholes <= set(keys)
    assert all(set(key) <= set(rows_of(table)[0]) for table, key in keys.items())


def test_models_read_policy_through_the_macros_alone() -> None:
    """A pack that replaces one row, and a row that is gone, are met in one place."""
    tables = "|".join(path.stem for path in SEEDS.glob("*.csv"))
    allowed = ("policy_faults.sql", "int_pack_")  # they look at every row there is
    direct = [
        f"{path.name}: {found[0]}"
        for folder in ("models", "tests", "macros")
        for path in sorted((DBT_PROJECT / folder).rglob("*.sql"))
        if not path.name.startswith(allowed) and (found := re.search(rf"ref\('({tables})'\)", path.read_text("utf-8")))
    ]

    assert direct == []


def test_the_manifest_knows_every_parameter_the_compiled_models_ask_for(nodes: Sequence[Node]) -> None:
    compiled_in = {pair for node in nodes for pair in re.findall(r"error\('(\w+)\.csv: (\w+) must stand there once", node.sql)}

    assert len(compiled_in) > 50
    assert compiled_in <= dbt_build.asked_for()


def test_what_is_asked_for_is_there_once_for_every_pack_today_and_on_every_day_of_the_history(
    asked: frozenset[tuple[str, str]],
) -> None:
    for pack in packs():
        for months_back in range(25):
            year, month = divmod(MORNING.year * 12 + MORNING.month - 1 - months_back, 12)
            refuse_gaps(asked, pack, date(year, month + 1, 28))


def test_no_parameter_is_there_that_nobody_asks_for(asked: frozenset[tuple[str, str]]) -> None:
    tables = [table for table, key in _keys()[0].items() if key == ("parameter",)]

    assert {(table, row["parameter"]) for table in tables for row in rows_of(table)} - asked == set()


def test_every_reason_that_holds_an_item_is_one_that_policy_lists() -> None:
    assert {row["reason"] for row in rows_of("held_reasons")} <= {
        name for table, name in dbt_build.asked_for() if table == "held_reasons"
    }


# --- a row is taken away ----------------------------------------------------------------------------------------------


def test_each_row_that_is_asked_for_by_name_is_refused_by_name_when_it_is_gone_or_there_twice(
    asked: frozenset[tuple[str, str]], seeds: Path
) -> None:
    for table, name in sorted(asked):
        first = _keys()[0][table][0]
        rows = rows_of(table)
        ours = [row for row in rows if row[first] == name]
        assert ours, (table, name)
        for changed, words in (
            ([row for row in rows if row not in ours], "has no row in force"),
            ([{**row, "valid_to": "2025-06-29"} if row in ours else row for row in rows], "has no row in force"),
            ([*rows, *ours], "stands there more than once in force"),
        ):
            rewrite(seeds, table, changed)
            with pytest.raises(PolicyError) as refused:
                refuse_gaps(asked, PACK, MORNING, seeds)
            assert str(refused.value).startswith(f"{table}.csv: {first} {name} {words} on {MORNING} for the pack {PACK} "), (
                refused.value
            )
            assert "\n" not in str(refused.value), "and nothing else"
        rewrite(seeds, table, rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [row for row in rows if row["parameter"] != "history_months"],
        lambda rows: [*rows, *[row for row in rows if row["parameter"] == "history_months"]],
        lambda rows: [{**row, "value": ""} if row["parameter"] == "history_months" else row for row in rows],
        lambda rows: [{**row, "value": "two years"} if row["parameter"] == "history_months" else row for row in rows],
        lambda rows: [{**row, "valid_from": "2025-07-01"} for row in rows],
        lambda rows: [{**row, "policy": "segments"} for row in rows],
    ],
    ids=["gone", "twice", "empty", "no number", "not yet", "of another pack"],
)
def test_a_model_ends_by_name_where_its_parameter_is_not_there_once(change: Any, nodes: Sequence[Node], seeds: Path) -> None:
    rewrite(seeds, "aging_policy", change(rows_of("aging_policy")))

    with pytest.raises(duckdb.Error, match=f"aging_policy.csv: history_months must stand there once.*{PACK}.*{MORNING}"):
        compiled.over(nodes, MORNING, ["int_snapshot_dates"], seeds=seeds)


@pytest.mark.parametrize(
    ("rows", "looms"),
    [
        ([], None),
        ([{"value": ""}], None),
        ([{"value": "low"}], None),
        ([{"value": "30", "valid_from": "2025-07-01"}], None),
        ([{"value": "30"}], True),
        ([{"value": "30"}, {"value": "10"}], None),
        ([{"value": "30"}, {"value": "10", "policy": PACK}], False),
        ([{"value": "10"}, {"value": "30", "policy": PACK, "valid_to": "2025-06-29"}], False),
        ([{"value": "10"}, {"value": "30", "policy": PACK}], True),
        ([{"value": "10"}, {"value": "", "policy": PACK}], None),
        ([{"value": "10"}, {"value": "30", "policy": PACK}, {"value": "30", "policy": PACK}], None),
        ([{"value": "10"}, {"value": "10"}, {"value": "30", "policy": PACK}], True),
        ([{"value": "10"}, {"value": "30", "policy": "segments"}], False),
    ],
)
def test_of_several_parameters_each_is_the_packs_or_that_of_every_pack_or_ends_the_model_by_name(
    rows: list[dict[str, str]], looms: bool | None, nodes: Sequence[Node], seeds: Path
) -> None:
    others = rows_of("dunning_policy")
    ours = next(row for row in others if row["parameter"] == "looming_bureau_score")
    rewrite(seeds, "dunning_policy", [row for row in others if row is not ours] + [{**ours, **row} for row in rows])
    score = {"customer_id": "C", "snapshot_date": MORNING, "factor": "bureau_score", "value_number": Decimal("20.0000")}
    given = {
        "int_risk_factors": pa.Table.from_pylist([score]),
        "int_payment_behaviour": pa.Table.from_pylist([{"customer_id": "C", "payer_pattern": "chronic"}]),
    }
    if looms is None:
        with pytest.raises(
            duckdb.Error, match=f"dunning_policy.csv: looming_bureau_score must stand there once.*{PACK}.*{MORNING}"
        ):
            compiled.over(nodes, MORNING, ["int_arrangements"], given, seeds)
    else:
        con = compiled.over(nodes, MORNING, ["int_arrangements"], given, seeds)
        assert con.execute("select count(*) from intermediate.int_arrangements").fetchall() == [(looms,)]


TOTAL: dict[str, tuple[Callable[[dict[str, str]], bool], str]] = {
    "worklist_priority": (lambda row: row["policy"] in ("*", PACK), "tier {tier} aging_bucket {aging_bucket}"),
    "provision_matrix": (lambda row: row["policy"] in ("*", PACK), "tier {tier} aging_bucket {aging_bucket}"),
    "dunning_tones": (lambda row: True, "payer_pattern {payer_pattern} tone {tone}"),
    "late_fee_regimes": (lambda row: True, "entity_country {entity_country} customer_country {customer_country}"),
    "aging_buckets": (lambda row: True, "bucket"),
    "risk_weights": (lambda row: row["policy"] == PACK, "risk_weights.csv"),
    "risk_tier_terms": (lambda row: row["policy"] == PACK, "risk_tier_terms.csv"),
    "collectors": (lambda row: row["list"] == "senior", "senior"),
}
"""Tables of which no row may go: which of them count here, and what is said of one that is gone."""

ALIKE = ("worklist_priority", "provision_matrix")
"""Tables whose rows have the same names."""
ROUNDS = 11
"""Rows are taken away in so many rounds, some of each table at once: one is no easier to miss beside others than alone."""


@pytest.fixture(scope="module")
def tables(nodes: Sequence[Node]) -> Iterator[duckdb.DuckDBPyConnection]:
    names = [*_keys()[0], "int_snapshot_dates"]
    with compiled.over(nodes, MORNING, names) as con:
        yield con


def test_each_row_of_a_table_that_must_be_total_is_refused_by_name_when_it_is_gone(
    nodes: Sequence[Node], tables: duckdb.DuckDBPyConnection
) -> None:
    looking = ("policy_faults", "int_pack_faults", "aging_bucket_table_is_total", "dunning_pack_is_whole")
    sql = [compiled.at(node, MORNING) for node in nodes if node.name in looking]
    assert [len(tables.execute(each).fetchall()) for each in sql] == [0] * len(looking)
    apart = "aging_buckets"  # what is whole in other tables is said by its rows
    counting = {
        table: [(place, words.format(**row)) for place, row in enumerate(rows_of(table)) if counts(row)]
        for table, (counts, words) in TOTAL.items()
    }
    rounds = [{table: rows[first::ROUNDS] for table, rows in counting.items() if table != apart} for first in range(ROUNDS)]
    for gone in (*rounds, *({apart: [row]} for row in counting[apart])):
        tables.execute("begin")
        for table, rows in gone.items():
            tables.execute(f"delete from policy.{table} where rowid in (select unnest(?))", [[place for place, _ in rows]])
        found = [str(fault) for each in sql for fault in tables.execute(each).fetchall()]
        tables.execute("rollback")
        for table, rows in gone.items():
            for place, words in rows:
                told = [fault for fault in found if words in fault and (table not in ALIKE or f"'{table}.csv'" in fault)]
                assert told, (table, place, words, found)


def test_a_bucket_that_is_split_needs_its_losses(nodes: Sequence[Node], seeds: Path) -> None:
    """90+ into 91-120 and 120+, as the README invites: half the expected loss was gone, and nothing said so."""
    rows = rows_of("aging_buckets")
    last = {**rows[-1], "bucket": "91-120", "to_days": "120"}
    rewrite(seeds, "aging_buckets", [*rows[:-1], last, {**rows[-1], "bucket": "120+", "from_days": "121"}])

    con = compiled.over(nodes, MORNING, ["policy_faults"], seeds=seeds)

    missing = {
        subject
        for subject, fault in con.execute("select subject, fault from policy.policy_faults").fetchall()
        if "no loss_pct" in fault
    }
    assert missing == {f"tier {tier} aging_bucket {bucket}" for tier in "*123" for bucket in ("91-120", "120+")}


def test_a_step_that_is_said_with_a_text_nobody_wrote_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_a_policy_with_gaps(PACK, MORNING)
    monkeypatch.setattr(asked_module.drafts, "is_written", lambda template: template != "third_notice_hold_warning")

    with pytest.raises(
        PolicyError, match=r"^dunning_steps.csv: tier \* step third_notice .* add templates/en/third_notice_hold_warning.txt$"
    ):
        refuse_a_policy_with_gaps(PACK, MORNING)


def test_every_list_that_a_held_reason_sends_an_item_to_is_a_sheet_or_none_is_needed() -> None:
    book = (ROOT / "dagster_project" / "outgoing" / "workbook" / "book.py").read_text("utf-8")
    sheets = {name for found in re.findall(r"_among\(listed, ([^)]*)\)", book) for name in re.findall(r"\"(\w+)\"", found)}

    assert sheets
    assert {row["list"] for row in rows_of("held_reasons")} - sheets == {"none", "waiting", "cash_application"}


# --- a pack changes one row -------------------------------------------------------------------------------------------


def test_a_pack_replaces_one_row_and_keeps_the_rest_in_sql_as_in_python(nodes: Sequence[Node], seeds: Path) -> None:
    rows = rows_of("aging_policy")
    own = {**rows[1], "policy": PACK, "value": "3", "valid_to": "2025-06-30"}
    assert own["parameter"] == "history_months"
    rewrite(seeds, "aging_policy", [*rows, own])

    def months(day: date) -> int:
        con = compiled.over(nodes, day, ["int_snapshot_dates"], seeds=seeds)
        return len(con.execute("select * from intermediate.int_snapshot_dates where not is_as_of").fetchall())

    assert months(MORNING) == 3
    assert months(date(2025, 7, 1)) == 24, "the pack's row has ended"
    assert row_in_force("aging_policy", "history_months", PACK, MORNING, seeds)["value"] == "3"
    assert row_in_force("aging_policy", "basis", PACK, MORNING, seeds)["value"] == "due_date"
    assert row_in_force("aging_policy", "history_months", "segments", MORNING, seeds)["value"] == "24"


def test_a_table_that_is_a_whole_is_the_packs_altogether(nodes: Sequence[Node], seeds: Path) -> None:
    rows = rows_of("aging_buckets")
    own = [{**rows[0], "policy": PACK}, {**rows[-1], "policy": PACK, "bucket": "late", "from_days": "1"}]
    rewrite(seeds, "aging_buckets", [*rows, *own])

    assert [row["bucket"] for row in rows_in_force("aging_buckets", PACK, MORNING, seeds)] == ["current", "late"]
    assert len(rows_in_force("aging_buckets", "segments", MORNING, seeds)) == len(rows)
