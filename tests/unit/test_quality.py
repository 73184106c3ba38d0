"""The expectations over what landed: what a plausible load is, and what is said of one that is not.

Everything that imports Great Expectations is in this module: it takes seconds, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.contract import DATASETS, LANDING_COLUMNS, TABLES, Dataset, Type
from dagster_project.landing import Landing
from dagster_project.policy import LandingLimits, limits_of, rows_in_force
from dagster_project.quality import LoadFacts, Verdict, Worker, facts_of, validate
from dagster_project.sources import Delivery, page_schema

MONDAY, TUESDAY, WEDNESDAY = date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4)
INVOICES, PAYMENTS = DATASETS["invoices"], DATASETS["payments"]

VALUES: dict[Type, Any] = {
    Type.TEXT: "x",
    Type.DATE: MONDAY,
    Type.TIMESTAMP: datetime(2025, 6, 2, 5),
    Type.AMOUNT: Decimal("10.0000"),
    Type.RATE: Decimal("1.1000000000"),
    Type.NUMBER: Decimal("1.000000"),
    Type.INTEGER: 1,
    Type.BOOLEAN: False,
}
ARROW: dict[Type, pa.DataType] = {
    Type.TEXT: pa.string(),
    Type.DATE: pa.date32(),
    Type.TIMESTAMP: pa.timestamp("us"),
    Type.AMOUNT: pa.decimal128(18, 4),
    Type.RATE: pa.decimal128(20, 10),
    Type.NUMBER: pa.decimal128(18, 6),
    Type.INTEGER: pa.int32(),
    Type.BOOLEAN: pa.bool_(),
}


LOAD = "the-load"


def row_of(dataset: Dataset, number: int) -> dict[str, Any]:
    """A landed row that keeps every expectation."""
    row = {c.name: c.enum[0] if c.enum else VALUES[c.type] for c in (*dataset.columns, *LANDING_COLUMNS)}
    row |= {name: "EUR" for name in ("currency", "base_currency") if name in row} | {"_load_id": LOAD}
    first = dataset.by_name[dataset.key[0]]
    row[first.name] = f"K{number}" if first.type is Type.TEXT else date(2025, 1, number + 1)
    return row


def facts(dataset: Dataset, **more: Any) -> LoadFacts:
    usual = LoadFacts(dataset.name, LOAD, None, 3, 3, 0.0, 1.0, 0, "2025-06-30", "net_terms")
    return replace(usual, **more)


def landed(folder: Path, dataset: Dataset, *changes: dict[str, Any]) -> str:
    """A file of landed rows, each with some values that landing itself would never have let through."""
    schema = pa.schema([(c.name, ARROW[c.type]) for c in (*dataset.columns, *LANDING_COLUMNS)])
    rows = [row_of(dataset, number) | change for number, change in enumerate(changes)]
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return str(path)


@pytest.mark.parametrize("name", DATASETS)
def test_a_good_load_of_any_dataset_is_as_expected(name: str, tmp_path: Path) -> None:
    dataset = DATASETS[name]

    verdict = validate(facts(dataset, rows_path=landed(tmp_path, dataset, {}, {}, {})))

    assert verdict.broken == []
    required = sum(column.required for column in dataset.columns)
    assert verdict.evaluated >= 3 + 1 + required, "the load, its key, and every required column"


@pytest.mark.parametrize(
    ("dataset", "more", "says"),
    [
        ("invoices", {"volume_share": 0.3}, "volume_share: 30% of the records of the loads before, policy asks for 50%"),
        ("invoices", {"volume_share": 0.0}, "volume_share: 0% of the records of the loads before"),
        ("payments", {"age_days": 90}, "age_days: the newest record is of 90 days ago, policy allows 10"),
        ("payments", {"quarantined_share": 0.02}, "quarantined_share: 2.0% of the records were refused, policy allows 1.0%"),
        ("payments", {"accounted_for": 2}, "records received and records accounted for differ"),
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
    ],
)
def test_what_policy_does_not_ask_for_is_not_held_against_a_load(dataset: str, more: dict[str, Any]) -> None:
    assert validate(facts(DATASETS[dataset], **more)).passed


@pytest.mark.parametrize(
    ("dataset", "change", "says"),
    [
        ("invoices", {"invoice_id": "K1"}, "invoice_id: values are there twice: 2 of 3, such as K1"),
        (
            "exchange_rates",
            {"rate_date": date(2025, 1, 2)},
            "base_currency: keys are there twice: 2 of 3, such as 2025-01-02/EUR/EUR",
        ),
        ("invoices", {"customer_id": None}, "customer_id: values are missing: 1 of 3"),
        ("invoices", {"document_type": "receipt"}, "document_type: values are none of the known: 1 of 3, such as receipt"),
        ("invoices", {"invoice_date": date(1025, 6, 2)}, "invoice_date: values are out of range: 1 of 3, such as 1025-06-02"),
        ("invoices", {"due_date": date(3025, 6, 2)}, "due_date: values are out of range: 1 of 3"),
        ("invoices", {"currency": "EURO"}, "currency: values are malformed: 1 of 3, such as EURO"),
        ("exchange_rates", {"base_currency": "eur"}, "base_currency: values are malformed: 1 of 3, such as eur"),
        ("invoices", {"amount": Decimal("-0.0001")}, "amount: values are out of range: 1 of 3"),
    ],
)
def test_rows_that_should_never_have_landed_are_told_with_an_example(
    dataset: str, change: dict[str, Any], says: str, tmp_path: Path
) -> None:
    verdict = validate(facts(DATASETS[dataset], rows_path=landed(tmp_path, DATASETS[dataset], {}, {}, change)))

    assert any(says in line for line in verdict.broken), verdict.broken


def test_a_key_that_lacks_a_part_is_told_with_the_others(tmp_path: Path) -> None:
    scores = DATASETS["credit_scores"]
    nameless = {"bureau": None, "score_code": "x"}

    broken = validate(facts(scores, rows_path=landed(tmp_path, scores, {}, nameless, nameless))).broken

    assert any("keys are there twice: 2 of 3, such as /x/2025-06-02/x/x" in line for line in broken), broken


def test_a_row_that_only_says_a_key_is_gone_is_not_looked_at(tmp_path: Path) -> None:
    gone = {"_deleted": True, "invoice_id": "K1", "currency": "EURO"}

    assert validate(facts(INVOICES, rows_path=landed(tmp_path, INVOICES, {}, {}, gone))).passed


def test_negative_amounts_are_expected_where_the_contract_says_so(tmp_path: Path) -> None:
    balances = DATASETS["control_balances"]

    assert validate(facts(balances, rows_path=landed(tmp_path, balances, {"balance": Decimal(-5)}))).passed


def test_a_large_load_is_looked_at_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_project.quality.BATCH_ROWS", 2)
    path = landed(tmp_path, INVOICES, {}, {}, {}, {"currency": "EURO"})

    (line,) = validate(facts(INVOICES, rows_path=path)).broken

    assert "currency: values are malformed: 1 of 2" in line


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
    assert known.rows_path is None, "nothing changed"


# --- the limits -------------------------------------------------------------------------------------------------------


def test_limits_come_from_the_policy_seed_and_the_star_is_for_every_other_dataset(tmp_path: Path) -> None:
    (tmp_path / "landing_limits.csv").write_text(
        "dataset,max_quarantined_share,min_volume_share,max_age_days,blocking,policy,valid_from,valid_to\n"
        "*,0.01,0.5,,true,*,2000-01-01,\npayments,0.2,0,7,false,*,2000-01-01,\npayments,0.3,0,9,false,segments,2025-01-01,2025-12-31\n"
    )

    def limits(dataset: str, pack: str = "net_terms", day: date = MONDAY) -> LandingLimits:
        return limits_of(dataset, pack, day, tmp_path)

    assert limits("invoices") == LandingLimits(Decimal("0.01"), Decimal("0.5"), None, True)
    assert limits("payments") == LandingLimits(Decimal("0.2"), Decimal(0), 7, False)
    assert limits("payments", "segments") == LandingLimits(Decimal("0.3"), Decimal(0), 9, False), "the pack's own"
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


def test_the_worker_answers_for_each_load_whatever_the_order_it_is_asked_in(worker: Worker, tmp_path: Path) -> None:
    good = facts(INVOICES, load_id="good", rows_path=landed(tmp_path, INVOICES, {}, {}))
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
