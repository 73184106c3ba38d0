"""A policy pack tried on the past year: whom it would have held and who went bad, beside the pack the nights run by.

Belongs here: building the marts under another pack, beside the published morning, and laying the two out as text. Does not belong here:
rules — who went bad and whom a pack would have held are columns of the mart `policy_backtest`; here they are summed.

Nothing is landed or published: the other pack is built in a folder of its own, which is gone afterwards.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import duckdb

from dagster_project import building, dbt_build, morning
from dagster_project.comparison import laid_out
from dagster_project.engines.catalogue import engine_of
from dagster_project.landing import Landing
from dagster_project.policy import packs
from dagster_project.settings import Settings
from dagster_project.warehouse import Warehouse, at_work_on, marts_of, published_as_of, published_marts

MART = "policy_backtest"

Tried = tuple[tuple[object, ...], ...]
"""Of a tier, worst last: its name, then customers, gone bad, held, held and gone bad, and what each of those owed."""


class NothingToTry(Exception):
    """No morning is published, or the pack is none; the message says what to do."""


def backtest_of(settings: Settings, pack: str | None = None, *, threads: int = dbt_build.THREADS) -> str:
    """The selected pack on the published book of the past year, and `pack` beside it where one is named.

    Raises:
        NothingToTry: the message says what to do.
        AlreadyAtWork: a night of that morning is.
        DbtError: the other pack could not be built.
        EngineError: the engine could not be started.
    """
    as_of = published_as_of(settings.published)
    if as_of is None or not (settings.published / "parquet" / f"{MART}.parquet").exists():
        raise NothingToTry("no morning that tried its policy on the past is published yet: make run")
    with published_marts(settings.published) as con:
        (selected,) = con.execute("select policy from run").fetchone() or ("",)
        columns = _summed(con)
        (currency, first, last, judged) = con.execute(
            f"select max(reporting_currency), min(snapshot_date), max(snapshot_date), max(judged_on) from {MART}"
        ).fetchall()[0]
    if first is None:
        raise NothingToTry(
            f"the book of {as_of} has no month ends yet that are long enough ago to show what became of its customers"
        )
    tried = {selected: columns}
    if pack and pack != selected:
        if pack not in packs():
            raise NothingToTry(f"{pack!r} is no policy pack; there is: {', '.join(packs())}")
        tried[pack] = _built(settings, as_of, pack, threads)
    heads = ["pack, tier", "customers", "went bad", "", "held", "rightly", "", f"owed {currency}", "went bad", "of it held"]
    return "\n\n".join(
        [
            f"Month ends {first} to {last}, judged by {judged} at the latest: customers that owed something and were not bad already",
            laid_out(heads, [line for name, tiers in tried.items() for line in _lines(name, tiers)], left=1),
            *(_told(name, tiers) for name, tiers in tried.items()),
        ]
    )


def _built(settings: Settings, as_of: date, pack: str, threads: int) -> Tried:
    beside = settings.home / "backtest" / f".{as_of}.{pack}"
    landing, engine = Landing.of(settings), engine_of(settings)
    landing.refresh()
    with at_work_on(settings.warehouse, as_of, f"backtest of {pack}"):
        shutil.rmtree(beside, ignore_errors=True)  # what a killed one left
        warehouse = Warehouse(beside)
        try:
            warehouse.create()
            results = building.build(
                warehouse,
                lambda: engine.show(warehouse, morning.prepare(warehouse, landing, as_of, "then", settings.source)),
                as_of,
                pack,
                settings.reporting_currency,
                threads=threads,
                memory_limit=settings.memory_limit,
                engine=engine,
                only=MART,
            )
            if broken := next((result for result in results if result.broken), None):
                raise NothingToTry(f"the book of {as_of} cannot be built under {pack}: {broken.name}: {broken.message}")
            with marts_of(warehouse.marts) as con:
                return _summed(con)
        finally:
            engine.leave(warehouse)
            warehouse.release()
            shutil.rmtree(beside, ignore_errors=True)


def _summed(con: duckdb.DuckDBPyConnection) -> Tried:
    return tuple(
        con.execute(
            f"""
            select tier, sum(customers), sum(went_bad_customers), sum(held_customers), sum(held_and_went_bad_customers),
                   sum(amount), sum(went_bad_amount), sum(held_amount), sum(held_and_went_bad_amount)
            from {MART} group by tier, tier_rank order by tier_rank
            """
        ).fetchall()
    )


def _lines(pack: str, tiers: Tried) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = [[pack, *[""] * 9]]
    for name, *found in (*tiers, ("all", *_all(tiers))):
        customers, bad, held, rightly, owed, bad_amount, _, rightly_amount = (Decimal(str(value)) for value in found)
        lines.append(
            [
                *(f"  {name}", f"{customers:,}", f"{bad:,}", _share(bad, customers), f"{held:,}", f"{rightly:,}"),
                *(_share(rightly, held), f"{owed:,.0f}", f"{bad_amount:,.0f}", f"{rightly_amount:,.0f}"),
            ]
        )
    return lines


def _told(pack: str, tiers: Tried) -> str:
    _, bad, held, rightly, owed, bad_amount, held_amount, rightly_amount = _all(tiers)
    return (
        f"{pack}: of {bad_amount:,.0f} that went bad, {rightly_amount:,.0f} ({_share(rightly_amount, bad_amount) or 'none'}) was owed by "
        f"customers it held ({rightly:,} of {bad:,}); of {held:,} it held, {held - rightly:,} paid anyway "
        f"({held_amount - rightly_amount:,.0f} of {owed:,.0f} owed)."
    )


def _all(tiers: Tried) -> list[Decimal]:
    return [sum((Decimal(str(tier[place])) for tier in tiers), Decimal(0)) for place in range(1, 9)]


def _share(part: Decimal, whole: Decimal) -> str:
    return f"{part / whole:.1%}" if whole else ""
