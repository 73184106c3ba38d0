"""The README promises nothing that is not there: its paths, marts, commands and settings are held against the project."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dagster_project import dbt_build
from dagster_project.contract import DATASETS
from dagster_project.paths import ROOT
from dagster_project.settings import variables

README = (ROOT / "README.md").read_text("utf-8")
CODE = set(re.findall(r"`([^`\n]+)`", README))


def marts() -> set[str]:
    dbt_build.prepare()
    nodes = json.loads(dbt_build.MANIFEST.read_text("utf-8"))["nodes"].values()
    return {node["name"] for node in nodes if node["resource_type"] == "model" and node["schema"] == "marts"}


def test_the_table_of_marts_lists_every_mart_and_no_other() -> None:
    table = README.split("| mart | one row per | answers |")[1].split("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert listed == marts() | {"run"}


def test_every_make_command_it_names_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", README))
    assert named
    assert named <= targets


def test_every_setting_it_names_is_one() -> None:
    named = set(re.findall(r"ARREARS_[A-Z_]+", README))
    assert named
    assert named <= variables()


@pytest.mark.parametrize("path", sorted(code for code in CODE if re.fullmatch(r"(dbt|dagster_project|tests)/[\w./]*", code)))
def test_every_path_it_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([\w./]+)\)", README))))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_every_policy_file_it_sends_people_to_is_a_seed() -> None:
    named = {Path(name).name for name in re.findall(r"`(?:dbt/seeds/policy/)?(\w+\.csv)`", README)} - {
        f"{name}.csv" for name in (*DATASETS, "worklist", "worklist_items", "terms", "cash_forecast")
    }
    assert named
    assert named <= {path.name for path in (ROOT / "dbt" / "seeds" / "policy").glob("*.csv")}
