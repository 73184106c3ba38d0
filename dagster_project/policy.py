"""The policy rows as they stand in `dbt/seeds/policy/`, for what Python must know of them without a warehouse.

Belongs here: which packs there are, which rows of a seed count for one on a day, what a load may look like. Does not belong here: what
a row means for the book, which is SQL's.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from dagster_project.paths import SEEDS

LANDING_LIMITS = SEEDS / "landing_limits.csv"


def packs(seeds: Path = SEEDS) -> list[str]:
    """The policy packs there are: those that have tiers."""
    with (seeds / "risk_tier_terms.csv").open(encoding="utf-8-sig", newline="") as file:
        return sorted({row["policy"] for row in csv.DictReader(file)})


def rows_in_force(path: Path, pack: str, day: date) -> list[dict[str, str]]:
    """The rows of a seed that count: the pack's and those for every pack, valid on the day; all of a seed without packs."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [
            row
            for row in csv.DictReader(file)
            if row.get("policy", "*") in ("*", pack)
            and (row.get("valid_from") or "") <= day.isoformat() <= (row.get("valid_to") or "9999-12-31")
        ]


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
