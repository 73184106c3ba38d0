"""Where the project's own files lie.

Belongs here: folders of the checkout. Does not belong here: where a run writes (`settings.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
"""The project's folder. Relative paths in settings start here."""

DBT_PROJECT: Final = ROOT / "dbt"

SEEDS: Final = DBT_PROJECT / "seeds" / "policy"
