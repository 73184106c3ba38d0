"""The table of the campaign and the suite agree."""

from __future__ import annotations

import re

import pytest

from dagster_project.paths import ROOT

from .found import FOUND
from .table import STAGES, page, tried


def test_every_stage_of_a_night_has_its_faults() -> None:
    found = list(tried())

    assert len(found) > 100
    assert len({(fault.stage, fault.sentence) for fault in found}) == len(found), "two faults of one name are one row"
    assert {"The inbox", "Landing", "Fetching over HTTP", "Nights that die"} <= {fault.stage for fault in found}
    assert {fault.stage for fault in found if fault.slow}, "some are whole nights"


def test_every_module_that_tries_faults_is_a_stage_of_the_table() -> None:
    modules = {f"faults/{path.name}" for path in (ROOT / "tests" / "faults").glob("test_*.py")} - {"faults/test_table.py"}

    written = page()

    assert [name for name in sorted(modules) if f"\n## {STAGES.get(name, name)}\n" not in written] == []


def test_everything_that_was_found_names_tests_that_there_are() -> None:
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def test_(\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    shown = page()
    findings = [(finding, names) for kind in FOUND.values() for finding, names in kind.items()]

    assert [name for _, names in findings for name in names if name not in written] == []
    assert [finding for finding, names in findings if not names] == []
    assert len(findings) >= 72
    assert all(f"| {finding} |" in shown for finding, _ in findings)


def test_the_rows_are_the_tests_that_are_collected(request: pytest.FixtureRequest) -> None:
    """What the table reads off the files is what pytest runs."""
    collected = {
        item.originalname.removeprefix("test_").replace("_", " ").capitalize()  # type: ignore[attr-defined]
        for item in request.session.items
        if str(item.path).startswith(str(ROOT / "tests" / "faults")) and item.path.name != "test_table.py"
    }

    assert collected <= {fault.sentence.capitalize() for fault in tried()}
