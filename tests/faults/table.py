"""The campaign as a table: which faults are tried, at which stage, what is promised, what happened — read off the tests that try them.

Belongs here: finding the tests and writing them as a page of the site (`docs/pages.py`). Does not belong here: the faults. A test's
name says what is done to a night and what it is promised to do; what happened is that, or the suite would not pass.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dagster_project.paths import ROOT
from tests.faults.found import FOUND

STAGES: Final = {
    "faults/test_http_faults.py": "Fetching over HTTP",
    "faults/test_connector_fuzz.py": "Fetching from vendors, any answer",
    "faults/test_file_faults.py": "Fetching from files",
    "faults/test_bounds.py": "What may be taken of the machine",
    "faults/test_policy_fuzz.py": "Policy files",
    "faults/test_landing_damaged.py": "Landing",
    "faults/test_inbox_fuzz.py": "The inbox, any bytes",
    "unit/test_inbox.py": "The inbox",
    "faults/test_door_fuzz.py": "Letters, settings and the store's own words, any bytes",
    "unit/test_bounded.py": "The process for strangers' bytes",
    "unit/test_seals.py": "Answers that are not of their row",
    "faults/test_secrets.py": "Secrets, terminals and logs",
    "unit/test_home.py": "Who may look in",
    "unit/test_forgetting.py": "People who are forgotten",
    "unit/test_audit.py": "What is installed",
    "faults/test_dead_nights.py": "Nights that die",
    "faults/test_side_by_side.py": "Two at once",
    "faults/test_told.py": "Telling somebody",
    "unit/test_alerts.py": "Telling somebody, whoever does not hear",
    "faults/test_three_hundred_nights.py": "What nights leave behind",
    "e2e/test_delivery_killed.py": "Delivering, killed",
    "e2e/test_refusals.py": "Whole nights that must stop",
    "e2e/test_operations.py": "Backup and service",
    "simulation/test_six_weeks.py": "Six weeks of a company that moves",
    "faults/test_a_bad_week.py": "A week of faults",
}
"""The modules that try faults, in the order of a night."""

_HEAD: Final = """# What is tried on a night

Every row is a test: what is done to a night, and what it is promised to do. `make test` runs those marked quick, `make faults` the
others as well: whole nights that are killed, starved and lied to, minutes each. What happens is what is promised, or neither passes.
"""


_FOUND: Final = """
## What was found

When the faults were first tried, most were fine. These were not; each names the tests that hold it since.
"""


@dataclass(frozen=True)
class Tried:
    """A fault: the stage, what is done and promised as a sentence, how many cases there are of it, whether only `make faults` runs it."""

    stage: str
    sentence: str
    cases: str
    slow: bool


def tried() -> Iterator[Tried]:
    """Every fault that is tried, stage by stage, in the order of the files."""
    others = {str(path.relative_to(ROOT / "tests")) for path in (ROOT / "tests" / "faults").glob("test_*.py")}
    for name in (*STAGES, *sorted(others - STAGES.keys() - {"faults/test_table.py"})):
        path = ROOT / "tests" / name
        if not path.exists():
            continue
        tree = ast.parse(path.read_text("utf-8"))
        all_slow = any(
            isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node) and "faults" in ast.unparse(node)
            for node in tree.body
        )
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = [ast.unparse(mark) for mark in node.decorator_list]
                slow = all_slow or any("mark.faults" in mark for mark in marks)
                sentence = node.name.removeprefix("test_").replace("_", " ")
                yield Tried(STAGES.get(name, name), sentence[:1].upper() + sentence[1:], _cases(node), slow)


def _cases(node: ast.FunctionDef) -> str:
    """How many cases a test has, where its list of them is written beside it."""
    count = 1
    for mark in node.decorator_list:
        if not (isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.parametrize"):
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "given":
                return "any"
            continue
        values = mark.args[1]
        if not isinstance(values, (ast.List, ast.Tuple)) or any(isinstance(value, ast.Starred) for value in values.elts):
            return "several"
        count *= len(values.elts)
    return str(count)


def page() -> str:
    """The page's text."""
    lines = [_HEAD]
    stage = ""
    for fault in tried():
        if fault.stage != stage:
            stage = fault.stage
            lines += [f"\n## {stage}\n", "| fault, and what is promised | cases | runs | happened |", "|---|---:|---|---|"]
        lines.append(f"| {fault.sentence} | {fault.cases} | {'make faults' if fault.slow else 'quick'} | as promised |")
    lines.append(_FOUND)
    for kind, findings in FOUND.items():
        lines += [f"\n### {kind}\n", "| what was found | what shows it mended |", "|---|---|"]
        lines += [f"| {finding} | {'; '.join(name.replace('_', ' ') for name in names)} |" for finding, names in findings.items()]
    return "\n".join(lines) + "\n"
