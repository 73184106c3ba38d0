"""The dbt project as assets: one a model or seed, its tests as checks. One step builds the morning's warehouse from nothing."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project import building, dbt_build, morning
from dagster_project.amounts import digits_on
from dagster_project.asked import refuse_a_policy_with_gaps
from dagster_project.dbt_build import NodeResult
from dagster_project.defs.automation.mornings import EACH_ITS_OWN_RUN
from dagster_project.defs.transformation.nodes import UNIQUE_ID, specs_of
from dagster_project.engines import EngineError
from dagster_project.explained import causes, explained
from dagster_project.fingerprints import made_by
from dagster_project.landing import Known, Landing, LandingError
from dagster_project.policy import PolicyError
from dagster_project.settings import Settings
from dagster_project.warehouse import MARTS, Warehouse, export, marts_of
from dagster_project.warmup import Warmup

log = logging.getLogger("arrears.transformation")

SLOWEST_TOLD = 3
SLOW = 1.0
"""Seconds from which on a node is worth naming."""


class MorningConfig(dg.Config):
    """What the morning knows: `then` reads the loads made for it or earlier, `now` everything learned since."""

    known: str = "then"
    threads: int = dbt_build.THREADS


def transformation_assets(mornings: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The dbt assets.

    Raises:
        RuntimeError: the manifest was never prepared; the message names the command.
    """
    if not dbt_build.MANIFEST.exists():
        raise RuntimeError("dbt/target/manifest.json is missing. Prepare it with: make setup")
    manifest = dbt_build.manifest()
    specs, check_specs = specs_of(manifest)

    @dg.multi_asset(
        name="morning",
        specs=specs,
        check_specs=check_specs,
        can_subset=True,
        partitions_def=mornings,
        backfill_policy=EACH_ITS_OWN_RUN,
    )
    def build(
        context: dg.AssetExecutionContext,
        config: MorningConfig,
        settings: dg.ResourceParam[Settings],
        landing: dg.ResourceParam[Landing],
        warehouse: dg.ResourceParam[Warehouse],
        night: dg.ResourceParam[Warmup],
    ) -> Iterator[Any]:
        as_of = date.fromisoformat(context.partition_key)
        known: Known = "now" if config.known == "now" else "then"
        warehouse.create()
        fingerprints = made_by()
        log.info("everything from landing to marts, as known %s", "that morning" if known == "then" else "now")
        try:
            refuse_a_policy_with_gaps(settings.policy, as_of)
            results = _built(settings, landing, warehouse, night, as_of, known, config.threads)
        except (PolicyError, morning.NothingKnown, LandingError, dbt_build.DbtError, EngineError) as refused:
            raise dg.Failure(str(refused), allow_retries=False) from refused
        digits, found = digits_on(as_of, settings.policy), partial(night.engine.found, warehouse)
        _tell(results)
        for result in results:
            if result.status == "warn":
                log.warning("%s", explained(manifest, result, found, digits))
        looked_at = _looked_at(warehouse.marts)
        broken = [result for result in results if result.broken]
        with ThreadPoolExecutor(1) as beside:  # Dagster takes seconds to remember what happened, and so does the export
            exported = None if broken else beside.submit(export, warehouse.marts, settings.memory_limit)
            yield from _events(context, results, looked_at)
        if exported is None:
            told = [explained(manifest, result, found, digits) for result in causes(manifest, broken)]
            raise dg.Failure("\n".join(told), allow_retries=False)
        exported.result()
        warehouse.finish(fingerprints)

    return build


def _built(
    settings: Settings, landing: Landing, warehouse: Warehouse, night: Warmup, as_of: date, known: Known, threads: int
) -> list[NodeResult]:
    def put_in_front() -> None:
        night.engine.show(warehouse, morning.prepare(warehouse, landing, as_of, known, settings.source, settings.bureau_name))

    return building.build(
        warehouse,
        put_in_front,
        as_of,
        settings.policy,
        settings.reporting_currency,
        threads=threads,
        memory_limit=settings.memory_limit,
        engine=night.engine,
        early=night.project,
    )


def _tell(results: list[NodeResult]) -> None:
    for layer in dict.fromkeys(result.layer for result in results):
        nodes = [result for result in results if result.layer == layer]
        states = Counter(result.status for result in nodes)
        seconds = sum(result.seconds for result in nodes)
        log.info(
            "%-18s %8d nodes: %s  %.1f s", layer, len(nodes), ", ".join(f"{n} {state}" for state, n in states.items()), seconds
        )
    slow = sorted((result for result in results if result.seconds >= SLOW), key=lambda result: -result.seconds)[:SLOWEST_TOLD]
    if slow:
        log.info("%-18s %s", "slowest", ", ".join(f"{result.name} {result.seconds:.1f} s" for result in slow))
    for result in results:
        if result.broken:
            log.warning("%s: %s", result.name, result.message)


def _events(
    context: dg.AssetExecutionContext, results: list[NodeResult], looked_at: Mapping[str, Mapping[str, Any]]
) -> Iterator[dg.MaterializeResult | dg.AssetMaterialization | dg.AssetCheckResult | dg.AssetCheckEvaluation]:
    """What Dagster should know of each node: a materialization or the outcome of a check.

    Only of the marts are they what the step hands on, which delivering waits for. Of each thing handed on Dagster looks up which version
    all of its parents had, and stores an event more: read by nobody, and seconds a night.
    """
    definition = context.assets_def
    assets = {spec.metadata[UNIQUE_ID]: spec for spec in definition.specs if spec.key in context.selected_asset_keys}
    checks = {spec.metadata[UNIQUE_ID]: spec for spec in definition.check_specs if spec.key in context.selected_asset_check_keys}
    for result in results:
        if result.unique_id in assets and result.status == "success":
            key, facts = assets[result.unique_id].key, {"seconds": round(result.seconds, 3), **looked_at.get(result.name, {})}
            if key.path[0] == MARTS:
                yield dg.MaterializeResult(asset_key=key, metadata=facts)
            else:
                yield dg.AssetMaterialization(asset_key=key, metadata=facts, partition=context.partition_key)
        elif result.unique_id in checks and result.status != "skipped":
            spec = checks[result.unique_id]
            outcome = {
                "passed": result.status == "pass",
                "asset_key": spec.asset_key,
                "check_name": spec.name,
                "severity": dg.AssetCheckSeverity.ERROR if spec.blocking else dg.AssetCheckSeverity.WARN,
                "metadata": {"rows_found": result.failures, "message": result.message or "passed"},
            }
            if spec.asset_key.path[0] == MARTS:
                yield dg.AssetCheckResult(**outcome)
            else:
                yield dg.AssetCheckEvaluation(**outcome, blocking=spec.blocking)


def _looked_at(marts: Path) -> Mapping[str, Mapping[str, Any]]:
    """What the UI shows of each mart: how many rows, and the first few."""
    if not marts.exists():
        return {}
    with marts_of(marts) as con:
        return {
            name: {
                "dagster/row_count": count,
                "preview": dg.MetadataValue.md(_preview(con.sql(f'select * from "{name}" limit 5'))),
            }
            for name, count in con.execute(
                "select table_name, estimated_size from duckdb_tables() where database_name = 'built'"
            ).fetchall()
        }


def _preview(rows: Any) -> str:
    lines = [rows.columns, ["---"] * len(rows.columns), *rows.fetchall()]
    return "\n".join("| " + " | ".join("" if cell is None else str(cell) for cell in line) + " |" for line in lines)
