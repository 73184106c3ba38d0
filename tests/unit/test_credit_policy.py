"""The written credit policy: what it says is what the rows say, on the day asked for, for every pack there is."""

from __future__ import annotations

import csv
import shutil
from datetime import date
from pathlib import Path

import pytest

from dagster_project.credit_policy import NoSuchPolicy, written
from dagster_project.paths import SEEDS
from dagster_project.policy import packs

DAY = date(2025, 6, 30)


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEEDS, tmp_path / "seeds"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("pack", packs())
def test_every_tier_criterion_weight_and_step_of_a_pack_is_written(pack: str) -> None:
    text = written(pack, DAY)

    for seed, shown in (("risk_tier_terms", "name"), ("dunning_steps", "label"), ("risk_weights", "label")):
        with (SEEDS / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
            assert [row[shown] for row in csv.DictReader(file) if row["policy"] == pack and row[shown] not in text] == []
    with (SEEDS / "risk_criteria.csv").open(encoding="utf-8", newline="") as file:
        assert text.count("\n- ") == sum(row["policy"] == pack for row in csv.DictReader(file))
    assert "{" not in text, "a sentence was left with a gap"
    assert "**nobody**" not in text, "every row is approved"


def test_it_says_from_when_it_binds(seeds: Path) -> None:
    assert "before the policy bound, on the first morning of the nightly run, is none." in written("net_terms", DAY)

    path = seeds / "policy_adoption.csv"
    path.write_text(path.read_text("utf-8") + "*,2024-04-01,The board,*,2000-01-01,,The board,2024-03-20\n", "utf-8")

    assert "before the policy bound, on 2024-04-01, is none." in written("net_terms", DAY, seeds)


def test_a_criterion_is_a_sentence_with_its_threshold() -> None:
    text = written("net_terms", DAY)

    assert "- Paid at most 10 days beyond terms over 6 months\n" in text
    assert "- At least 60 % of the evidence a score rests on is there\n" in text
    assert "- Bureau score moved -10 or less points in 6 months" in text
    assert "- Account is insolvent or at agency\n" in text


def test_tiers_and_steps_stand_in_their_order_with_their_terms() -> None:
    text = written("segments", DAY)

    assert "| **C** watch list | 21 days | 50,000 (low cap, review above 80 % use) | 30 %, required | 3 % within 7 days |" in text
    assert text.index("**A**") < text.index("**D**")
    assert "| all | 5 days before the due date | Friendly reminder |" in text
    assert "| all | on the due date | Due-date call |" in text
    assert "| D | 1 day after the due date | Immediate escalation |" in text


def test_the_policy_of_a_day_is_written_from_the_rows_valid_that_day(seeds: Path) -> None:
    terms = seeds / "risk_tier_terms.csv"
    row = next(line for line in terms.read_text("utf-8").splitlines() if line.startswith("net_terms,2,"))
    later = row.replace(",30,45,", ",25,40,").replace(
        "2000-01-01,,credit committee,2000-01-01", "2025-07-01,,the board,2025-06-20"
    )
    change(terms, row, f"{row.replace('2000-01-01,,', '2000-01-01,2025-06-30,')}\n{later}")

    assert "30 days, up to 45" in written("net_terms", DAY, seeds)
    july = written("net_terms", date(2025, 7, 1), seeds)
    assert "25 days, up to 40" in july
    assert "| Tiers and terms | 2025-07-01 | until replaced | the board | 2025-06-20 |" in july


def test_rows_that_nobody_approved_say_so(seeds: Path) -> None:
    change(seeds / "risk_weights.csv", "credit committee", "")

    assert "| Weights of the score | 2000-01-01 | until replaced | **nobody** |" in written("net_terms", DAY, seeds)


def test_a_pack_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(
        NoSuchPolicy, match="'gold' is not a policy pack on 2025-06-30; the packs are cohorts, net_terms, segments"
    ):
        written("gold", DAY)
    with pytest.raises(NoSuchPolicy, match="'segments' has no tier in force on 1999-12-31"):
        written("segments", date(1999, 12, 31))
