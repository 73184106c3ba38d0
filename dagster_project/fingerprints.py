"""What a morning was made by, as hashes that two mornings can be compared by.

Belongs here: one hash over the rows of policy, one over the code that reads them. Does not belong here: which rows count (`policy.py`),
versions of libraries (the run's row has them).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

from dagster_project.paths import DBT_PROJECT, ROOT, SEEDS

LENGTH = 16
"""Hex digits that are kept: enough to tell two states of a project apart, short enough to read out."""


def made_by() -> dict[str, str]:
    """The fingerprints of this checkout as they stand in `marts.run` and in each worklist's manifest."""
    return {"policy_fingerprint": of_policy(), "code_fingerprint": of_code()}


def of_policy(seeds: Path = SEEDS) -> str:
    """The same for the same rows, in whatever order they stand and however their files are quoted."""
    digest = hashlib.sha256()
    for path in sorted(seeds.glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = sorted(sorted((name or "", str(value)) for name, value in row.items()) for row in csv.DictReader(file))
        digest.update(f"{path.name} {rows}\n".encode())
    return digest.hexdigest()[:LENGTH]


def of_code(root: Path = ROOT) -> str:
    """The same for the same models, macros, tests of rows, Python and templates."""
    digest = hashlib.sha256()
    for path in sorted(_code(root)):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:LENGTH]


def _code(root: Path) -> Iterable[Path]:
    dbt = root / DBT_PROJECT.relative_to(ROOT)
    yield dbt / "dbt_project.yml"
    for folder in ("models", "macros", "tests"):
        yield from (dbt / folder).rglob("*.sql")
    for path in (root / "dagster_project").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
