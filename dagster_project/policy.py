"""The policy rows as they stand in `dbt/seeds/policy/`, for what Python must know of them without a warehouse.

Belongs here: which packs there are, which rows of a table count for one on a day, that every row somebody asks for by name is there,
what a load may look like. SQL reads the same rows by `macros/policy_rows.sql`, which has the same rule. Does not belong here: what a row
means for the book, which is SQL's.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from dagster_project.paths import DBT_PROJECT, SEEDS
from dagster_project.words import shown

T = TypeVar("T")

EVERY_PACK = "*"

_NEEDED = frozenset(("policy", "valid_from", "valid_to"))
"""What every table has."""

Row = dict[str, str]


class PolicyError(Exception):
    """A policy row that something asks for is not there, or is there twice. The message names table, row, pack and day."""


def packs(seeds: Path = SEEDS) -> list[str]:
    """The policy packs there are: those that have tiers."""
    return sorted({row["policy"] for row in _rows(seeds / "risk_tier_terms.csv")})


def rows_in_force(table: str, pack: str, day: date, seeds: Path = SEEDS) -> list[Row]:
    """The rows of a policy table that count on a day: the pack's, and of those for every pack what the pack has not replaced."""
    keys, wholes = _keys()
    key = () if table in wholes else keys[table]
    valid = [
        row
        for row in _rows(seeds / f"{table}.csv", keys.get(table, ()))
        if row["policy"] in (EVERY_PACK, pack) and row["valid_from"] <= day.isoformat() <= (row["valid_to"] or "9999-12-31")
    ]
    own = {tuple(row[name] for name in key) for row in valid if row["policy"] != EVERY_PACK}
    return [row for row in valid if row["policy"] != EVERY_PACK or tuple(row[name] for name in key) not in own]


def row_in_force(table: str, name: str, pack: str, day: date, seeds: Path = SEEDS) -> Row:
    """The one row of that name, which is the first column of the table's key.

    Raises:
        PolicyError: there is none in force, or more than one.
    """
    return _the_one(table, name, rows_in_force(table, pack, day, seeds), pack, day)


def refuse_gaps(asked_for: Iterable[tuple[str, str]], pack: str, day: date, seeds: Path = SEEDS) -> None:
    """See that every (table, name) is in force once on a day.

    Raises:
        PolicyError: some are not; each has a line.
    """
    asked = sorted(set(asked_for))
    rows = {table: rows_in_force(table, pack, day, seeds) for table in {table for table, _ in asked}}
    faults = []
    for table, name in asked:
        try:
            _the_one(table, name, rows[table], pack, day)
        except PolicyError as fault:
            faults.append(str(fault))
    if faults:
        raise PolicyError("\n".join(faults))


def _the_one(table: str, name: str, rows: Sequence[Row], pack: str, day: date) -> Row:
    first = _keys()[0][table][0]
    found = [row for row in rows if row[first] == name]
    if len(found) == 1 and found[0].get("value", name):
        return found[0]
    what = "stands there more than once" if len(found) > 1 else "has no value" if found else "has no row"
    mend = "end the earlier row before the later begins" if len(found) > 1 else "add it, or let an earlier row go on"
    raise PolicyError(
        f"{table}.csv: {first} {name} {what} in force on {day} for the pack {pack} or for every pack ({EVERY_PACK}): {mend}"
    )


def _rows(path: Path, key: Iterable[str] = ()) -> list[Row]:
    """
    Raises:
        PolicyError: the file is no table of policy; the message names it, and the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as broken:
        why = (broken.strerror or "reading failed") if isinstance(broken, OSError) else shown(str(broken))
        raise PolicyError(f"{path.name} cannot be read as a policy table: {why}") from None
    if missing := sorted({*_NEEDED, *key} - set(header)):
        raise PolicyError(f"{path.name} cannot be read as a policy table: it has no column {', '.join(missing)}")
    for line, row in rows:
        if len(row) != len(header):
            raise PolicyError(f"{path.name} line {line}: {len(row)} values where the header has {len(header)}")
    return [dict(zip(header, row, strict=True)) for _, row in rows]


def number(table: str, row: Row, column: str, of: Callable[[str], T]) -> T:
    """A column of a row as a number.

    Raises:
        PolicyError: it is none.
    """
    try:
        value = of(row[column])
        if isinstance(value, Decimal) and not value.is_finite():
            raise ValueError(value)
        return value
    except (KeyError, ValueError, ArithmeticError):
        said = shown(row.get(column, ""), 60)
        raise PolicyError(
            f"{table}.csv: {column} is no number in the row «{shown(', '.join(row.values()), 80)}»: «{said}»"
        ) from None


def parameter(table: str, name: str, pack: str, day: date, seeds: Path = SEEDS) -> int:
    """The value of a parameter that is a whole number.

    Raises:
        PolicyError: the row is not there, or holds none.
    """
    return number(table, row_in_force(table, name, pack, day, seeds), "value", int)


@cache
def _keys() -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """What names a row of each table, and which tables are a whole: dbt_project.yml has both."""
    import yaml  # type: ignore[import-untyped]

    told: dict[str, Any] = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    return {table: tuple(key) for table, key in told["policy_keys"].items()}, frozenset(told["policy_wholes"])


@dataclass(frozen=True)
class LandingLimits:
    """What a dataset's load may look like; None: nothing is asked. Shares are of 1, ages are days. `max_amount_ratio`: how
    many times the median amount of the loads before its own may be, or a part of it."""

    max_quarantined_share: Decimal
    min_volume_share: Decimal
    max_age_days: int | None
    max_amount_ratio: Decimal | None
    blocking: bool


def limits_of(dataset: str, pack: str, day: date, seeds: Path = SEEDS) -> LandingLimits:
    """The limits of a dataset on a day; `*` stands for every dataset without a row of its own.

    Raises:
        PolicyError: there is neither, or what it says is no number.
    """
    own = any(row["dataset"] == dataset for row in rows_in_force("landing_limits", pack, day, seeds))
    row = row_in_force("landing_limits", dataset if own else "*", pack, day, seeds)
    return LandingLimits(
        max_quarantined_share=number("landing_limits", row, "max_quarantined_share", Decimal),
        min_volume_share=number("landing_limits", row, "min_volume_share", Decimal),
        max_age_days=number("landing_limits", row, "max_age_days", int) if row.get("max_age_days") else None,
        max_amount_ratio=number("landing_limits", row, "max_amount_ratio", Decimal) if row.get("max_amount_ratio") else None,
        blocking=row.get("blocking") == "true",
    )


def ever_blocks(dataset: str) -> bool:
    """Whether there is a day or a pack on which a load of the dataset that is not as expected may stop the morning."""
    rows = _rows(SEEDS / "landing_limits.csv")
    own = [row for row in rows if row["dataset"] == dataset] or [row for row in rows if row["dataset"] == "*"]
    return any(row["blocking"] == "true" for row in own)
