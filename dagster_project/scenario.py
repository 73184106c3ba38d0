"""What would change if: the published book under another pack, with other terms or limits, or paid sooner or later than now.

Belongs here: the arithmetic of a question that somebody asks at the command line, over columns of the mart `policy_comparison`, laid out
as text. Does not belong here: rules — which tier, terms and limit a pack gives a customer are the mart's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from dagster_project.comparison import NothingToCompare, laid_out, published_packs
from dagster_project.policy import row_in_force


@dataclass(frozen=True)
class Question:
    """What is asked. `pack`: another policy pack, else the selected one. `net_days`: by how many days the net terms change, of everybody or
    of the `tiers` named. `limits_pct`: to how many per cent of the tier's limit. `late_days`: how many days later beyond terms (sooner,
    where negative) everybody pays than now."""

    pack: str | None = None
    net_days: int = 0
    tiers: tuple[str, ...] = ()
    limits_pct: int = 100
    late_days: int = 0


def scenario_of(published: Path, question: Question) -> str:
    """The book as it is and as asked, side by side: tiers, exposure, net days, DSO, receivables, and what carrying them costs a year.

    Raises:
        NothingToCompare: the message says what to do.
    """
    with published_packs(published, "ask about") as book:
        con, as_of, selected, currency = book.con, book.as_of, book.selected, book.currency
        pack = question.pack or selected
        if pack not in book.packs:
            raise NothingToCompare(f"{pack!r} is no policy pack of {as_of}; there is: {', '.join(book.packs)}")
        now, then = _tiers(con, selected, Question()), _tiers(con, pack, question)
        if missing := [tier for tier in question.tiers if tier not in then]:
            raise NothingToCompare(f"{pack} has no tier {', '.join(missing)}; there is: {', '.join(then)}")
        (moved,) = con.execute(
            f"""
            select sum(there.billed_amount * (({_NET_DAYS}) - here.net_days + $late_days))
            from policy_comparison as there inner join policy_comparison as here using (customer_id)
            where there.policy = $pack and here.policy = $selected
            """,
            {**_asked(pack, question), "late_days": question.late_days, "selected": selected},
        ).fetchall()[0]
    window, capital = (_parameter(name, selected, as_of) for name in ("billed_window_days", "cost_of_capital_pct"))
    receivables = sum((exposure for _, exposure, *_ in now.values()), Decimal(0))
    billed = sum((amount for *_, amount, _ in now.values()), Decimal(0))
    change = (moved or Decimal(0)) / window
    dso = [amount / billed * window if billed else None for amount in (receivables, receivables + change)]
    cost = f"{change * capital / 100:+,.0f}"
    heads = ["", "tier", "customers", "exposure", "above limit", "net days"]
    lines = [
        line
        for name, tiers in ((f"now: {selected}", now), (f"then: {_words(pack, question)}", then))
        for line in _lines(name, tiers)
    ]
    return "\n\n".join(
        [
            f"The book of {as_of} as it is and as asked; amounts in {currency}",
            laid_out(heads, lines[:-1], left=2),
            "Once everybody pays as many days beyond terms as now"
            + (
                f", and {abs(question.late_days)} {'more' if question.late_days > 0 else 'fewer'}:" if question.late_days else ":"
            ),
            laid_out(
                ["", "now", "then", "change"],
                [
                    ["days sales outstanding", *(f"{days:.1f}" if days is not None else "" for days in dso), _change(dso)],
                    ["receivables", f"{receivables:,.0f}", f"{receivables + change:,.0f}", f"{change:+,.0f}"],
                    ["cash that comes in by it", "", "", f"{-change:+,.0f}"],
                    [
                        "carrying them, a year",
                        *(f"{amount * capital / 100:,.0f}" for amount in (receivables, receivables + change)),
                        cost,
                    ],
                ],
                left=1,
            ),
            "Paid as many days after the invoice as now, terms alone bring nothing in: it is late by as many days more.",
        ]
    )


_NET_DAYS = """
    greatest(there.net_days + case when len($tiers) = 0 or list_contains($tiers, there.tier_indicated) then $net_days else 0 end, 0)
"""
"""Nobody has terms of less than no days."""

Tiers = dict[str, tuple[Decimal, ...]]
"""By tier, best first: customers, exposure, exposure above the limit, billed in the window, and that times the net days."""


def _asked(pack: str, question: Question) -> dict[str, object]:
    return {"pack": pack, "tiers": list(question.tiers), "net_days": question.net_days}


def _tiers(con: duckdb.DuckDBPyConnection, pack: str, question: Question) -> Tiers:
    found = con.execute(
        f"""
        select there.tier_indicated, cast(count(*) as decimal), sum(there.exposure_amount),
               sum(greatest(there.exposure_amount - there.credit_limit_policy * cast($limits as decimal(9, 2)) / 100, 0)),
               sum(greatest(there.billed_amount, 0)),
               sum(greatest(there.billed_amount, 0) * ({_NET_DAYS}))
        from policy_comparison as there where there.policy = $pack
        group by there.tier_rank, there.tier_indicated order by there.tier_rank
        """,
        {**_asked(pack, question), "limits": question.limits_pct},
    ).fetchall()
    return {name: tuple(Decimal(str(value or 0)) for value in sums) for name, *sums in found}


def _lines(name: str, tiers: Tiers) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    everybody = tuple(sum(column, Decimal(0)) for column in zip(*tiers.values(), strict=True))
    for place, (tier, (customers, exposure, above, billed, weighed)) in enumerate([*tiers.items(), ("all", everybody)]):
        days = f"{weighed / billed:.1f}" if billed else ""
        lines.append(["" if place else name, tier, f"{customers:,.0f}", f"{exposure:,.0f}", f"{above:,.0f}", days])
    return [*lines, []]


def _words(pack: str, question: Question) -> str:
    told = [pack]
    if question.net_days:
        told.append(f"{question.net_days:+d} net days" + (f" of tier {', '.join(question.tiers)}" if question.tiers else ""))
    if question.limits_pct != 100:
        told.append(f"limits at {question.limits_pct} %")
    return ", ".join(told)


def _change(dso: Sequence[Decimal | None]) -> str:
    now, then = dso
    return f"{then - now:+.1f}" if now is not None and then is not None else ""


def _parameter(name: str, pack: str, as_of: date) -> Decimal:
    return Decimal(row_in_force("kpi_policy", name, pack, as_of)["value"])
