"""A night before it happens: pulled, checked and built as it would be, on a twin of what is landed, of which nothing stays.

Belongs here: going through all of it although something would have stopped the night, and what that is. Does not belong here: what is
said of it (`adoption.py`), the night (`defs/`).

It is built on DuckDB whatever engine the nights run on: what is said of it is read from all that was built, not from the marts alone.

Nothing is landed, so that nothing counts: not the morning as the first, from which policy binds, nor what was asked for as known. Nothing
is published, issued or sent, and the inbox is left alone. Only what was refused stays in quarantine, for whoever has to mend it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

from dagster_project import building, dbt_build, morning
from dagster_project.amounts import digits_on
from dagster_project.asked import refuse_a_policy_with_gaps
from dagster_project.contract import DATASETS
from dagster_project.engines import DUCKDB
from dagster_project.explained import causes, explained
from dagster_project.gates import gate_of, holds_back
from dagster_project.landing import Landing, LandingError, Manifest
from dagster_project.policy import PolicyError, limits_of
from dagster_project.pull import pull
from dagster_project.quality import Worker, facts_of
from dagster_project.settings import Settings
from dagster_project.sources import SourceError
from dagster_project.sources.catalogue import Sources
from dagster_project.warehouse import Warehouse, at_work_on, published_as_of
from dagster_project.warmup import Warmup

log = logging.getLogger("arrears.transformation")

ENOUGH = 3
"""Failures of sources after which the rest is not asked: a file that is broken says nothing of the next one, a server that is away does."""


@dataclass
class Rehearsal:
    """What came of it. `loads`: the newest of each dataset. `stops`: for what the night would have ended without a list, in the order in
    which it would have met it. `warnings`: what it would have gone on in spite of. `built`: None where there was nothing to build on."""

    as_of: date
    loads: dict[str, Manifest] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    built: Warehouse | None = None


@contextmanager
def rehearsed(settings: Settings, as_of: date, warmup: Warmup, *, threads: int = dbt_build.THREADS) -> Iterator[Rehearsal]:
    """A morning gone through, there to be looked into as long as the `with`.

    Raises:
        AlreadyAtWork: a night of that morning is.
    """
    beside = settings.home / "adopt" / f".{as_of}"
    with at_work_on(settings.warehouse, as_of, "rehearsal"):
        shutil.rmtree(beside, ignore_errors=True)  # what a killed one left
        try:
            beside.mkdir(parents=True)
            yield _gone_through(settings, as_of, warmup, beside, threads)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _gone_through(settings: Settings, as_of: date, warmup: Warmup, beside: Path, threads: int) -> Rehearsal:
    rehearsal = Rehearsal(as_of)
    try:
        known = Landing.of(settings)
        known.refresh()
        landing = known.twin(beside / "landing")
        refuse_a_policy_with_gaps(settings.policy, as_of)
        _pull(rehearsal, settings, landing, warmup)
        _expect(rehearsal, settings, landing, warmup.expectations)
        _build(rehearsal, settings, landing, Warehouse(beside / "warehouse"), threads)
    except (PolicyError, LandingError, morning.NothingKnown, dbt_build.DbtError) as impossible:
        if not (rehearsal.stops and isinstance(impossible, morning.NothingKnown)):  # why nothing is known is told already
            rehearsal.stops += str(impossible).splitlines()
    return rehearsal


def _pull(rehearsal: Rehearsal, settings: Settings, landing: Landing, warmup: Warmup) -> None:
    as_of, pack, failed = rehearsal.as_of, settings.policy, 0
    if not landing.asks(as_of, settings.today(), published=published_as_of(settings.published)):
        log.info("as it was known: %s or a later morning is out", as_of)
        return
    with closing(Sources(settings, as_of, warmup.demo, is_trial=True)) as sources:
        for dataset in DATASETS.values():
            try:
                manifest = pull(dataset, sources, landing, as_of, pack, share=Decimal(1))
            except (SourceError, LandingError) as refused:
                rehearsal.stops.append(str(refused))
                failed += isinstance(refused, SourceError)
                if failed == ENOUGH:
                    return
                continue
            rehearsal.loads[dataset.name] = manifest  # what is kept of it has no values of what was refused
            allowed = limits_of(dataset.name, pack, as_of).max_quarantined_share
            if manifest.quarantined > allowed * manifest.received:
                rehearsal.stops.append(
                    f"{dataset.name}: {manifest.quarantined:,} of {manifest.received:,} records break the contract, more than the "
                    f"{allowed * 100:.2f} % that policy lets pass (landing_limits.csv): nothing of it would land"
                )
            warmup.expectations.ask(facts_of(landing, dataset, landing.loads(dataset, as_of)[-1], as_of, pack))


def _expect(rehearsal: Rehearsal, settings: Settings, landing: Landing, expectations: Worker) -> None:
    """Hold every load against what policy expects of it."""
    as_of, pack = rehearsal.as_of, settings.policy
    for dataset in DATASETS.values():
        if not (loads := landing.loads(dataset, as_of)):
            continue
        rehearsal.loads.setdefault(dataset.name, loads[-1].manifest)
        for line in expectations.verdict(facts_of(landing, dataset, loads[-1], as_of, pack)).broken:
            if line.startswith("quarantined_share:"):  # the night would not have come as far
                continue
            stops = limits_of(dataset.name, pack, as_of).blocking and holds_back(gate_of(dataset.name, line), pack, as_of)
            (rehearsal.stops if stops else rehearsal.warnings).append(f"{dataset.name}: {line}")


def _build(rehearsal: Rehearsal, settings: Settings, landing: Landing, warehouse: Warehouse, threads: int) -> None:
    warehouse.create()
    try:
        results = building.build(
            warehouse,
            partial(morning.prepare, warehouse, landing, rehearsal.as_of, "then", settings.source, settings.bureau_name),
            rehearsal.as_of,
            settings.policy,
            settings.reporting_currency,
            threads=threads,
            memory_limit=settings.memory_limit,
            through=True,
        )
    finally:
        warehouse.release()
    manifest = dbt_build.manifest()
    digits = digits_on(rehearsal.as_of, settings.policy)
    found = partial(DUCKDB.found, warehouse)
    broken = [result for result in results if result.broken]
    rehearsal.stops += [explained(manifest, result, found, digits) for result in causes(manifest, broken)]
    warned = [result for result in results if result.status == "warn"]
    rehearsal.warnings += [explained(manifest, result, found, digits) for result in causes(manifest, warned)]
    if all(result.layer == "test" for result in broken) and not any(result.status == "skipped" for result in results):
        rehearsal.built = warehouse
