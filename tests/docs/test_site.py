"""The site says what the project says, and builds without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from dagster_project.paths import ROOT, SEEDS
from dagster_project.sources.catalogue import CONNECTORS

sys.path[:0] = [str(ROOT / "docs")]
import pages  # noqa: E402


def test_the_site_builds_and_has_every_mart_seed_and_setting(manifest: dict[str, Any], tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-d",
        str(tmp_path / "trees"),
        "docs",
        str(tmp_path / "site"),
    ]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)

    assert built.returncode == 0, built.stderr
    pages = {path.stem: path.read_text("utf-8") for path in (tmp_path / "site" / "generated").glob("*.html")}
    marts = [
        node["name"] for node in manifest["nodes"].values() if node["fqn"][1] == "marts" and node["resource_type"] == "model"
    ]
    assert [name for name in marts if f'id="{name.replace("_", "-")}"' not in pages["marts"]] == []
    assert [path.stem for path in SEEDS.glob("*.csv") if f'id="{path.stem.replace("_", "-")}"' not in pages["policy"]] == []
    assert "ARREARS_MEMORY_LIMIT" in pages["settings"]


def test_every_source_has_a_row_and_a_page_and_no_other_has(tmp_path: Path) -> None:
    pages.write(tmp_path)

    assert {path.stem.removeprefix("source-") for path in tmp_path.glob("source-*.md")} == set(CONNECTORS)
    rows = re.findall(r"^\| `([a-z_]+)`", (tmp_path / "sources.md").read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(rows) == sorted(CONNECTORS), "a connector that is not done is not listed"
    tryton = (tmp_path / "source-tryton.md").read_text("utf-8")
    assert "- `ARREARS_TRYTON_KEY`" in tryton
    assert "live-tested on Tryton" in tryton


def test_every_decision_says_what_carries_it_out_and_that_is_there(manifest: dict[str, Any]) -> None:
    parts = {node["name"] for node in (*manifest["nodes"].values(), *manifest["macros"].values())}

    silent = [title for title, names in pages.decided() if not names]
    gone = [
        f"{title}: {name}"
        for title, names in pages.decided()
        for name in names
        if name not in parts and not (ROOT / name).is_file()
    ]

    assert (silent, gone) == ([], [])


def test_a_decision_and_its_model_lead_to_each_other(manifest: dict[str, Any], tmp_path: Path) -> None:
    pages.write(tmp_path)

    decision = "Late by a day is late"
    (model,) = dict(pages.decided())[decision]
    assert f"[{decision}](decisions.md#{pages.slug(decision)})" in (tmp_path / "models.md").read_text("utf-8")
    assert f"[{model}](models.md#{model})" in (tmp_path / "decisions.md").read_text("utf-8")


def test_each_first_question_is_answered_by_at_most_three_files_that_are_there() -> None:
    known = {path.stem: path for folder in ("models", "macros", "tests") for path in (ROOT / "dbt" / folder).rglob("*.sql")}
    known |= {path.name: path for path in SEEDS.glob("*.csv")}
    known |= {path: ROOT / path for path in re.findall(r"`(dagster_project/[^`]+)`", QUESTIONS)}
    asked = [line.split("|")[1:-1] for line in QUESTIONS.splitlines() if line.startswith("| ")][1:]

    for question, answer in asked:
        named = {known[name] for name in re.findall(r"`(?:[^`]*\bmarts\.)?([\w./]+)[^`]*`", answer) if name in known}
        beside = len(named) + answer.count("its YAML") + len(re.findall(r"\]\(\w+\.md", answer))
        assert set(re.findall(r"`(int_\w*[a-z]|\w+\.csv)`", answer)) <= known.keys(), question
        assert named and all(path.is_file() for path in named), question
        assert beside <= 3, f"{question}: {sorted(map(str, named))}"
    assert len(asked) >= 10


QUESTIONS = (ROOT / "docs" / "questions.md").read_text("utf-8")
