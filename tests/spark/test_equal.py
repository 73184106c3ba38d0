"""Whatever engine a morning was built on, what leaves the house is the same to the byte: every mart as Parquet, every file of the worklist.

Of the packs and the reporting currencies each is there at least once, the demo's company with two mornings.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from nights import AS_OF, LEDGER, NEXT_DAY, House, ledger

from tests.spark.conftest import ON_SPARK, compiled_to_java, ran, shown

DEMO_DAYS = (date(2026, 6, 24), date(2026, 6, 25))
TO_DOLLARS = "2024-12-31,EUR,USD,1.04\n2024-12-31,GBP,USD,1.25\n"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, House]]:
    """The demo's first morning on each engine, in two homes that seal with one key."""
    folder = tmp_path_factory.mktemp("demo")
    on_duckdb = ran(House(folder / "duckdb", {"source": "demo"}), DEMO_DAYS[0])
    on_spark = House(folder / "spark", {"source": "demo", **ON_SPARK})
    on_spark.home.mkdir()
    shutil.copy(on_duckdb.home / "seal.key", on_spark.home)
    with compiled_to_java(on_spark):
        yield {"duckdb": on_duckdb, "spark": ran(on_spark, DEMO_DAYS[0])}


def test_a_morning_of_the_demo_is_the_same_on_spark(demo: dict[str, House]) -> None:
    expected = shown(demo["duckdb"], DEMO_DAYS[0])

    assert len(expected) > 60
    assert shown(demo["spark"], DEMO_DAYS[0]) == expected


def test_so_is_the_next_one_which_brings_what_changed(demo: dict[str, House]) -> None:
    for house in demo.values():
        ran(house, DEMO_DAYS[1])

    assert shown(demo["spark"], DEMO_DAYS[1]) == shown(demo["duckdb"], DEMO_DAYS[1])


@pytest.mark.parametrize(("policy", "currency"), [("segments", "USD"), ("cohorts", "EUR")])
def test_so_is_a_morning_on_which_records_are_gone_and_mended(policy: str, currency: str, tmp_path: Path) -> None:
    """The second morning of a home that ran on DuckDB before: rows that are gone, one that changed, a column that was not there."""
    kept = [path.stem for path in LEDGER.glob("*.csv") if path.stem != "control_balances"]  # which would not tie to what is gone
    before, folder = (ledger(tmp_path / name, keep=kept, exchange_rates=TO_DOLLARS) for name in ("before", "files"))
    variables = {"source": "files", "files_dir": str(before), "policy": policy, "reporting_currency": currency}
    first = ran(House(tmp_path / "first", variables), AS_OF)
    lines = (folder / "invoices.csv").read_text("utf-8").splitlines(keepends=True)
    changed = [line.replace("2025-06-30", "2025-07-15") for line in lines[:4] + lines[6:]]
    (folder / "invoices.csv").write_text("".join(changed), "utf-8")
    later = {**variables, "files_dir": str(folder)}
    homes = [House(first.copy(tmp_path / name).home, {**later, **more}) for name, more in (("duckdb", {}), ("spark", ON_SPARK))]
    on_duckdb, on_spark = (ran(house, NEXT_DAY) for house in homes)

    assert any(load["tombstones"] for load in on_spark.loads("invoices"))
    assert shown(on_spark, NEXT_DAY) == shown(on_duckdb, NEXT_DAY)
