"""Amounts as people read and write them: with the digits that their currency has.

Belongs here: how many digits that is (`dbt/seeds/policy/currencies.csv`), an amount as a text of English. Does not belong here: other
languages (`outgoing/letters/`), the cells of a worksheet (`outgoing/workbook/`), rounding, which SQL does where an amount comes about.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Final

from dagster_project.policy import EVERY_PACK, rows_in_force

USUAL: Final = 2
"""The digits of a currency that is not in the table."""

Digits = Mapping[str, int]
"""Digits by currency, for those in the table."""


@cache
def digits_on(day: date, pack: str = EVERY_PACK) -> Digits:
    """The table as it is on a day."""
    return {row["currency"]: int(row["digits"]) for row in rows_in_force("currencies", pack, day)}


def digits_in(currency: str | None, digits: Digits) -> int:
    """How many a currency has."""
    return digits.get(currency or "", USUAL)


def places(amount: Decimal, digits: int) -> int:
    """How many digits an amount is shown with: those of its currency, more where it has more."""
    exponent = amount.normalize().as_tuple().exponent
    return max(digits, -exponent if isinstance(exponent, int) else 0)


def written(amount: Decimal, currency: str | None, digits: Digits) -> str:
    """`1,234.56`, of yen `1,235`, of dinar `1,234.560`."""
    return f"{amount:,.{places(amount, digits_in(currency, digits))}f}"
