"""A bureau that changes its mind about a scale moves no tier: planted faults, over mornings of a book of eight customers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.sources.files import FilesSource
from tests import compiled
from tests.compiled import Built, Node

MORNING = date(2025, 7, 31)
CUSTOMERS = [f"K{n}" for n in range(8)]
SPRING, SUMMER = date(2025, 5, 10), date(2025, 7, 10)
CREDITSAFE, PAYDEX = "creditsafe,credit_score,international_score", "dnb,paydex,paydex"


def write(folder: Path, name: str, header: str, rows: Sequence[Sequence[Any]]) -> None:
    folder.mkdir(exist_ok=True)
    lines = [header, *(",".join(str(value) for value in row) for row in rows)]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight customers who paid on the day for a year, all of them sound in the spring. In the summer Creditsafe has for K0 what it
    had, for K1 and K2 the scale turned over (a low score in the best class), for K3 and K4 a model nobody knows, and K5
    and K6 did fall; K7 it did not look at again."""
    folder = tmp_path_factory.mktemp("book")
    months = [date(2024, month, 1) for month in range(7, 13)] + [date(2025, month, 1) for month in range(1, 8)]
    deals = [(f"{who}-{first}", who, first, first.replace(day=20)) for who in CUSTOMERS for first in months]
    summer = [
        *[(CREDITSAFE, SUMMER, 85, "A", "K0")],
        *[(CREDITSAFE, SUMMER, 15, "A", who) for who in ("K1", "K2")],
        *[(CREDITSAFE.replace("international_score", "preview_2"), SUMMER, 15, "A", who) for who in ("K3", "K4")],
        *[(CREDITSAFE, SUMMER, 15, "E", who) for who in ("K5", "K6")],
    ]
    spring = [score for who in CUSTOMERS for score in ((CREDITSAFE, SPRING, 85, "A", who), (PAYDEX, SPRING, 80, "", who))]
    since = [(who, f"Name {who}", "2019-01-01", "EUR") for who in CUSTOMERS]
    write(folder, "customers", "customer_id,name,customer_since,currency", since)
    columns = "invoice_id,invoice_number,customer_id,document_type,invoice_date,currency,amount,due_date"
    write(folder, "invoices", columns, [(deal, deal, who, "invoice", on, "EUR", 100, due) for deal, who, on, due in deals])
    columns = "payment_id,customer_id,payment_date,currency,amount,reference"
    write(folder, "payments", columns, [(f"P-{deal}", who, due, "EUR", 100, deal) for deal, who, _, due in deals])
    columns = "allocation_id,invoice_id,source_type,allocated_on,amount,source_id"
    write(folder, "allocations", columns, [(f"A-{deal}", deal, "payment", due, 100, f"P-{deal}") for deal, _, _, due in deals])
    columns = "bureau,score_code,model_code,scored_on,raw_score,risk_class,customer_id"
    write(folder, "credit_scores", columns, [*spring, *summer])
    reviews = [("R0", "K0", "2024-07-30", "1"), ("R1", "K1", "2024-07-31", "1"), ("R2", "K2", "2025-07-11", "1")]
    write(folder, "credit_reviews", "review_id,customer_id,reviewed_on,tier", reviews)
    return folder


@pytest.fixture(scope="module")
def nodes() -> Sequence[Node]:
    return compiled.compiled()


@pytest.fixture(scope="module")
def morning(nodes: Sequence[Node], book: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Built]:
    """Those marts of the book on a morning, and the tests that ask for nothing else."""

    def build(day: date, *marts: str) -> Built:
        place = tmp_path_factory.mktemp("morning")
        landing = Landing(place / "landing", place / "quarantine")
        source = FilesSource(book)
        for dataset in DATASETS.values():
            landing.land(dataset, source.fetch(dataset, None), day)
        return compiled.build(compiled.needed_for(nodes, *marts), landing, day)

    return build


@pytest.fixture(scope="module")
def built(morning: Callable[..., Built]) -> Built:
    return morning(MORNING, "credit_reviews_due", "risk_tiers", "credit_score_changes")


def test_a_scale_that_turned_over_and_an_unknown_model_fail_a_check_and_move_no_tier(built: Built) -> None:
    tiers = {row["customer_id"]: row["tier_indicated"] for row in built.rows("risk_tiers")}
    alerts = {row["customer_id"] for row in built.rows("credit_score_changes") if row["alerting"]}

    assert {who for who, tier in tiers.items() if tier != "1"} == {"K5", "K6"}, (
        "a bureau that means it says so in its class as well"
    )
    assert alerts == {"K5", "K6"}
    assert built.failures["bureau_scores_are_mapped"] == 4


def test_the_reviews_overdue_this_morning_are_those_the_key_figure_will_count(
    built: Built, morning: Callable[..., Built]
) -> None:
    """Tier 1 is reviewed yearly: K0 ran out the day before the month's end, K1 on it; all but K2 of the others were never reviewed."""
    due = {row["customer_id"]: row for row in built.rows("credit_reviews_due")}
    kpi = [
        row["value"]
        for row in morning(date(2025, 8, 1), "kpi_monthly").rows("kpi_monthly")
        if (row["kpi"], row["scope"], row["month"]) == ("overdue_reviews", "total", date(2025, 7, 1))
    ]

    overdue = {who for who, row in due.items() if row["is_cycle_overdue"]}
    assert overdue == {"K0", "K3", "K4", "K5", "K6", "K7"}
    assert kpi == [len(overdue)]
    assert (due["K1"]["trigger"], due["K1"]["due_on"], due["K1"]["days_overdue"]) == ("cycle", MORNING, 0)
    assert due["K5"]["all_triggers"] == "bureau_fall,never_reviewed"
    assert "K2" not in due


