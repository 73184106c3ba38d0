"""The store of everything a source ever said: what is kept, what is refused and why, and that a load is whole or nothing."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project import duck
from dagster_project.contract import DATASETS, ISSUED_STEPS, LANDING_COLUMNS, SQL_TYPES, Column, Dataset, Type
from dagster_project.landing import Landing, LandingError, Manifest, empty_select, rows_select, store
from dagster_project.sources import EXTRA, Delivery, Parents, SourceError, page_schema

MONDAY, TUESDAY, WEDNESDAY = date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4)
PAYMENTS, COMPANIES, RATES = DATASETS["payments"], DATASETS["companies"], DATASETS["exchange_rates"]

EVERYTHING = Dataset(
    "everything",
    "erp",
    ("id",),
    (
        Column("id", required=True),
        Column("kind", enum=("good", "better")),
        Column("day", Type.DATE),
        Column("at", Type.TIMESTAMP),
        Column("amount", Type.AMOUNT),
        Column("balance", Type.AMOUNT, signed=True),
        Column("rate", Type.RATE),
        Column("share", Type.NUMBER),
        Column("days", Type.INTEGER),
        Column("day_of_month", Type.INTEGER, within=(1, 31)),
        Column("flag", Type.BOOLEAN),
        Column("currency"),
        Column("either"),
        Column("other"),
    ),
    any_of=("either", "other"),
)
"""A dataset with a column of every type there is."""

ALL = Decimal(1)
"""The share of refused records that lets everything pass."""


def delivery(
    dataset: Dataset, *pages: Iterable[Mapping[str, Any]], full: bool = True, stored: Mapping[str, pa.DataType] | None = None
) -> Delivery:
    """Records as text, but for the columns that are `stored` otherwise."""
    schema = pa.schema([(field.name, (stored or {}).get(field.name, field.type)) for field in page_schema(dataset)])
    tables = (pa.Table.from_pylist(list(records), schema=schema) for records in pages)
    return Delivery(pages=tables, full=full, origin="test")


def payment(number: int, amount: str = "10.00", **more: str | None) -> dict[str, str | None]:
    known = {"payment_id": f"P{number}", "customer_id": "C1", "payment_date": "2025-06-01", "currency": "EUR", "amount": amount}
    return {**known, **more}


def rows(landing: Landing, dataset: Dataset, as_of: date | None = None, **known: Any) -> list[dict[str, Any]]:
    """Everything landed, oldest first."""
    loads = landing.loads(dataset, as_of, **known)
    with duck.scratch(landing.folder) as con:
        found = con.sql(f"select * from ({rows_select(dataset, con, loads)}) order by _loaded_at, {', '.join(dataset.key)}")
        return found.to_arrow_table().to_pylist()


def refusals(landing: Landing, dataset: Dataset, load_id: str) -> list[dict[str, Any]]:
    path = landing.quarantine / dataset.name / f"{load_id}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def staged(landing: Landing) -> list[Path]:
    return list((landing.folder / ".staging").iterdir())


# --- records ----------------------------------------------------------------------------------------------------------

REASONS = [
    ({"id": None}, "id is missing"),
    ({"id": "  "}, "id is missing"),
    ({"either": None}, "one of either or other is needed"),
    ({"kind": "best"}, "kind is none of good, better: «best»"),
    ({"kind": "go od"}, "kind is none of good, better: «go od»"),
    ({"day": "31.12.2025"}, "day is not a date (YYYY-MM-DD): «31.12.2025»"),
    ({"day": "2025-02-30"}, "day is not a date (YYYY-MM-DD): «2025-02-30»"),
    ({"day": "2025-01-01T00:30:00"}, "day is not a date (YYYY-MM-DD): «2025-01-01T00:30:00»"),
    ({"day": "0001-01-01"}, "day is no day anybody means (years 1900 to 2199; leave it empty where there is none): «0001-01-01»"),
    (
        {"at": "9999-12-31T00:00:00Z"},
        "at is no day anybody means (years 1900 to 2199; leave it empty where there is none): «9999-12-31T00:00:00Z»",
    ),
    ({"currency": "EURO"}, "currency is not a currency (ISO 4217, such as EUR): «EURO»"),
    ({"at": "yesterday"}, "at is not a time (ISO 8601, UTC): «yesterday»"),
    ({"at": "2025-01-01T25:00:00Z"}, "at is not a time (ISO 8601, UTC): «2025-01-01T25:00:00Z»"),
    ({"amount": "1,000.00"}, "amount is not a decimal number: «1,000.00»"),
    ({"amount": "1e3"}, "amount is not a decimal number: «1e3»"),
    ({"amount": "NaN"}, "amount is not a decimal number: «NaN»"),
    ({"amount": "1.00005"}, "amount has more than 4 fraction digits: «1.00005»"),
    ({"amount": "100000000000000"}, "amount is too large: «100000000000000»"),
    ({"amount": "-0.01"}, "amount is negative: «-0.01»"),
    ({"balance": "-1.00005"}, "balance has more than 4 fraction digits: «-1.00005»"),
    ({"rate": "0"}, "rate must be above zero: «0»"),
    ({"rate": "-1.5"}, "rate is negative: «-1.5»"),
    (
        {"rate": "1000000000"},
        "rate is no rate anybody means (between 0.000000001 and 1000000000; is it the right way round?): «1000000000»",
    ),
    (
        {"rate": "0.000000001"},
        "rate is no rate anybody means (between 0.000000001 and 1000000000; is it the right way round?): «0.000000001»",
    ),
    ({"rate": "1.00000000001"}, "rate has more than 10 fraction digits: «1.00000000001»"),
    ({"share": "12 %"}, "share is not a decimal number: «12 %»"),
    ({"share": "0.1234567"}, "share has more than 6 fraction digits: «0.1234567»"),
    ({"days": "30.5"}, "days is not a whole number: «30.5»"),
    ({"days": "3000000000"}, "days is not a whole number: «3000000000»"),
    ({"day_of_month": "0"}, "day_of_month is not from 1 to 31: «0»"),
    ({"day_of_month": "1.5"}, "day_of_month is not a whole number: «1.5»"),
    ({"flag": "maybe"}, "flag is neither true nor false: «maybe»"),
]

ACCEPTED = [
    ({"id": " 007 "}, {"id": "007"}),
    ({"kind": "better"}, {"kind": "better"}),
    ({"kind": ""}, {"kind": None}),
    ({"either": "", "other": "x"}, {"either": None, "other": "x"}),
    ({"day": "2024-02-29"}, {"day": date(2024, 2, 29)}),
    ({"at": "2025-06-29T22:15:00Z"}, {"at": datetime(2025, 6, 29, 22, 15)}),
    ({"at": "2025-06-29T22:15:00+02:00"}, {"at": datetime(2025, 6, 29, 20, 15)}),
    ({"at": "2025-06-29 22:15:00.123456"}, {"at": datetime(2025, 6, 29, 22, 15, 0, 123456)}),
    ({"amount": "99999999999999.9999"}, {"amount": Decimal("99999999999999.9999")}),
    ({"amount": "0001.500000"}, {"amount": Decimal("1.5000")}),
    ({"amount": "-0.00"}, {"amount": Decimal("0.0000")}),
    ({"amount": ".5"}, {"amount": Decimal("0.5000")}),
    ({"balance": "-12345.6789"}, {"balance": Decimal("-12345.6789")}),
    ({"rate": "0.0000000011"}, {"rate": Decimal("0.0000000011")}),
    ({"rate": "999999999.9999999999"}, {"rate": Decimal("999999999.9999999999")}),
    ({"share": "33.333333"}, {"share": Decimal("33.333333")}),
    ({"days": "-7"}, {"days": -7}),
    ({"flag": "TRUE"}, {"flag": True}),
    ({"flag": "ja"}, {"flag": True}),
    ({"kind": " Good "}, {"kind": "good"}),
    ({"currency": "eur"}, {"currency": "EUR"}),
    ({"day": "2025-01-01T00:00:00"}, {"day": date(2025, 1, 1)}),
    ({"days": "30.0"}, {"days": 30}),
    ({"flag": "0"}, {"flag": False}),
]


def everything(number: int, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": f"R{number}", "either": "x", **values}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """One load of all of the above: the reasons for each bad record, and each good one as it was landed."""
    folder = tmp_path_factory.mktemp("judged")
    landing = Landing(folder / "landing", folder / "quarantine")
    bad = [everything(number, values) for number, (values, _) in enumerate(REASONS)]
    good = [everything(1_000 + number, values) for number, (values, _) in enumerate(ACCEPTED)]
    manifest = landing.land(EVERYTHING, delivery(EVERYTHING, bad, good), MONDAY, quarantine_share=ALL)
    refused = {line["record_number"]: line["reasons"] for line in refusals(landing, EVERYTHING, manifest.load_id)}
    landed = {row["id"]: row for row in rows(landing, EVERYTHING)}
    return (
        [refused.pop(number + 1, []) for number in range(len(bad))] + list(refused.values()),
        [landed.get((record["id"] or "").strip(), {}) for record in good],
    )


@pytest.mark.parametrize("number", range(len(REASONS)), ids=[reason for _, reason in REASONS])
def test_a_record_that_breaks_the_contract_is_refused_with_the_reason_in_words(number: int, judged: Any) -> None:
    assert judged[0][number] == [REASONS[number][1]]


def test_no_record_that_keeps_the_contract_is_refused(judged: Any) -> None:
    assert len(judged[0]) == len(REASONS)


@pytest.mark.parametrize("number", range(len(ACCEPTED)), ids=[str(values) for values, _ in ACCEPTED])
def test_a_record_that_keeps_the_contract_lands_with_its_type(number: int, judged: Any) -> None:
    row, expected = judged[1][number], ACCEPTED[number][1]

    assert {name: row[name] for name in expected} == expected


def test_every_way_to_write_a_number_is_landed_exactly_or_refused(landing: Landing) -> None:
    """Of up to five characters each, so that what looks plain and what is looked at closely meet in the middle."""
    written = ["".join(letters) for length in range(1, 6) for letters in itertools.product("01.-e", repeat=length)]
    records = [everything(number, {"amount": text, "balance": text, "rate": text}) for number, text in enumerate(written)]

    manifest = landing.land(EVERYTHING, delivery(EVERYTHING, records), MONDAY, quarantine_share=ALL)

    number = re.compile(r"-?(\d+\.?\d*|\.\d+)")
    good = {f"R{n}": Decimal(text) for n, text in enumerate(written) if number.fullmatch(text) and Decimal(text) > 0}
    landed = {row["id"]: {row["amount"], row["balance"], row["rate"]} for row in rows(landing, EVERYTHING)}
    assert landed == {record: {value} for record, value in good.items()}
    assert manifest.quarantined == len(written) - len(good)


STORED = {
    "day": pa.date32(),
    "at": pa.timestamp("us", "Europe/Berlin"),
    "amount": pa.decimal128(38, 4),
    "balance": pa.decimal128(20, 2),
    "rate": pa.decimal128(30, 10),
    "share": pa.decimal128(9, 0),
    "day_of_month": pa.int64(),
    "flag": pa.bool_(),
}
"""How a source may have columns that need not become text."""

BERLIN = ZoneInfo("Europe/Berlin")

GIVEN: list[tuple[dict[str, Any], dict[str, Any] | str]] = [
    ({"day": date(2024, 2, 29)}, {"day": date(2024, 2, 29)}),
    ({"at": datetime(2025, 6, 29, 0, 15, 0, 5, BERLIN)}, {"at": datetime(2025, 6, 28, 22, 15, 0, 5)}),
    ({"amount": Decimal("99999999999999.9999")}, {"amount": Decimal("99999999999999.9999")}),
    ({"amount": Decimal("100000000000000")}, "amount is too large: «100000000000000.0000»"),
    ({"amount": Decimal("-0.0100")}, "amount is negative: «-0.0100»"),
    ({"balance": Decimal("-12345.67")}, {"balance": Decimal("-12345.6700")}),
    ({"balance": Decimal("-100000000000000")}, "balance is too large: «-100000000000000.00»"),
    ({"rate": Decimal("0.0000000011")}, {"rate": Decimal("0.0000000011")}),
    (
        {"rate": Decimal(1_000_000_000)},
        "rate is no rate anybody means (between 0.000000001 and 1000000000; is it the right way round?): «1000000000.0000000000»",
    ),
    ({"rate": Decimal(0)}, "rate must be above zero: «0.0000000000»"),
    ({"share": Decimal(33)}, {"share": Decimal(33)}),
    ({"flag": False}, {"flag": False}),
    ({"day_of_month": 31}, {"day_of_month": 31}),
    ({"day_of_month": 32}, "day_of_month is not from 1 to 31: «32»"),
    ({"id": None, "day": date(2025, 1, 31), "at": datetime(2025, 6, 29, 0, 15, tzinfo=BERLIN), "flag": True}, "id is missing"),
]


@pytest.mark.parametrize("number", range(len(GIVEN)), ids=[str(values) for values, _ in GIVEN])
def test_a_value_that_comes_with_its_type_is_judged_as_its_text_would_be(number: int, landing: Landing) -> None:
    values, expected = GIVEN[number]
    sent = delivery(EVERYTHING, [everything(number, values)], stored=STORED)

    manifest = landing.land(EVERYTHING, sent, MONDAY, quarantine_share=ALL)

    if isinstance(expected, str):
        (refused,) = refusals(landing, EVERYTHING, manifest.load_id)
        assert refused["reasons"] == [expected]
        again = landing.land(EVERYTHING, delivery(EVERYTHING, [refused["record"]]), TUESDAY, quarantine_share=ALL)
        assert again.reasons == manifest.reasons, "what quarantine shows is what could be handed in as text"
    else:
        (row,) = rows(landing, EVERYTHING)
        assert {name: row[name] for name in expected} == expected


def test_what_is_null_in_a_column_with_a_type_is_missing_or_no_value(landing: Landing) -> None:
    stored = {"payment_date": pa.date32(), "reversed_on": pa.date32(), "amount": pa.decimal128(18, 2)}
    whole = {
        "payment_id": "P1",
        "customer_id": "C1",
        "payment_date": date(2025, 6, 1),
        "currency": "EUR",
        "amount": Decimal("10.00"),
    }
    sent = delivery(PAYMENTS, [whole, {**whole, "payment_id": "P2", "payment_date": None, "amount": None}], stored=stored)

    manifest = landing.land(PAYMENTS, sent, MONDAY, quarantine_share=ALL)

    assert [(row["payment_id"], row["amount"], row["reversed_on"]) for row in rows(landing, PAYMENTS)] == [
        ("P1", Decimal("10.0000"), None)
    ]
    assert manifest.reasons == {"amount is missing": 1, "payment_date is missing": 1}


def test_a_refused_record_is_kept_as_received_with_every_reason(landing: Landing) -> None:
    bad = {"payment_id": " P1 ", "amount": "ten", "currency": "EUR", EXTRA: '{"colour": "grün"}'}
    manifest = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(2), bad]), MONDAY, quarantine_share=ALL)

    (refused,) = refusals(landing, PAYMENTS, manifest.load_id)
    assert refused == {
        "dataset": "payments",
        "load": manifest.load_id,
        "record_number": 2,
        "record": {"payment_id": " P1 ", "amount": "ten", "currency": "EUR", "colour": "grün"},
        "reasons": ["customer_id is missing", "payment_date is missing", "amount is not a decimal number: «ten»"],
    }
    assert manifest.reasons == {
        "amount is not a decimal number:": 1,
        "customer_id is missing": 1,
        "payment_date is missing": 1,
    }


def test_the_same_record_twice_lands_once_and_is_counted(landing: Landing) -> None:
    manifest = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2)], [payment(2), payment(2)]), MONDAY)

    assert (manifest.received, manifest.landed, manifest.repeated, manifest.quarantined) == (4, 2, 2, 0)


def test_of_two_versions_of_a_record_the_newer_lands(landing: Landing) -> None:
    newer, older = payment(1, "11", updated_at="2025-06-01T09:00:00Z"), payment(1, "10", updated_at="2025-06-01T08:00:00Z")
    undated = payment(2, "20", updated_at="2025-06-01T08:00:00Z")
    manifest = landing.land(PAYMENTS, delivery(PAYMENTS, [newer, older, undated]), MONDAY)

    assert [row["amount"] for row in rows(landing, PAYMENTS)] == [11, 20]
    assert (manifest.repeated, manifest.quarantined) == (1, 0)


def test_a_contradiction_of_the_same_age_is_refused_and_shows_its_key(landing: Landing) -> None:
    at = "2025-06-01T08:00:00Z"
    manifest = landing.land(
        PAYMENTS,
        delivery(PAYMENTS, [payment(1, "10", updated_at=at), payment(1, "11", updated_at=at)]),
        MONDAY,
        quarantine_share=ALL,
    )

    assert (manifest.landed, manifest.repeated, manifest.quarantined) == (1, 0, 1)
    (refused,) = refusals(landing, PAYMENTS, manifest.load_id)
    assert refused["reasons"] == ["key P1 is there twice with other values"]
    assert manifest.reasons == {"the key is there twice with other values": 1}


def test_a_key_may_have_an_empty_part(landing: Landing) -> None:
    scores = DATASETS["credit_scores"]
    score = {"bureau": "plain", "scored_on": "2025-06-01", "score_code": "score_100", "raw_score": "70"}
    by_customer, by_number = {**score, "customer_id": "C1"}, {**score, "registration_number": "HRB 1"}

    first = landing.land(scores, delivery(scores, [by_customer, by_number, by_number]), MONDAY)
    again = landing.land(scores, delivery(scores, [by_customer, by_number]), TUESDAY)

    assert (first.landed, first.repeated) == (2, 1)
    assert (again.landed, again.unchanged) == (0, 2)


# --- whole or nothing -------------------------------------------------------------------------------------------------


def test_a_page_is_fetched_while_the_one_before_is_used() -> None:
    asked = Event()

    def pages() -> Iterator[pa.Table]:
        yield pa.table({"page": [1]})
        asked.set()
        yield pa.table({"page": [2]})

    fetched = store._ahead(pages())
    assert next(fetched)["page"].to_pylist() == [1]
    assert asked.wait(10), "the second page was not asked for while the first was in use"
    assert [page["page"].to_pylist() for page in fetched] == [[2]]


def test_a_source_that_fails_half_way_leaves_nothing_behind(landing: Landing) -> None:
    def failing() -> Iterator[pa.Table]:
        yield next(delivery(PAYMENTS, [payment(1)]).pages)
        raise SourceError("the line went dead")

    with pytest.raises(SourceError, match="line went dead"):
        landing.land(PAYMENTS, Delivery(failing(), full=True, origin="test"), MONDAY)

    assert landing.loads(PAYMENTS) == []
    assert staged(landing) == []


def test_too_many_bad_records_stop_the_load_and_can_be_looked_at(landing: Landing) -> None:
    records = [payment(n) for n in range(98)] + [payment(n, "x") for n in (98, 99)]

    with pytest.raises(LandingError) as refused:
        landing.land(PAYMENTS, delivery(PAYMENTS, records), MONDAY, quarantine_share=Decimal("0.01"))

    message = str(refused.value)
    assert "payments: 2 of 100 records break the contract, more than the 1.00 % that policy lets pass" in message
    assert "amount is not a decimal number: (2×, such as «x» in record 99)" in message
    assert landing.loads(PAYMENTS) == []
    assert staged(landing) == []
    (path,) = (landing.quarantine / "payments").iterdir()
    assert str(path) in message
    assert len(path.read_text().splitlines()) == 2


def test_as_many_bad_records_as_policy_lets_pass_do_not_stop_it(landing: Landing) -> None:
    records = [payment(n) for n in range(99)] + [payment(99, "x")]

    assert landing.land(PAYMENTS, delivery(PAYMENTS, records), MONDAY, quarantine_share=Decimal("0.01")).landed == 99


def test_a_dataset_of_which_nothing_can_be_read_says_why(landing: Landing) -> None:
    optional = replace(COMPANIES, required=False)
    nameless: dict[str, str | None] = {"company_id": "A", "currency": "EUR"}

    with pytest.raises(LandingError, match=r"companies: 1 of 1 records break the contract.*name is missing"):
        landing.land(optional, delivery(optional, [nameless]), MONDAY)


def test_a_required_dataset_is_never_left_without_a_single_record(landing: Landing) -> None:
    with pytest.raises(LandingError, match="payments: none of 1 records can be read: amount is not a decimal number"):
        landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1, "x")]), MONDAY, quarantine_share=ALL)

    assert landing.loads(PAYMENTS) == []


def test_a_required_dataset_that_is_absent_is_an_error_and_an_optional_one_a_fact(landing: Landing) -> None:
    with pytest.raises(LandingError, match="no payments, which is required"):
        landing.land(PAYMENTS, None, MONDAY)

    manifest = landing.land(COMPANIES, None, MONDAY)
    assert (manifest.absent, manifest.received, manifest.landed) == (True, 0, 0)
    assert [load.manifest for load in landing.loads(COMPANIES)] == [manifest]


def test_a_required_dataset_may_be_there_with_no_records(landing: Landing) -> None:
    manifest = landing.land(PAYMENTS, delivery(PAYMENTS), MONDAY)

    assert (manifest.absent, manifest.received, manifest.landed) == (False, 0, 0)


def test_a_load_is_there_whole_or_not_at_all_for_who_looks_meanwhile(landing: Landing) -> None:
    seen: list[int] = []

    def watched() -> Iterator[pa.Table]:
        for number in range(3):
            seen.append(len(landing.loads(PAYMENTS)))
            yield next(delivery(PAYMENTS, [payment(number)]).pages)

    landing.land(PAYMENTS, Delivery(watched(), full=True, origin="test"), MONDAY)

    assert seen == [0, 0, 0]
    (load,) = landing.loads(PAYMENTS)
    assert sorted(path.name for path in load.folder.iterdir()) == ["manifest.json", "rows.parquet"]
    assert staged(landing) == []


def test_what_a_killed_run_left_is_cleared_and_what_a_living_one_works_on_is_not(landing: Landing) -> None:
    killed, living = landing.folder / ".staging" / "killed", landing.folder / ".staging" / "living"
    for folder in (killed, living):
        folder.mkdir(parents=True)
        (folder / "raw.parquet").write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(killed, (two_days_ago, two_days_ago))

    landing.land(COMPANIES, None, MONDAY)

    assert staged(landing) == [living]


def test_two_loads_at_once_both_land(landing: Landing) -> None:
    both = Barrier(4)

    def land(number: int) -> Manifest:
        def pages() -> Iterator[pa.Table]:
            both.wait(timeout=30)
            yield next(delivery(PAYMENTS, [payment(number)]).pages)

        return landing.land(PAYMENTS, Delivery(pages(), full=False, origin="test"), MONDAY)

    with ThreadPoolExecutor(4) as pool:
        manifests = list(pool.map(land, range(4)))

    assert {load.load_id for load in landing.loads(PAYMENTS)} == {manifest.load_id for manifest in manifests}
    assert sorted(row["payment_id"] for row in rows(landing, PAYMENTS)) == ["P0", "P1", "P2", "P3"]


# --- what changed -----------------------------------------------------------------------------------------------------


def test_the_same_file_a_second_time_lands_nothing(landing: Landing) -> None:
    landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2)]), MONDAY)

    again = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(2), payment(1, "10.0")]), TUESDAY)

    assert (again.received, again.landed, again.unchanged, again.tombstones, again.sha256) == (2, 0, 2, 0, None)
    assert len(rows(landing, PAYMENTS)) == 2


def test_a_record_that_changed_lands_and_the_others_do_not(landing: Landing) -> None:
    landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2)]), MONDAY)

    changed = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2, reference="R-2")]), TUESDAY)

    assert (changed.landed, changed.unchanged) == (1, 1)
    assert [(row["payment_id"], row["reference"]) for row in rows(landing, PAYMENTS)] == [
        ("P1", None),
        ("P2", None),
        ("P2", "R-2"),
    ]


def test_a_record_that_changed_back_lands_again(landing: Landing) -> None:
    for amount in ("10", "11", "10"):
        landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1, amount)]), MONDAY)

    assert [row["amount"] for row in rows(landing, PAYMENTS)] == [10, 11, 10]


def test_what_disappears_from_a_whole_delivery_is_marked_as_gone_once(landing: Landing) -> None:
    landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2)]), MONDAY)

    gone = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(2)]), TUESDAY)
    still = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(2)]), WEDNESDAY)
    back = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2)]), WEDNESDAY)

    assert (gone.landed, gone.tombstones, gone.unchanged) == (1, 1, 1)
    assert (still.landed, still.tombstones) == (0, 0)
    assert (back.landed, back.tombstones) == (1, 0)
    assert [(row["payment_id"], row["_deleted"]) for row in rows(landing, PAYMENTS)] == [
        ("P1", False),
        ("P2", False),
        ("P1", True),
        ("P1", False),
    ]


def test_a_whole_delivery_of_nothing_marks_everything_as_gone(landing: Landing) -> None:
    landing.land(COMPANIES, delivery(COMPANIES, [{"company_id": "A", "name": "Alpha", "currency": "EUR"}]), MONDAY)

    assert landing.land(COMPANIES, delivery(COMPANIES), TUESDAY).tombstones == 1


def test_a_record_that_is_refused_tonight_is_not_gone(landing: Landing) -> None:
    landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2)]), MONDAY)

    manifest = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1, "x"), payment(2)]), TUESDAY, quarantine_share=ALL)

    assert (manifest.quarantined, manifest.tombstones, manifest.landed) == (1, 0, 0)


def test_what_an_incremental_delivery_leaves_out_is_not_gone(landing: Landing) -> None:
    landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2)]), MONDAY)

    manifest = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(2, "12")], full=False), TUESDAY, since=datetime(2025, 6, 1))

    assert (manifest.landed, manifest.tombstones) == (1, 0)
    assert manifest.since == "2025-06-01T00:00:00"


def test_every_row_says_which_load_brought_it_when_and_for_which_morning(landing: Landing) -> None:
    manifest = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1)]), MONDAY)

    (row,) = rows(landing, PAYMENTS)
    assert (row["_load_id"], row["_as_of"], row["_deleted"]) == (manifest.load_id, MONDAY, False)
    assert row["_loaded_at"] == datetime.fromisoformat(manifest.loaded_at)
    assert abs(row["_loaded_at"].replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_manifest_holds_the_fingerprint_of_the_rows_and_exact_sums_per_currency(landing: Landing) -> None:
    cents = [payment(n, "0.1000") for n in range(3)]
    large = [payment(10, "99999999999999.9999", currency="USD"), payment(11, "0.0001", currency="USD")]

    manifest = landing.land(PAYMENTS, delivery(PAYMENTS, cents, large), MONDAY)

    assert manifest.sums == {"EUR": "0.3000", "USD": "100000000000000.0000"}
    (load,) = landing.loads(PAYMENTS)
    assert load.rows is not None
    assert manifest.sha256 == hashlib.sha256(load.rows.read_bytes()).hexdigest()
    assert load.manifest == manifest


# --- what a morning knows ---------------------------------------------------------------------------------------------


def test_a_morning_knows_what_was_loaded_for_it_or_before_unless_asked_for_all_known_now(landing: Landing) -> None:
    for number, day in enumerate((TUESDAY, MONDAY, WEDNESDAY)):  # Monday was loaded after Tuesday: a backfill
        landing.land(PAYMENTS, delivery(PAYMENTS, [payment(number)], full=False), day)

    def known(as_of: date, **how: Any) -> list[str]:
        return [row["payment_id"] for row in rows(landing, PAYMENTS, as_of, **how)]

    assert known(MONDAY) == ["P1"]
    assert known(TUESDAY) == ["P0", "P1"]
    assert known(TUESDAY, known="now") == ["P0", "P1", "P2"]
    assert known(date(2025, 6, 1)) == []


@pytest.mark.parametrize(
    ("as_of", "published", "asked"),
    [
        (MONDAY, None, True),  # nothing was ever published, whatever was landed: the night failed
        (MONDAY, TUESDAY, False),
        (TUESDAY, TUESDAY, False),
        (TUESDAY, MONDAY, True),
        (WEDNESDAY, WEDNESDAY, True),  # today, although it was published an hour ago
    ],
)
def test_todays_run_asks_every_time_and_a_past_ones_where_neither_it_nor_a_later_one_went_out(
    as_of: date, published: date | None, asked: bool, landing: Landing
) -> None:
    for day in (MONDAY, TUESDAY):
        landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1)]), day)

    assert landing.asks(as_of, WEDNESDAY, published=published) is asked
    assert landing.asks(as_of, WEDNESDAY, published=published, refresh=True)


def test_a_list_that_went_out_is_remembered_where_the_published_marts_are_gone(landing: Landing) -> None:
    landing.land(ISSUED_STEPS, delivery(ISSUED_STEPS, [], full=False), TUESDAY)

    assert not landing.asks(MONDAY, WEDNESDAY, published=None)
    assert not landing.asks(TUESDAY, WEDNESDAY, published=None)
    assert landing.asks(WEDNESDAY, WEDNESDAY, published=None)


def test_the_cursor_is_the_newest_change_ever_landed_and_never_goes_back(landing: Landing) -> None:
    assert landing.cursor(PAYMENTS, WEDNESDAY) is None
    newest, older = "2025-06-02T10:00:00+02:00", "2025-06-01T09:00:00Z"

    landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1, updated_at=newest), payment(2, updated_at=older)]), MONDAY)
    assert landing.cursor(PAYMENTS, WEDNESDAY) == datetime(2025, 6, 2, 8, 0)

    landing.land(PAYMENTS, delivery(PAYMENTS, [payment(3, updated_at=older)], full=False), TUESDAY)
    landing.land(PAYMENTS, delivery(PAYMENTS, full=False), WEDNESDAY)
    assert landing.cursor(PAYMENTS, WEDNESDAY) == datetime(2025, 6, 2, 8, 0)


def test_a_refused_record_does_not_move_the_cursor(landing: Landing) -> None:
    bad = payment(2, "x", updated_at="2025-06-09T00:00:00Z")
    landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1, updated_at="2025-06-01T09:00:00Z"), bad]), MONDAY, quarantine_share=ALL)

    assert landing.cursor(PAYMENTS, WEDNESDAY) == datetime(2025, 6, 1, 9)


def test_the_newest_day_a_dataset_speaks_of_is_remembered(landing: Landing) -> None:
    first = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1), payment(2, payment_date="2025-05-30")]), MONDAY)
    second = landing.land(PAYMENTS, delivery(PAYMENTS, [payment(3, payment_date="2025-05-29")], full=False), TUESDAY)

    assert (first.newest_on, second.newest_on) == ("2025-06-01", "2025-06-01")
    assert landing.land(COMPANIES, None, MONDAY).newest_on is None


# --- the shape of what is read ----------------------------------------------------------------------------------------

ARROW = {
    Type.TEXT: pa.string(),
    Type.DATE: pa.date32(),
    Type.TIMESTAMP: pa.timestamp("us"),
    Type.AMOUNT: pa.decimal128(18, 4),
    Type.RATE: pa.decimal128(20, 10),
    Type.NUMBER: pa.decimal128(18, 6),
    Type.INTEGER: pa.int32(),
    Type.BOOLEAN: pa.bool_(),
}


def expected_schema(dataset: Dataset) -> dict[str, pa.DataType]:
    return {column.name: ARROW[column.type] for column in (*dataset.columns, *LANDING_COLUMNS)}


def test_an_absent_dataset_has_the_columns_and_types_of_the_contract(tmp_path: Path) -> None:
    assert set(ARROW) == set(SQL_TYPES)
    with duck.scratch(tmp_path) as con:
        table = con.sql(empty_select(EVERYTHING)).to_arrow_table()
        assert con.sql(rows_select(EVERYTHING, con, [])).to_arrow_table().equals(table)

    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == expected_schema(EVERYTHING)
    assert table.num_rows == 0


def test_what_landed_has_the_same_columns_and_types_in_the_file_and_when_read(landing: Landing, tmp_path: Path) -> None:
    landing.land(EVERYTHING, delivery(EVERYTHING, [everything(1, {"amount": "1"})]), MONDAY)
    (load,) = landing.loads(EVERYTHING)
    assert load.rows is not None

    with duck.scratch(tmp_path) as con:
        read = con.sql(rows_select(EVERYTHING, con, [load])).to_arrow_table().schema
    for schema in (read, pq.read_schema(load.rows)):
        assert dict(zip(schema.names, schema.types, strict=True)) == expected_schema(EVERYTHING)


def test_a_column_added_to_the_contract_is_null_in_what_was_landed_before(landing: Landing) -> None:
    before = replace(
        PAYMENTS, columns=tuple(column for column in PAYMENTS.columns if column.name not in ("method", "reversed_on"))
    )
    landing.land(before, delivery(before, [payment(1)]), MONDAY)

    assert landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1)]), TUESDAY).unchanged == 1
    assert landing.land(PAYMENTS, delivery(PAYMENTS, [payment(1, method="wire")]), TUESDAY).landed == 1

    assert [(row["payment_id"], row["method"], row["reversed_on"]) for row in rows(landing, PAYMENTS)] == [
        ("P1", None, None),
        ("P1", "wire", None),
    ]


# --- always -----------------------------------------------------------------------------------------------------------

odd = st.sampled_from
records = st.lists(
    st.fixed_dictionaries(
        {
            "payment_id": odd(["P1", "P2", "P3", "P4", " P4", "", None]),
            "customer_id": odd(["C1", "C1", "C1", None]),
            "payment_date": odd(["2025-06-01", "2025-06-01", "2025-13-01"]),
            "currency": odd(["EUR", "USD"]),
            "amount": odd(["1", "1.0", "2.5", "-1", "x"]),
            "updated_at": odd([None, "2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z", "2025-06-02T02:00:00+02:00"]),
        }
    ),
    max_size=8,
)
numbered = count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loads=st.lists(st.tuples(records, st.booleans()), min_size=1, max_size=2))
def test_every_record_received_is_accounted_for_whatever_a_source_sends(loads: list[Any], tmp_path: Path) -> None:
    payments = replace(PAYMENTS, required=False)
    folder = tmp_path / str(next(numbered))
    landing = Landing(folder / "landing", folder / "quarantine")

    for sent, full in loads:
        before = {row["payment_id"] for row in latest(landing)}
        manifest = landing.land(payments, delivery(payments, sent, full=full), MONDAY, quarantine_share=ALL)

        assert manifest.received == len(sent)
        kept = manifest.landed - manifest.tombstones + manifest.unchanged
        assert manifest.received == kept + manifest.repeated + manifest.quarantined
        refused = refusals(landing, payments, manifest.load_id) if manifest.quarantined else []
        assert len(refused) == manifest.quarantined

        after = latest(landing)
        keys = [row["payment_id"] for row in after]
        assert len(keys) == len(set(keys))
        assert kept <= len(after), "what was kept is what is known now"
        if full:
            assert before - set(keys) <= before - {(record["payment_id"] or "").strip() for record in sent}
            assert manifest.tombstones == len(before - set(keys))
        else:
            assert before <= set(keys)


def latest(landing: Landing) -> list[dict[str, Any]]:
    """The newest version of each key that is not gone, counted the slow way."""
    newest: dict[str, dict[str, Any]] = {}
    for row in rows(landing, PAYMENTS):
        newest[row["payment_id"]] = row
    return [row for row in newest.values() if not row["_deleted"]]


def test_an_earlier_morning_that_is_asked_again_starts_from_what_it_knew(landing: Landing) -> None:
    tuesdays = payment(1, "20.00", updated_at="2025-06-03T02:00:00Z")
    landing.land(PAYMENTS, delivery(PAYMENTS, [tuesdays]), TUESDAY)
    assert landing.cursor(PAYMENTS, MONDAY) is None, "Monday knows nothing, so it asks for everything"

    mondays = payment(1, "10.00", updated_at="2025-06-02T02:00:00Z")
    assert landing.land(PAYMENTS, delivery(PAYMENTS, [mondays]), MONDAY).landed == 1
    again = landing.land(PAYMENTS, delivery(PAYMENTS, [tuesdays]), TUESDAY)
    assert again.unchanged == 1, "what Tuesday learned outweighs what Monday was told since"


def test_a_time_that_has_not_come_neither_carries_the_cursor_off_nor_looks_fresh(landing: Landing) -> None:
    typing_error = payment(1, updated_at="2099-01-01T00:00:00Z", payment_date="2099-01-01")
    real = payment(2, updated_at="2025-06-01T09:00:00Z", payment_date="2025-05-30")

    manifest = landing.land(PAYMENTS, delivery(PAYMENTS, [typing_error, real]), MONDAY)

    assert (manifest.landed, manifest.cursor, manifest.newest_on) == (2, "2025-06-01T09:00:00", "2025-05-30")


# --- all that hangs on these parents ----------------------------------------------------------------------------------

ALLOCATIONS = DATASETS["allocations"]
OF_SOURCES = ("source_type", "source_id")


def allocation(number: int, source: str | None, amount: str = "10.00") -> dict[str, str | None]:
    kind = "write_off" if source is None else "payment"
    known = {"allocation_id": f"A{number}", "invoice_id": "I1", "source_type": kind, "source_id": source}
    return {**known, "allocated_on": "2025-06-01", "amount": amount}


def test_what_hangs_on_a_parent_and_does_not_come_again_is_gone_and_all_else_stays(landing: Landing) -> None:
    first = [allocation(1, "P1"), allocation(2, "P1"), allocation(3, "P2"), allocation(4, None)]
    landing.land(ALLOCATIONS, delivery(ALLOCATIONS, first), MONDAY)
    parents = Parents(OF_SOURCES, [])
    changed = delivery(ALLOCATIONS, [allocation(2, "P1", "12.00"), allocation(5, "P1")], full=False)
    parents.keys.append(("payment", "P1"))  # type: ignore[attr-defined] # known once its pages are read

    manifest = landing.land(ALLOCATIONS, replace(changed, parents=parents), TUESDAY)

    assert (manifest.landed, manifest.tombstones, manifest.parents, manifest.full) == (3, 1, 1, False)
    told = [(row["allocation_id"], row["_deleted"]) for row in rows(landing, ALLOCATIONS)[4:]]
    assert sorted(told) == [("A1", True), ("A2", False), ("A5", False)]
    assert manifest.received == manifest.landed - manifest.tombstones + manifest.unchanged


def test_a_parent_that_has_nothing_left_says_so_by_being_named(landing: Landing) -> None:
    landing.land(ALLOCATIONS, delivery(ALLOCATIONS, [allocation(1, "P1"), allocation(2, "P2")]), MONDAY)

    manifest = landing.land(
        ALLOCATIONS, replace(delivery(ALLOCATIONS, full=False), parents=Parents(OF_SOURCES, [("payment", "P1")])), TUESDAY
    )

    assert (manifest.received, manifest.landed, manifest.tombstones) == (0, 1, 1)
    assert rows(landing, ALLOCATIONS)[-1]["allocation_id"] == "A1"


def test_no_parents_and_no_records_change_nothing(landing: Landing) -> None:
    landing.land(ALLOCATIONS, delivery(ALLOCATIONS, [allocation(1, "P1")]), MONDAY)

    manifest = landing.land(ALLOCATIONS, replace(delivery(ALLOCATIONS, full=False), parents=Parents(OF_SOURCES, [])), TUESDAY)

    assert (manifest.landed, manifest.tombstones) == (0, 0)


def test_a_record_refused_tonight_is_not_gone_from_its_parent(landing: Landing) -> None:
    landing.land(ALLOCATIONS, delivery(ALLOCATIONS, [allocation(1, "P1"), allocation(2, "P1")]), MONDAY)
    broken = delivery(ALLOCATIONS, [allocation(1, "P1", "ten"), allocation(2, "P1")], full=False)

    manifest = landing.land(
        ALLOCATIONS, replace(broken, parents=Parents(OF_SOURCES, {("payment", "P1")})), TUESDAY, quarantine_share=ALL
    )

    assert (manifest.quarantined, manifest.tombstones, manifest.unchanged) == (1, 0, 1)
