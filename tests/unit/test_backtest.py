"""A pack tried on the past, as text: summed from what was published, refusing what is not there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.backtest import NothingToTry, backtest_of
from dagster_project.settings import Settings


def published(home: Path, *marts: tuple[str, pa.Table]) -> None:
    folder = home / "published" / "parquet"
    folder.mkdir(parents=True)
    for name, table in marts:
        pq.write_table(table, folder / f"{name}.parquet")
    pq.write_table(pa.table({"as_of": [date(2025, 7, 10)], "policy": ["net_terms"]}), folder / "run.parquet")


@pytest.fixture
def rows(mart: Callable[..., pa.Table]) -> pa.Table:
    """Tier 1: ten owed, one went bad and was not held. Tier 2: of four, two were held and one of them went bad."""

    def row(tier: str, rank: int, day: date, customers: int, bad: int, held: int, rightly: int) -> dict[str, object]:
        counts = {"": customers, "went_bad_": bad, "held_": held, "held_and_went_bad_": rightly}
        return {
            "policy": "net_terms",
            "snapshot_date": day,
            "judged_on": date(2025, 6, 30),
            "tier": tier,
            "tier_rank": rank,
            "reporting_currency": "EUR",
            "bad_before_customers": 0,
            **{f"{name}customers": count for name, count in counts.items()},
            **{f"{name}amount": Decimal(count * 1000) for name, count in counts.items()},
        }

    return mart(
        "policy_backtest",
        row("2", 2, date(2025, 3, 31), 4, 1, 2, 1),
        row("1", 1, date(2025, 3, 31), 6, 1, 0, 0),
        row("1", 1, date(2025, 2, 28), 4, 0, 0, 0),
    )


def test_month_ends_are_summed_and_a_pack_told_by_whom_it_held(
    tmp_path: Path, rows: pa.Table, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings()
    published(settings.home, ("policy_backtest", rows))

    text = backtest_of(settings)

    assert text.splitlines()[0].startswith("Month ends 2025-02-28 to 2025-03-31, judged by 2025-06-30")
    cells = [line.split() for line in text.splitlines()]
    assert ["1", "10", "1", "10.0%", "0", "0", "10,000", "1,000", "0"] in cells
    assert ["2", "4", "1", "25.0%", "2", "1", "50.0%", "4,000", "1,000", "1,000"] in cells
    assert ["all", "14", "2", "14.3%", "2", "1", "50.0%", "14,000", "2,000", "1,000"] in cells
    assert "of 2,000 that went bad, 1,000 (50.0%) was owed by customers it held (1 of 2); of 2 it held, 1 paid anyway" in text
    assert max(map(len, text.splitlines()[2:8])) <= 120


def test_what_cannot_be_tried_is_said(rows: pa.Table, make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    with pytest.raises(NothingToTry, match="published yet: make run"):
        backtest_of(settings)

    published(settings.home, ("policy_backtest", rows))
    with pytest.raises(NothingToTry, match="'nobody' is no policy pack; there is: cohorts, net_terms, segments"):
        backtest_of(settings, "nobody")


def test_a_young_book_has_no_past_to_be_tried_on(mart: Callable[..., pa.Table], make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    published(settings.home, ("policy_backtest", mart("policy_backtest")))
    with pytest.raises(NothingToTry, match="2025-07-10 has no month ends yet"):
        backtest_of(settings)
