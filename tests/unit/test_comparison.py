"""The packs side by side as text: read from what was published, fitting a screen, refusing what is not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.comparison import NothingToCompare, comparison_of
from dagster_project.paths import ROOT

TERMS = {"discount_pct": Decimal(2), "discount_days": 10, "late_fee_pct_month": Decimal("1.5"), "deposit_pct": Decimal(0)}


@pytest.fixture
def published(tmp_path: Path, mart: Callable[..., pa.Table]) -> Path:
    """Two customers under two packs: one keeps its tier, one is cut from 60 days to 15."""

    def row(customer: str, policy: str, tier: str, days: int, moves: str, change: int, above: int = 0) -> dict[str, object]:
        return {
            "customer_id": customer,
            "customer_name": f"The house of {customer} and a very long list of partners",
            **TERMS,
            "policy": policy,
            "is_selected": policy == "net_terms",
            "tier_indicated": tier,
            "tier_rank": int(days < 60) + 1,
            "tier_name": f"tier {tier}, which has a long name too",
            "net_days": days,
            "moves": moves,
            "credit_limit_policy": Decimal(days * 1000),
            "reporting_currency": "EUR",
            "billed_amount": Decimal(90_000_000),
            "exposure_amount": Decimal(123_456_789),
            "exposure_above_limit_amount": Decimal(above),
            "receivables_change_amount": Decimal(change),
        }

    rows = [
        row("kept", "net_terms", "1", 60, "same", 0),
        row("kept", "segments", "A", 60, "same", 0),
        row("cut", "net_terms", "1", 60, "same", 0),
        row("cut", "segments", "payment_on_order", 15, "tighter", -45_000_000, above=123_441_789),
    ]
    folder = tmp_path / "published"
    (folder / "parquet").mkdir(parents=True)
    pq.write_table(mart("policy_comparison", *rows), folder / "parquet" / "policy_comparison.parquet")
    pq.write_table(pa.table({"as_of": [date(2025, 6, 30)]}), folder / "parquet" / "run.parquet")
    return folder


def test_the_packs_stand_tier_by_tier_and_the_movers_by_what_they_move(published: Path) -> None:
    text = comparison_of(published)

    assert text.startswith("The policy packs on the book of 2025-06-30, which runs by net_terms; amounts in EUR\n")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "payment_on_order tier payment_on_order, 1 123,456,789 123,441,789 15 15,000 0 % 2 % in 10" in lines
    assert "all 2 246,913,578 123,441,789 37.5" in lines
    assert "segments instead of net_terms: 1 same (123,456,789 exposure), 1 tighter (123,456,789 exposure)" in lines
    movers = [line for line in lines if line.endswith("-45,000,000")]
    assert movers == ["cut The house of cut and 1 > payment_on_order 60 > 15 60,000 > 15,000 123,456,789 -45,000,000"]
    assert max(len(line) for line in text.splitlines()) <= 120


def test_one_pack_can_be_asked_for_by_name(published: Path) -> None:
    assert comparison_of(published, "segments") == comparison_of(published)
    with pytest.raises(
        NothingToCompare, match="'net_terms' cannot be held beside net_terms, the pack of 2025-06-30; there is: segments"
    ):
        comparison_of(published, "net_terms")


def test_before_the_first_morning_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingToCompare, match="published yet: make run"):
        comparison_of(tmp_path / "published")


@pytest.mark.parametrize("module", ["comparison", "credit_policy"])
def test_a_question_is_answered_without_loading_what_a_night_needs(module: str) -> None:
    loaded = f"import sys, dagster_project.{module}; print(sorted({{'dagster', 'dbt', 'pandas', 'great_expectations'}} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
