"""The policy packs side by side on the published morning's book, for whoever has to choose one.

Belongs here: reading the mart `policy_comparison` and laying it out as text. Does not belong here: rules — what a pack says of a
customer, and what that would mean, are the mart's columns; here they are counted and summed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from dagster_project.warehouse import published_as_of, published_marts

MOVERS = 10


class NothingToCompare(Exception):
    """No morning with a comparison was published, or it does not have the pack asked for."""


@dataclass(frozen=True)
class PublishedPacks:
    """The published morning's `policy_comparison`, open to be asked: its packs by name, which of them the night ran by, its currency."""

    con: duckdb.DuckDBPyConnection
    as_of: date
    packs: Sequence[str]
    selected: str
    currency: str


@contextmanager
def published_packs(published: Path, purpose: str) -> Iterator[PublishedPacks]:
    """What was published, for as long as the `with`; `purpose` is what its customers are wanted for, in words.

    Raises:
        NothingToCompare: the message says what to do.
    """
    as_of = published_as_of(published)
    if as_of is None or not (published / "parquet" / "policy_comparison.parquet").exists():
        raise NothingToCompare("no morning with a comparison of the policy packs is published yet: make run")
    with published_marts(published) as con:
        packs = dict(con.execute("select policy, bool_or(is_selected) from policy_comparison group by 1 order by 1").fetchall())
        selected = next((name for name, is_selected in packs.items() if is_selected), None)
        if selected is None:
            raise NothingToCompare(f"the book of {as_of} has no customers to {purpose}")
        (currency,) = con.execute("select any_value(reporting_currency) from policy_comparison").fetchall()[0]
        yield PublishedPacks(con, as_of, list(packs), selected, currency)


def comparison_of(published: Path, beside: str | None = None) -> str:
    """The packs tier by tier, and who would move most; only the selected pack and `beside` where that is named.

    Raises:
        NothingToCompare: the message says what to do.
    """
    with published_packs(published, "compare the policy packs on") as book:
        con, as_of, selected, currency = book.con, book.as_of, book.selected, book.currency
        others = [name for name in book.packs if name != selected]
        if beside is not None and beside not in others:
            raise NothingToCompare(
                f"{beside!r} cannot be held beside {selected}, the pack of {as_of}; there is: {', '.join(others) or 'no other'}"
            )
        others = [beside] if beside else others
        parts = [
            f"The policy packs on the book of {as_of}, which runs by {selected}; amounts in {currency}",
            _tiers(con, [selected, *others]),
            *(_movers(con, selected, other) for other in others),
        ]
    return "\n\n".join(parts)


def _tiers(con: duckdb.DuckDBPyConnection, packs: Sequence[str]) -> str:
    lines: list[Sequence[str]] = []
    for pack in packs:
        found = con.execute(
            """
            select tier_rank, any_value(tier_indicated), any_value(tier_name), count(*), sum(exposure_amount),
                   sum(exposure_above_limit_amount), any_value(net_days), any_value(credit_limit_policy), any_value(deposit_pct),
                   any_value(discount_pct), any_value(discount_days)
            from policy_comparison where policy = ? group by 1 order by 1
            """,
            [pack],
        ).fetchall()
        lines.append([pack, *[""] * 8])
        for _, tier, name, customers, exposure, above, days, limit, deposit, discount, in_days in found:
            offer = f"{_plain(discount)} % in {in_days}" if discount else "-"
            lines.append(
                [
                    *(f"  {tier}", name[:22], f"{customers:,}", _whole(exposure), _whole(above)),
                    *(f"{days}", _whole(limit), f"{_plain(deposit)} %", offer),
                ]
            )
        (customers, exposure, above, days), *_ = con.execute(
            """
            select count(*), sum(exposure_amount), sum(exposure_above_limit_amount),
                   cast(sum(net_days * greatest(billed_amount, 0)) / nullif(sum(greatest(billed_amount, 0)), 0) as decimal(9, 1))
            from policy_comparison where policy = ?
            """,
            [pack],
        ).fetchall()
        average = "" if days is None else f"{days}"
        lines += [["  all", "", f"{customers:,}", _whole(exposure), _whole(above), average, *[""] * 3], []]
    heads = ["pack, tier", "", "customers", "exposure", "above limit", "net days", "limit", "deposit", "discount"]
    return f"{laid_out(heads, lines[:-1], left=2)}\n\nNet days of all are weighed by what was billed."


def _movers(con: duckdb.DuckDBPyConnection, selected: str, other: str) -> str:
    counts = con.execute(
        "select moves, count(*), sum(exposure_amount) from policy_comparison where policy = ? group by 1 order by 1", [other]
    ).fetchall()
    told = ", ".join(f"{customers:,} {moves} ({_whole(exposure)} exposure)" for moves, customers, exposure in counts)
    (change,), *_ = con.execute(
        "select sum(receivables_change_amount) from policy_comparison where policy = ?", [other]
    ).fetchall()
    rows = con.execute(
        f"""
        select there.customer_id, there.customer_name, here.tier_indicated, there.tier_indicated, here.net_days, there.net_days,
               here.credit_limit_policy, there.credit_limit_policy, there.exposure_amount, there.receivables_change_amount
        from policy_comparison as there join policy_comparison as here using (customer_id)
        where there.policy = ? and here.policy = ? and there.moves <> 'same'
        order by abs(there.receivables_change_amount) desc, there.exposure_amount desc, 1
        limit {MOVERS}
        """,
        [other, selected],
    ).fetchall()
    lines = [
        [
            *(customer[:14], name[:20], f"{tier} > {new_tier}", f"{days} > {new_days}"),
            *(f"{_whole(limit)} > {_whole(new_limit)}", _whole(exposure), _signed(moved)),
        ]
        for customer, name, tier, new_tier, days, new_days, limit, new_limit, exposure, moved in rows
    ]
    heads = ["customer", "", "tier", "net days", "limit", "exposure", "receivables"]
    return (
        f"{other} instead of {selected}: {told}\n"
        f"Its net days alone would change receivables by {_signed(change)}, were everybody to pay as many days beyond terms as now.\n\n"
        f"{laid_out(heads, lines, left=3)}"
    )


def laid_out(heads: Sequence[str], lines: Sequence[Sequence[str]], left: int) -> str:
    """Columns as wide as what is in them, the first `left` of them flush left and the others flush right."""
    widths = [max(len(line[place]) for line in [heads, *lines] if line) for place in range(len(heads))]
    laid = [
        "  ".join(
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        if line
        else ""
        for line in [heads, ["-" * width for width in widths], *lines]
    ]
    return "\n".join(laid)


def _whole(amount: Decimal | None) -> str:
    return f"{amount or Decimal(0):,.0f}"


def _signed(amount: Decimal | None) -> str:
    return f"{amount or Decimal(0):+,.0f}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
