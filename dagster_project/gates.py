"""The gates before a worklist: what was found wrong with the morning's data, and what policy does about it.

Belongs here: which gate a finding belongs to, and reading `dbt/seeds/policy/worklist_gates.csv`. Does not belong here: finding
anything (`quality.py`, the dbt tests), and sums of our own that do not tie: those hold back whatever policy says.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from dagster_project.paths import SEEDS
from dagster_project.policy import row_in_force

TABLE: Final = "worklist_gates"
HOLD_BACK: Final = "hold_back"
STALE, COLLAPSE, ODD, OTHER = "stale_payments", "volume_collapse", "odd_load", "failed_blocking_check"
ASKED_FOR: Final = frozenset((TABLE, gate) for gate in (STALE, COLLAPSE, ODD, OTHER))
"""The rows policy must have for what is found while landing; dbt asks for the others."""


def gate_of(dataset: str, broken: str) -> str:
    """The gate of a broken expectation, which begins with the name of what it looked at."""
    looked_at = broken.partition(":")[0]
    if looked_at == "volume_share":
        return COLLAPSE
    if looked_at in ("amount_ratio", "emptied_columns"):
        return ODD
    return STALE if looked_at == "age_days" and dataset == "payments" else OTHER


def holds_back(gate: str, policy: str, as_of: date) -> bool:
    """Whether no worklist goes out where this gate is shut.

    Raises:
        PolicyError: policy does not say, or says two things.
    """
    return row_in_force(TABLE, gate, policy, as_of, SEEDS)["effect"] == HOLD_BACK
