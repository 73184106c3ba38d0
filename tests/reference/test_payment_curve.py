"""The payment curve, worked out a second time: loops over items instead of SQL over tables, from the words of the specification."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random

import pyarrow as pa
import pytest

from tests import compiled

AS_OF = date(2025, 6, 30)
DAYS = range(-60, 121)


@dataclass(frozen=True)
class Item:
    customer: str
    days: int
    outcome: str  # paid, closed, contested or open
    weight: Decimal


def book(seed: str) -> list[Item]:
    """Customers with many payments, few, one and none, some of them far off the curve."""
    dice = Random(seed)
    items = []
    for number in range(12):
        usual, spread = dice.uniform(-10, 40), dice.uniform(1, 12)
        for _ in range(dice.choice((0, 1, 2, 8, 30))):
            days = round(dice.gauss(usual, spread)) if dice.random() < 0.95 else dice.randrange(-90, 200)
            outcome = dice.choices(("paid", "closed", "contested", "open"), (80, 5, 5, 10))[0]
            weight = Decimal(1) if outcome == "open" else Decimal(str(round(0.5 ** (dice.randrange(700) / 90), 6)))
            items.append(Item(f"C{number}", days, outcome, weight))
        items.append(Item(f"C{number}", dice.randrange(-40, 30), "open", Decimal(1)))
    return items


def mean(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(weight * value for weight, value in pairs) / sum(weight for weight, _ in pairs)


def curves(items: Sequence[Item]) -> tuple[dict[str, float], dict[str, float], dict[tuple[str, int], float]]:
    """By customer the usual days late and the spread, and by customer and day the chance to be still open."""
    paid: dict[str, list[tuple[float, int]]] = {item.customer: [] for item in items}
    for item in items:
        if item.outcome == "paid" and item.weight > 0:
            paid[item.customer].append((float(item.weight), item.days))
    capped = {customer: [(w, max(min(t, 60), -60)) for w, t in seen] for customer, seen in paid.items()}
    every = [pair for seen in capped.values() for pair in seen]
    book_usual = mean(every)
    groups = [seen for seen in capped.values() if seen]
    sums = [sum(w for w, _ in seen) for seen in groups]
    squares = [sum(w * w for w, _ in seen) for seen in groups]
    whole = sum(sums)
    within = sum(w * (t - mean(seen)) ** 2 for seen in groups for w, t in seen) / (
        whole - sum(square / total for square, total in zip(squares, sums, strict=True))
    )
    between = (
        sum(total * (mean(seen) - book_usual) ** 2 for seen, total in zip(groups, sums, strict=True))
        - within * (sum(square / total for square, total in zip(squares, sums, strict=True)) - sum(squares) / whole)
    ) / (whole - sum(total * total for total in sums) / whole)
    k = min(10.0, within / between) if between > 0 else 10.0

    def usual(seen: Sequence[tuple[float, int]]) -> float:
        return (sum(w * t for w, t in seen) + k * book_usual) / (sum(w for w, _ in seen) + k)

    surprises = {
        customer: [
            (w, max(min(t, 120), -60) - usual(capped[customer][:place] + capped[customer][place + 1 :]))
            for place, (w, t) in enumerate(seen)
        ]
        for customer, seen in paid.items()
    }
    book_spread = max(mean([(w, abs(s)) for seen in surprises.values() for w, s in seen]), 1)
    spreads = {
        customer: (sum(w * abs(s) for w, s in seen) + 5 * book_spread) / (sum(w for w, _ in seen) + 5)
        for customer, seen in surprises.items()
    }
    shape = [(w, math.floor(10 * s / spreads[customer])) for customer, seen in surprises.items() for w, s in seen]

    def table(seen: Sequence[Item], prior: dict[int, float], of_prior: float) -> dict[int, float]:
        still, left = 1.0, {}
        for day in DAYS:
            paid_now = sum(
                float(item.weight) for item in seen if item.outcome == "paid" and max(item.days, -60) == day and item.days <= 120
            )
            at_risk = sum(float(item.weight) for item in seen if max(min(item.days, 120), -60) >= day)
            still *= 1 - min((paid_now + of_prior * prior[day]) / (at_risk + of_prior), 0.999)
            left[day] = still
        return left

    life = table(items, dict.fromkeys(DAYS, 0.02), 1)
    still_open = {}
    for customer in paid:
        level = usual(capped[customer])
        prior, before = {}, 1.0
        for day in DAYS:
            step = max(min(round(10 * (day + 0.5 - level) / spreads[customer]) - 1, 200), -100)
            beyond = sum(w for w, place in shape if max(min(place, 200), -100) > step) / sum(w for w, _ in shape)
            now = 0.9 * beyond + 0.1 * life[day]
            prior[day], before = max(1 - now / before, 0), now
        for day, left in table([item for item in items if item.customer == customer], prior, 5).items():
            still_open[customer, day] = left
    return {customer: usual(seen) for customer, seen in capped.items()}, spreads, still_open


@pytest.mark.parametrize("seed", ["one book", "another", "and a third"])
def test_the_curves_are_those_of_the_specification(seed: str) -> None:
    items = book(seed)
    usual, spreads, still_open = curves(items)
    delays = pa.table(
        {
            "item_key": pa.array(range(len(items)), pa.int64()),
            "customer_id": [item.customer for item in items],
            "habit_outcome": [item.outcome for item in items],
            "habit_days": pa.array([item.days for item in items], pa.int32()),
            "weight": pa.array([item.weight for item in items], pa.decimal128(18, 6)),
        }
    )
    con = compiled.over(compiled.compiled(), AS_OF, ["int_payment_curves"], {"int_payment_delays": delays})
    habits = con.execute("select customer_id, usual_days, spread_days from arrears.intermediate.int_payment_habits").fetchall()
    days = con.execute("select customer_id, days_late, log_still_open from arrears.intermediate.int_payment_curves").fetchall()

    assert {customer: mid for customer, mid, _ in habits} == pytest.approx(usual, abs=1e-4)
    assert {customer: spread for customer, _, spread in habits} == pytest.approx(spreads, abs=1e-4)
    assert {(customer, day): math.exp(log) for customer, day, log in days} == pytest.approx(still_open, abs=1e-3)
