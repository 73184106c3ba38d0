"""The few policy rows that Python must know before there is a warehouse: what a load may look like.

Belongs here: reading `dbt/seeds/policy/landing_limits.csv`, the one place where those limits stand. Every other policy is SQL's.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from dagster_project.settings import DBT_PROJECT

LANDING_LIMITS = DBT_PROJECT / "seeds" / "policy" / "landing_limits.csv"


@dataclass(frozen=True)
class LandingLimits:
    """What a dataset's load may look like; None: nothing is asked. Shares are of 1, ages are days."""

    max_quarantined_share: Decimal
    min_volume_share: Decimal
    max_age_days: int | None
    blocking: bool


def landing_limits(path: Path = LANDING_LIMITS) -> dict[str, LandingLimits]:
    """Limits by dataset; `*` stands for every dataset without a row of its own."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["dataset"]: LandingLimits(
                max_quarantined_share=Decimal(row["max_quarantined_share"]),
                min_volume_share=Decimal(row["min_volume_share"]),
                max_age_days=int(row["max_age_days"]) if row["max_age_days"] else None,
                blocking=row["blocking"] == "true",
            )
            for row in csv.DictReader(file)
        }


def limits_of(dataset: str) -> LandingLimits:
    limits = landing_limits()
    return limits.get(dataset, limits["*"])
