"""What the aging counts from changes a report, and nothing that anybody does: not who is chased, held, reviewed or charged."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.policy import SEEDS
from dagster_project.sources.files import FilesSource
from tests import compiled
from tests.grains import declared, doubled

FIXTURE = Path(__file__).parent.parent / "fixtures" / "ledger"
MORNING = date(2025, 6, 30)
REPORTED = {"aging_days", "aging_bucket", "current_amount", "d1_30", "d31_60", "d61_90", "d90_plus", "no_due_date"}
"""The columns that say how old something is, by whatever policy counts from."""
KEY_FIGURES = ("aging_share", "best_possible_dso", "average_days_delinquent", "cei", "current")
"""The key figures made of buckets, by how their names begin."""


def marts(landing: Landing, seeds: Path) -> Mapping[str, list[dict[str, Any]]]:
    built = compiled.build(compiled.compiled(), landing, MORNING, seeds=seeds)
    assert doubled(built.con) == ({}, len(declared()))
    names = [
        name for (name,) in built.con.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
    ]
    return {name: built.rows(name) for name in names}


BY_BUCKET = ("credit_loss_provision",)
"""Marts with a row per bucket: what is provided for follows the aging that is reported."""


def acting(rows: list[dict[str, Any]]) -> list[str]:
    """Rows without what a basis may change, in an order of their own."""
    return sorted(
        repr({column: value for column, value in row.items() if column not in REPORTED})
        for row in rows
        if "kpi" not in row or not row["kpi"].startswith(KEY_FIGURES)
    )


def test_a_basis_moves_buckets_and_nobody(landing: Landing, tmp_path: Path) -> None:
    source = FilesSource(FIXTURE)
    for dataset in DATASETS.values():
        landing.land(dataset, source.fetch(dataset, None), MORNING)
    seeds = Path(shutil.copytree(SEEDS, tmp_path / "seeds", ignore=shutil.ignore_patterns("*.yml")))
    parameters = (seeds / "aging_policy.csv").read_text("utf-8")
    (seeds / "aging_policy.csv").write_text(parameters.replace("basis,due_date,", "basis,invoice_date,"), "utf-8")

    by_due_date = marts(landing, SEEDS)
    by_invoice_date = marts(landing, seeds)

    moved = [name for name, rows in by_due_date.items() if rows != by_invoice_date[name]]
    assert {"open_items", "aging_by_customer", "aging_history", "kpi_monthly"} <= set(moved)
    for name in (name for name in moved if name not in BY_BUCKET):
        assert acting(by_due_date[name]) == acting(by_invoice_date[name]), name
