"""What the README tells people to do can be done as it stands there."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dagster_project.contract import DATASETS
from dagster_project.paths import ROOT
from dagster_project.warehouse import Warehouse, publish

TEXT = (ROOT / "README.md").read_text("utf-8")
COMMANDS = sorted(set(re.findall(r"make (?:[a-z]+)(?: [A-Z]+=[\w-]+)*", TEXT)))


def code(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def cells(heading: str) -> list[list[str]]:
    """The rows of the table whose header begins like this, each as its cells."""
    table = TEXT.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_make_knows(command: str) -> None:
    planned = subprocess.run(command.replace("make", "make -n", 1).split(), cwd=ROOT, capture_output=True, text=True, check=False)

    assert planned.returncode == 0, planned.stderr
    for name, option in {"DATE": "--date {}", "KNOWN": "--known {}", "REFRESH": "--refresh", "FULL": "--full"}.items():
        if given := re.search(rf"\b{name}=(\S+)", command):
            assert option.format(given.group(1)) in planned.stdout, "and it hands on what it is given"


def test_help_lists_every_command_the_readme_speaks_of() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert {command.split()[1] for command in COMMANDS} <= set(re.findall(r"^  make (\w+)", said, flags=re.MULTILINE))


def test_every_pack_it_names_has_rows() -> None:
    packs = {name.partition("=")[2] or name for row in cells("to change") if "pack" in row[0] for name in names(row[1])}
    rows = (ROOT / "dbt" / "seeds" / "policy" / "risk_tier_terms.csv").read_text("utf-8").splitlines()[1:]

    assert packs
    assert packs <= {row.partition(",")[0] for row in rows}


def test_the_query_it_shows_runs_on_what_is_published(
    manifest: dict[str, Any], mart: Callable[..., pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Warehouse(tmp_path / "warehouse" / "2025-06-30.test")
    built.create()
    con = duckdb.connect()
    con.execute(f"attach '{built.marts}' as built; create schema built.marts; use built.marts")
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["schema"] == "marts":
            con.register("incoming", mart(node["name"]))
            con.execute(f"create table {node['name']} as from incoming")
    con.close()
    built.release()
    publish(built.marts, tmp_path / "data" / "published", date(2025, 6, 30), {"run_id": "r1"})
    monkeypatch.chdir(tmp_path)

    queries = code("sql")
    assert queries
    for query in queries:
        with duckdb.connect() as reader:
            reader.execute(query)


def test_it_says_which_datasets_must_be_there_and_names_every_other() -> None:
    said = re.search(r"([A-Z][^.\n]*) are required and everything else is optional:(.*?)\.\s", TEXT, flags=re.DOTALL)
    assert said
    required, optional = (" ".join(part.lower().split()) for part in said.groups())
    words = {
        name: {"companies": "legal entities", "credit_reviews": "reviews"}.get(name, name.replace("_", " ")) for name in DATASETS
    }

    assert [name for name, dataset in DATASETS.items() if words[name] not in (required if dataset.required else optional)] == []


def test_it_asks_for_the_python_that_the_project_asks_for() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]

    (said,) = set(re.findall(r"Python (3\.\d+)\+", TEXT))

    assert asked.startswith(f">={said},")
