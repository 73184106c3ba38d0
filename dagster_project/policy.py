"""The few policy rows that Python must know before there is a warehouse: which packs there are, what a load may look like.

Belongs here: reading the names in `dbt/seeds/policy/risk_tier_terms.csv` and the limits in `landing_limits.csv`, the one place where
they stand. Every other policy is SQL's.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from dagster_project.settings import DBT_PROJECT

SEEDS = DBT_PROJECT / "seeds" / "policy"
LANDING_LIMITS = SEEDS / "landing_limits.csv"


def packs(seeds: Path = SEEDS) -> list[str]:
    """The policy packs there are: those that have tiers."""
    with (seeds / "risk_tier_terms.csv").open(encoding="utf-8-sig", newline="") as file:
        return sorted({row["policy"] for row in csv.DictReader(file)})


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
