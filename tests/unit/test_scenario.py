"""What would change if: the published book under other terms, limits and habits, as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.comparison import NothingToCompare
from dagster_project.scenario import Question, scenario_of


@pytest.fixture
def published(tmp_path: Path, mart: Callable[..., pa.Table]) -> Path:
    """A owes 60,000 and was billed 90,000 in 90 days, on 60 days; B owes 30,000, was billed 90,000, on 15 days with a limit of 20,000."""

    def row(customer: str, policy: str, tier: str, rank: int, days: int, limit: int, owed: int) -> dict[str, object]:
        return {
            "customer_id": customer,
            "policy": policy,
            "is_selected": policy == "net_terms",
            "tier_indicated": tier,
            "tier_rank": rank,
            "net_days": days,
            "credit_limit_policy": Decimal(limit),
            "reporting_currency": "EUR",
            "billed_amount": Decimal(90_000),
            "exposure_amount": Decimal(owed),
        }

    rows = [
        row("A", "net_terms", "1", 1, 60, 100_000, 60_000),
        row("B", "net_terms", "3", 3, 15, 20_000, 30_000),
        row("A", "segments", "A", 1, 45, 50_000, 60_000),
        row("B", "segments", "D", 4, 0, 10_000, 30_000),
    ]
    folder = tmp_path / "published"
    (folder / "parquet").mkdir(parents=True)
    pq.write_table(mart("policy_comparison", *rows), folder / "parquet" / "policy_comparison.parquet")
    pq.write_table(pa.table({"as_of": [date(2025, 6, 30)]}), folder / "parquet" / "run.parquet")
    return folder


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_another_pack_moves_terms_limits_and_with_them_dso(published: Path) -> None:
    """90,000 owed of 180,000 billed in 90 days: 45 days. 15 days less for each of two halves of the billing are 15 days of it: 30,000."""
    told = lines(scenario_of(published, Question(pack="segments")))

    assert "now: net_terms 1 1 60,000 0 60.0" in told
    assert "all 2 90,000 10,000 37.5" in told
    assert "all 2 90,000 30,000 22.5" in told
    assert "days sales outstanding 45.0 30.0 -15.0" in told
    assert "receivables 90,000 60,000 -30,000" in told
    assert "carrying them, a year 8,100 5,400 -2,700" in told


def test_terms_of_a_tier_limits_and_habits_are_asked_for_one_by_one(published: Path) -> None:
    """Tier 3 has no days to lose beyond its 15; A pays five days sooner, and so does B."""
    told = lines(scenario_of(published, Question(net_days=-30, tiers=("3",), limits_pct=50, late_days=-5)))

    assert "then: net_terms, -30 net days of tier 3, limits at 50 % 1 1 60,000 10,000 60.0" in told
    assert "3 1 30,000 20,000 0.0" in told
    assert "Once everybody pays as many days beyond terms as now, and 5 fewer:" in told
    assert "receivables 90,000 65,000 -25,000" in told


def test_nothing_asked_is_nothing_changed(published: Path) -> None:
    assert "receivables 90,000 90,000 +0" in lines(scenario_of(published, Question()))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Question(pack="cohorts"), "'cohorts' is no policy pack of 2025-06-30; there is: net_terms, segments"),
        (Question(tiers=("2",)), "net_terms has no tier 2; there is: 1, 3"),
    ],
)
def test_what_is_not_there_is_said(published: Path, question: Question, said: str) -> None:
    with pytest.raises(NothingToCompare, match=said):
        scenario_of(published, question)


def test_before_the_first_morning_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingToCompare, match="published yet: make run"):
        scenario_of(tmp_path / "published", Question())
