"""A policy file of any bytes is read, or refused in one line of words that names it. `FUZZ_EXAMPLES` for longer."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project import upkeep
from dagster_project.policy import SEEDS, PolicyError, limits_of, number, packs, parameter, rows_in_force

from .test_file_faults import BOUNDED, EXAMPLES, damaged, in_words

DAY = date(2025, 6, 30)
TABLES = ("risk_tier_terms", "retention_policy", "landing_limits")


def asked(seeds: Path) -> None:
    packs(seeds)
    for table in TABLES:
        rows_in_force(table, "net_terms", DAY, seeds)
    limits_of("payments", "net_terms", DAY, seeds)
    for table, name in upkeep.ASKED_FOR:
        parameter(table, name, "net_terms", DAY, seeds)


@settings(BOUNDED, max_examples=EXAMPLES * 2)
@given(table=st.sampled_from(TABLES), data=st.data())
def test_a_policy_file_of_any_bytes_is_read_or_refused_in_words(table: str, data: st.DataObject, tmp_path: Path) -> None:
    for name in TABLES:
        (tmp_path / f"{name}.csv").write_bytes((SEEDS / f"{name}.csv").read_bytes())
    good = (SEEDS / f"{table}.csv").read_bytes()
    (tmp_path / f"{table}.csv").write_bytes(data.draw(st.one_of(st.binary(max_size=200), damaged(good))))

    told = f"{table}.csv"
    try:
        asked(tmp_path)
    except PolicyError as refused:
        in_words(refused)
        told = str(refused)
    assert f"{table}.csv" in told


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no column parameter, policy, valid_from, valid_to"),
        (b"\xff\xfe\x00", "cannot be read as a policy table: 'utf-8' codec"),
        (b'parameter,value,policy,valid_from,valid_to\n"log_days,90', "unexpected end of data"),
        (b"parameter,value,policy,valid_from,valid_to\nlog_days,90,*\n", "line 2: 3 values where the header has 5"),
    ],
    ids=["empty", "encoding", "quote", "short"],
)
def test_a_policy_file_that_is_none_is_named_with_what_is_wrong(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "retention_policy.csv").write_bytes(content)

    with pytest.raises(PolicyError, match=r"^retention_policy\.csv ") as refused:
        rows_in_force("retention_policy", "net_terms", DAY, tmp_path)
    assert says in str(refused.value)
    in_words(refused.value)


@pytest.mark.parametrize("value", ["ninety", "9.5", "", "NaN"])
def test_a_number_of_policy_that_is_none_is_shown_with_its_row(value: str) -> None:
    with pytest.raises(PolicyError, match=r"retention_policy\.csv: value is no number in the row «log_days,"):
        number("retention_policy", {"parameter": "log_days", "value": value}, "value", int)
