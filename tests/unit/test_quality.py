"""The expectations over what landed: what a plausible load is, and what is said of one that is not.

Everything that imports Great Expectations is in this module: it takes seconds, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dagster_project.contract import DATASETS, TABLES, Dataset
from dagster_project.landing import Landing
from dagster_project.policy import LandingLimits, limits_of, rows_in_force
from dagster_project.quality import LoadFacts, Verdict, Worker, facts_of, validate, write_data_docs
from dagster_project.sources import Delivery, page_schema

MONDAY, TUESDAY, WEDNESDAY = date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4)
INVOICES, PAYMENTS = DATASETS["invoices"], DATASETS["payments"]

LOAD = "the-load"


def facts(dataset: Dataset, **more: Any) -> LoadFacts:
    usual = LoadFacts(dataset.name, LOAD, 3, 3, 0.0, 1.0, 0, 1.0, [], "2025-06-30", "net_terms")
    return replace(usual, **more)


@pytest.mark.parametrize("name", DATASETS)
def test_a_good_load_of_any_dataset_is_as_expected(name: str) -> None:
    verdict = validate(facts(DATASETS[name]))

    assert verdict.broken == []
    assert verdict.evaluated >= 3


@pytest.mark.parametrize(
    ("dataset", "more", "says"),
    [
        ("invoices", {"volume_share": 0.3}, "volume_share: 30% of the records of the loads before, policy asks for 50%"),
        ("invoices", {"volume_share": 0.0}, "volume_share: 0% of the records of the loads before"),
        ("payments", {"age_days": 90}, "age_days: the newest record is of 90 days ago, policy allows 10"),
        ("payments", {"quarantined_share": 0.02}, "quarantined_share: 2.0% of the records were refused, policy allows 1.0%"),
        ("payments", {"accounted_for": 2}, "accounted_for: records received and records accounted for differ: 3 and 2"),
        (
            "invoices",
            {"amount_ratio": 100.0},
            "amount_ratio: the median amount is 100 times that of the loads before, policy allows 20 times",
        ),
        ("invoices", {"amount_ratio": 0.01}, "amount_ratio: the median amount is 0.01 times that of the loads before"),
        (
            "customers",
            {"emptied": ["name", "country"]},
            "emptied_columns: name, country came without one value and used to be filled",
        ),
    ],
)
def test_a_load_that_is_odd_as_a_whole_is_told(dataset: str, more: dict[str, Any], says: str) -> None:
    (line,) = validate(facts(DATASETS[dataset], **more)).broken

    assert says in line


@pytest.mark.parametrize(
    ("dataset", "more"),
    [
        ("invoices", {"volume_share": None}),  # nothing to compare with
        ("invoices", {"volume_share": 40.0}),  # growth is no fault
        ("payments", {"age_days": None}),
        ("customers", {"age_days": 9_000}),  # nobody asks how old a customer is
        ("activities", {"volume_share": 0.01}),
        ("credit_scores", {"amount_ratio": 1000.0}),
        ("invoices", {"amount_ratio": 19.0}),
        ("invoices", {"amount_ratio": None}),
    ],
)
def test_what_policy_does_not_ask_for_is_not_held_against_a_load(dataset: str, more: dict[str, Any]) -> None:
    assert validate(facts(DATASETS[dataset], **more)).passed


# --- what is known of a load ------------------------------------------------------------------------------------------


def land(landing: Landing, count: int, as_of: date, *, full: bool = True, day: str = "2025-06-01", bad: int = 0) -> LoadFacts:
    paid = {"customer_id": "C1", "payment_date": day, "currency": "EUR"}
    records = [paid | {"payment_id": f"{day}-{n}", "amount": "x" if n < bad else "1"} for n in range(count)]
    page = pa.Table.from_pylist(records, schema=page_schema(PAYMENTS))
    landing.land(PAYMENTS, Delivery(iter([page]), full, "test"), as_of, quarantine_share=Decimal(1))
    return facts_of(landing, PAYMENTS, landing.loads(PAYMENTS)[-1], as_of)


def test_a_load_is_compared_with_the_median_of_the_mornings_before_it(landing: Landing) -> None:
    assert land(landing, 10, MONDAY).volume_share is None, "the first of all"
    land(landing, 1, MONDAY, full=False)
    land(landing, 20, TUESDAY)

    assert land(landing, 5, WEDNESDAY).volume_share == 0.25
    assert land(landing, 5, WEDNESDAY).volume_share == 0.25, "tried again, a collapse is still one"
    assert land(landing, 0, WEDNESDAY).volume_share == 0
    assert land(landing, 5, WEDNESDAY, full=False).volume_share is None, "changes come in any number"


def test_the_age_of_a_load_is_that_of_the_newest_day_it_speaks_of(landing: Landing) -> None:
    assert land(landing, 3, WEDNESDAY, day="2025-06-01").age_days == 3
    assert land(landing, 3, WEDNESDAY, day="2025-06-30").age_days == 3, "a day that has not come makes nothing fresh"


def test_every_record_of_a_load_is_accounted_for(landing: Landing) -> None:
    land(landing, 4, MONDAY)
    known = land(landing, 4, TUESDAY, bad=1)

    assert (known.received, known.accounted_for, known.quarantined_share) == (4, 4, 0.25)


def test_amounts_a_hundred_times_too_large_are_seen_beside_those_of_the_loads_before(landing: Landing) -> None:
    def bring(as_of: date, factor: int, count: int = 40, currency: str = "EUR") -> LoadFacts:
        records = [
            {
                "payment_id": f"{as_of}-{n}",
                "customer_id": "C1",
                "payment_date": "2025-06-01",
                "currency": currency,
                "amount": str(factor * n),
            }
            for n in range(1, count + 1)
        ]
        page = pa.Table.from_pylist(records, schema=page_schema(PAYMENTS))
        landing.land(PAYMENTS, Delivery(iter([page]), False, "test"), as_of)
        return facts_of(landing, PAYMENTS, landing.loads(PAYMENTS)[-1], as_of)

    assert bring(MONDAY, 1).amount_ratio is None, "nothing to compare with"
    assert bring(TUESDAY, 100).amount_ratio == pytest.approx(100, rel=0.05)
    assert bring(WEDNESDAY, 1, count=5).amount_ratio is None, "of five amounts nobody can say what is usual"
    assert bring(WEDNESDAY + timedelta(days=1), 150, currency="JPY").amount_ratio is None, "yen are another size"


def test_a_column_that_an_export_lost_is_named(landing: Landing) -> None:
    def bring(as_of: date, **more: str) -> LoadFacts:
        records = [
            {
                "payment_id": f"{as_of}-{n}",
                "customer_id": "C1",
                "payment_date": "2025-06-01",
                "currency": "EUR",
                "amount": "1",
                **more,
            }
            for n in range(40)
        ]
        page = pa.Table.from_pylist(records, schema=page_schema(PAYMENTS))
        landing.land(PAYMENTS, Delivery(iter([page]), False, "test"), as_of)
        return facts_of(landing, PAYMENTS, landing.loads(PAYMENTS)[-1], as_of)

    assert bring(MONDAY, reference="RE-1", method="bank").emptied == []
    assert bring(TUESDAY, method="bank").emptied == ["reference"]
    assert bring(WEDNESDAY, reference="RE-2", method="bank").emptied == []


# --- the limits -------------------------------------------------------------------------------------------------------


def test_limits_come_from_the_policy_seed_and_the_star_is_for_every_other_dataset(tmp_path: Path) -> None:
    (tmp_path / "landing_limits.csv").write_text(
        "dataset,max_quarantined_share,min_volume_share,max_age_days,max_amount_ratio,blocking,policy,valid_from,valid_to\n"
        "*,0.01,0.5,,,true,*,2000-01-01,\npayments,0.2,0,7,,false,*,2000-01-01,\npayments,0.3,0,9,20,false,segments,2025-01-01,2025-12-31\n"
    )

    def limits(dataset: str, pack: str = "net_terms", day: date = MONDAY) -> LandingLimits:
        return limits_of(dataset, pack, day, tmp_path)

    assert limits("invoices") == LandingLimits(Decimal("0.01"), Decimal("0.5"), None, None, True)
    assert limits("payments") == LandingLimits(Decimal("0.2"), Decimal(0), 7, None, False)
    assert limits("payments", "segments") == LandingLimits(Decimal("0.3"), Decimal(0), 9, Decimal(20), False), "the pack's own"
    assert limits("payments", "segments", date(2026, 1, 1)) == limits("payments"), "which has ended"
    assert limits_of("companies", "net_terms", MONDAY).max_quarantined_share == Decimal("0.01"), "one in a hundred, by default"


def test_every_limit_is_of_a_dataset_there_is() -> None:
    assert {row["dataset"] for row in rows_in_force("landing_limits", "net_terms", MONDAY)} - {"*"} <= set(TABLES)


# --- in a process of its own ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    working = Worker()
    yield working
    working.stop()


def test_the_worker_answers_for_each_load_whatever_the_order_it_is_asked_in(worker: Worker) -> None:
    good = facts(INVOICES, load_id="good")
    stale = facts(PAYMENTS, load_id="stale", age_days=90)
    worker.ask(good)
    worker.ask(stale)
    worker.ask(good)

    assert worker.verdict(stale) == validate(stale)
    assert worker.verdict(good) == validate(good)
    assert worker.verdict(good).passed


def test_a_worker_that_died_is_an_error_and_not_a_pass(worker: Worker) -> None:
    worker.start()
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()

    with pytest.raises(RuntimeError, match="expectations of payments could not be run"):
        worker.verdict(facts(PAYMENTS, load_id="too late"))


def test_only_a_load_with_nothing_broken_passes() -> None:
    assert Verdict("payments", "load", 3).passed
    assert not Verdict("payments", "load", 3, ["age_days: values are out of range"]).passed


def test_the_data_docs_show_each_load(tmp_path: Path) -> None:
    index = write_data_docs([facts(INVOICES), facts(PAYMENTS, age_days=90)], tmp_path / "docs")

    text = index.read_text("utf-8")
    assert "invoices" in text
    assert "payments" in text
    pages = [path.read_text("utf-8") for path in (tmp_path / "docs").rglob("*.html")]
    assert any("age_days" in page for page in pages)
