"""What a person is told of what broke in a build: causes and not what follows from them, in words and with the first rows.

Belongs here: dbt's results beside the prepared manifest, as sentences. Does not belong here: building (`dbt_build.py`), errors of anything
else (`notice.py`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from dagster_project.amounts import Digits, written
from dagster_project.dbt_build import NodeResult

MISSING = {"exchange_rates_are_there": "int_exchange_rates"}
"""Tests that name what is missing, and the model that is incomplete without it."""

ROWS_TOLD, ROW_LENGTH, WARNED_LENGTH = 3, 1000, 200
"""How much of what a failed test found is in the reason, and of one that warns in the log: more is in the run's private files."""


def causes(manifest: Mapping[str, Any], broken: Sequence[NodeResult]) -> list[NodeResult]:
    """What broke, without the tests that object only because what they look at hangs on something that is missing and is named itself."""
    missing = {model for test, model in MISSING.items() if any(result.name == test for result in broken)}
    return [
        result
        for result in broken
        if result.name in MISSING or result.layer != "test" or not missing & _above(manifest, result.unique_id)
    ]


def _above(manifest: Mapping[str, Any], node: str) -> set[str]:
    """The names of all models that a node is built on."""
    parents, left, above = manifest["parent_map"], [node], set[str]()
    while left:
        for parent in parents.get(left.pop(), ()):
            if parent not in above:
                above.add(parent)
                left.append(parent)
    return {parent.rpartition(".")[2] for parent in above}


Found = Callable[[str, int], Sequence[Mapping[str, Any]]]
"""The first rows of a query, as many as are asked for, where the morning was built."""


def explained(manifest: Mapping[str, Any], result: NodeResult, found: Found, digits: Digits) -> str:
    """What a person is told of a node that broke: what should hold, and of a test the first rows that do not."""
    node = manifest["nodes"].get(result.unique_id, {})
    described = (node.get("config", {}).get("meta", {}) or {}).get("description") or node.get("description") or ""
    said = result.message
    if result.layer == "test" and result.failures:
        rows = [
            _worded(row, digits, WARNED_LENGTH if result.status == "warn" else ROW_LENGTH)
            for row in found(result.query, ROWS_TOLD)
        ]
        more = [f"and {result.failures - len(rows):,} more"] if result.failures > len(rows) else []
        said = " | ".join(rows + more)
    return f"{'test' if result.layer == 'test' else 'dbt'} {result.name}: {' '.join(described.split())} {said}".strip()


def _worded(row: Mapping[str, Any], digits: Digits, length: int = ROW_LENGTH) -> str:
    """A row in a line: each column that says something, amounts as people write them in the currency of the row."""
    currency = row.get("currency")
    said = [f"{name.replace('_', ' ')} {_readable(value, currency, digits)}" for name, value in row.items() if value is not None]
    return textwrap.shorten(", ".join(said), length, placeholder=" …")


def _readable(value: Any, currency: str | None, digits: Digits) -> str:
    return written(value, currency, digits) if isinstance(value, Decimal) else str(value)
