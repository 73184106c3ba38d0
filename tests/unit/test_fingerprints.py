"""Two mornings were made by the same policy and code exactly where their fingerprints are the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagster_project import fingerprints
from dagster_project.paths import ROOT, SEEDS


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEEDS, tmp_path / "seeds"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("dbt/models/policy", "dbt/macros", "dagster_project/outgoing"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "dbt" / "dbt_project.yml", tmp_path / "dbt")
    return tmp_path


def test_the_policy_is_its_rows_and_not_how_they_are_written(seeds: Path) -> None:
    before = fingerprints.of_policy(seeds)
    path = seeds / "dunning_policy.csv"
    head, *lines = path.read_text("utf-8").splitlines()

    path.write_text("\r\n".join(["\ufeff" + head, *reversed(lines)]) + "\r\n", "utf-8")
    assert fingerprints.of_policy(seeds) == before == fingerprints.of_policy()

    path.write_text("\n".join([head, *lines]).replace("10.00", "25.00", 1) + "\n", "utf-8")
    changed = fingerprints.of_policy(seeds)
    path.write_text("\n".join([head, *lines[1:]]) + "\n", "utf-8")
    gone = fingerprints.of_policy(seeds)
    (seeds / "dunning_policy.csv").rename(seeds / "other_policy.csv")
    assert len({before, changed, gone, fingerprints.of_policy(seeds)}) == 4


@pytest.mark.parametrize(
    "path",
    ["dbt/models/policy/policy_faults.sql", "dbt/macros/as_of.sql", "dbt/dbt_project.yml", "dagster_project/outgoing/swap.py"],
)
def test_the_code_is_every_file_that_decides_something(project: Path, path: str) -> None:
    before = fingerprints.of_code(project)
    (project / "dagster_project" / "__pycache__").mkdir()
    (project / "dagster_project" / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert fingerprints.of_code(project) == before

    file = project / path
    file.write_text(file.read_text("utf-8") + "\n", "utf-8")

    assert fingerprints.of_code(project) != before


def test_both_are_told_by_name_and_are_short() -> None:
    told = fingerprints.made_by()

    assert set(told) == {"policy_fingerprint", "code_fingerprint"}
    assert all(len(value) == fingerprints.LENGTH and int(value, 16) for value in told.values())