# --- the checks that need no book ---------------------------------------------------------------------------------------


@pytest.fixture
def policies(nodes: Sequence[Node]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The seeds about bureaus, where the compiled tests look for them."""
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as arrears; attach ':memory:' as published")
        con.execute("create schema arrears.policy; create schema published.marts")
        for node in nodes:
            if node.name in ("bureau_scales", "bureau_classes", "risk_policy"):
                con.execute(f"create table {node.relation} as {node.sql}")
        yield con


def faults(con: duckdb.DuckDBPyConnection, nodes: Sequence[Node], test: str) -> list[tuple[Any, ...]]:
    (node,) = (node for node in nodes if node.name == test)
    assert node.blocking
    return con.execute(node.sql).fetchall()


@pytest.mark.parametrize("score_code", ["paydex", "credit_score", "standard_rating", "failure_percentile"])
def test_a_scale_written_down_the_wrong_way_round_stops_the_morning(
    score_code: str, nodes: Sequence[Node], policies: duckdb.DuckDBPyConnection
) -> None:
    assert faults(policies, nodes, "bureau_scales_agree_with_their_classes") == []
    the_other = "case direction when 'high_good' then 'low_good' else 'high_good' end"
    policies.execute(f"update arrears.policy.bureau_scales set direction = {the_other} where score_code = '{score_code}'")
    assert {fault[1] for fault in faults(policies, nodes, "bureau_scales_agree_with_their_classes")} == {score_code}


@pytest.mark.parametrize(
    ("moves", "stops"),
    [
        ([(85, 15)] * 5 + [(60, 65)] * 4, True),
        ([(85, 15)] * 4, False),
        ([(85, 15)] * 5 + [(60, 65)] * 5, False),
        ([(85, 46)] * 9, False),
        ([(95, 50)] * 9, False),
    ],
    ids=["five of nine", "four", "five of ten", "39 points", "to the middle"],
)
def test_a_score_that_turned_over_for_most_of_the_book_stops_the_morning(
    moves: Sequence[tuple[int, int]], stops: bool, nodes: Sequence[Node], policies: duckdb.DuckDBPyConnection
) -> None:
    values = ", ".join(f"('dnb', 'paydex', 'worsened', {there}, {here}, {here - there})" for there, here in moves)
    columns = "bureau, score_code, direction, score_from, score_to, points"
    policies.execute(f"create table published.marts.credit_score_changes as select * from (values {values}) as t({columns})")

    assert bool(faults(policies, nodes, "bureau_scores_did_not_turn_over")) is stops


def test_on_the_first_morning_nothing_is_late_and_first_reviews_are_a_plan(
    nodes: Sequence[Node], book: Path, tmp_path: Path
) -> None:
    """Policy binds from the first morning that was landed. What a company did before was not held against it."""
    landing = Landing(tmp_path / "landing", tmp_path / "quarantine")
    source = FilesSource(book)
    for dataset in DATASETS.values():
        landing.land(dataset, source.fetch(dataset, None), MORNING)
    wanted = compiled.needed_for(nodes, "credit_reviews_due", "credit_exceptions", "risk_tiers", "kpi_monthly")

    def night(day: date) -> Built:
        return compiled.build(wanted, landing, day, source="files")

    first, later = night(MORNING), night(date(2025, 9, 15))

    due = {row["customer_id"]: (row["due_on"], row["is_cycle_overdue"]) for row in first.rows("credit_reviews_due")}
    listed = {row["customer_id"] for row in first.rows("credit_reviews_due") if "never_reviewed" in row["all_triggers"]}
    plan = {row["customer_id"]: row["next_review_due"] for row in first.rows("risk_tiers")}
    never = ["K3", "K4", "K5", "K6", "K7"]
    assert {plan[who] for who in never} == {MORNING + timedelta(days=73 * place) for place in range(5)}, "five over a year"
    assert listed == {who for who in never if plan[who] == MORNING}, "the others wait for their day"
    assert set(due.values()) == {(MORNING, False)}, "K0's and K1's year had ended, and nobody had said that it mattered"
    assert {row["customer_id"]: row["next_review_due"] for row in later.rows("risk_tiers")}.items() >= {
        who: plan[who] for who in never
    }.items(), "the plan stands"
    assert [row for row in first.rows("credit_exceptions") if not row["declared"]] == []
    for kpi in ("overdue_reviews", "exception_rate"):
        figures = [row for row in first.rows("kpi_monthly") if row["kpi"] == kpi]
        assert figures
        assert {(row["variant"], row["value"], row["numerator"]) for row in figures} == {("before_policy", None, None)}
    (july, august) = (
        [
            (row["variant"], row["value"])
            for row in later.rows("kpi_monthly")
            if (row["kpi"], row["scope"], row["month"]) == ("overdue_reviews", "total", month)
        ]
        for month in (date(2025, 7, 1), date(2025, 8, 1))
    )
    assert july == [("accounts_at_month_end", 0)]
    assert august == [("accounts_at_month_end", 3)], "K0, K1 and the first of the plan"
