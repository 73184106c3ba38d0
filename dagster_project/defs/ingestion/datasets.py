"""The datasets of the ERP and the bureau, pulled and landed; an asset's key is its dbt source."""

import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from dagster_project.asked import refuse_a_policy_with_gaps
from dagster_project.contract import DATASETS, Dataset, sources
from dagster_project.defs.automation.mornings import EACH_ITS_OWN_RUN
from dagster_project.gates import gate_of, holds_back
from dagster_project.landing import Landing, LandingError, Manifest
from dagster_project.policy import PolicyError, ever_blocks, limits_of
from dagster_project.pull import pull
from dagster_project.quality import Worker, facts_of
from dagster_project.settings import Settings
from dagster_project.sources import SourceError
from dagster_project.sources.catalogue import Sources
from dagster_project.warehouse import published_as_of

log = logging.getLogger("arrears.ingestion")

GROUP = "ingestion"
OWNERS = ["team:data-engineering"]


class IngestionConfig(dg.Config):
    """How to ask: `full` for everything instead of what changed, `refresh` also where the morning or a later one is out already."""

    full: bool = False
    refresh: bool = False


def key_of(dataset: Dataset) -> dg.AssetKey:
    return dg.AssetKey([dataset.group, dataset.name])


def landed_assets(mornings: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    return [
        _landed("erp", "The ledger and what surrounds it", mornings),
        _landed("bureau", "What bureaus say", mornings),
        _landed("inquiries", "What bureaus were asked, as which companies", mornings),
    ]


def _landed(group: str, title: str, mornings: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    specs = [
        dg.AssetSpec(
            key_of(dataset),
            description=f"{dataset.description} Key: {', '.join(dataset.key)}. {'Required' if dataset.required else 'May be absent'}.",
            owners=OWNERS,
            kinds={"python", "parquet"},
            group_name=GROUP,
        )
        for dataset in sources(group)
    ]

    @dg.multi_asset(
        name=f"land_{group}",
        specs=specs,
        can_subset=True,
        partitions_def=mornings,
        backfill_policy=EACH_ITS_OWN_RUN,
        description=title,
    )
    def land(
        context: dg.AssetExecutionContext,
        config: IngestionConfig,
        settings: dg.ResourceParam[Settings],
        landing: dg.ResourceParam[Landing],
        expectations: dg.ResourceParam[Worker],
        open_sources: dg.ResourceParam[Sources],
    ) -> Iterator[Any]:
        as_of = date.fromisoformat(context.partition_key)
        expectations.start()
        wanted = [d for d in sources(group) if key_of(d) in context.selected_asset_keys]
        out = published_as_of(settings.published)
        asks = landing.asks(as_of, settings.today(), published=out, refresh=config.refresh)
        asked, replayed = (wanted, []) if asks else ([], wanted)
        try:
            landing.sound(as_of, replayed if config.full else wanted)
        except LandingError as damaged:
            raise dg.Failure(str(damaged), allow_retries=False) from damaged
        if replayed:
            log.info("%s: replayed as it was known, for %s or a later morning is out", ", ".join(d.name for d in replayed), as_of)
        for dataset in replayed:
            known = landing.loads(dataset, as_of)
            yield dg.MaterializeResult(
                asset_key=key_of(dataset), metadata={"replayed": True, **(_metadata(known[-1].manifest) if known else {})}
            )
        try:
            refuse_a_policy_with_gaps(settings.policy, as_of)
            for dataset in asked:
                manifest = pull(dataset, open_sources, landing, as_of, settings.policy, full=config.full)
                expectations.ask(facts_of(landing, dataset, landing.loads(dataset, as_of)[-1], as_of, settings.policy))
                yield dg.MaterializeResult(asset_key=key_of(dataset), metadata=_metadata(manifest))
        except (PolicyError, SourceError, LandingError) as refused:
            raise dg.Failure(str(refused), allow_retries=False) from refused

    return land


def _metadata(manifest: Manifest) -> dict[str, Any]:
    return {
        "dagster/row_count": manifest.received,
        "landed": manifest.landed,
        "unchanged": manifest.unchanged,
        "quarantined": manifest.quarantined,
        "tombstones": manifest.tombstones,
        "absent": manifest.absent,
        "load": manifest.load_id,
        "origin": manifest.origin,
        "cursor": manifest.cursor or "",
        "newest_on": manifest.newest_on or "",
        "amounts_landed": dg.MetadataValue.md(_table(["currency", "amount"], sorted(manifest.sums.items()))),
        "left_out": dg.MetadataValue.md(_table(["what", "records"], manifest.left_out.items())),
        "written_as": "\n".join(manifest.found),
        "quarantine_reasons": dg.MetadataValue.md(_table(["reason", "records"], manifest.reasons.items())),
    }


def _table(header: list[str], rows: Any) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) if len(lines) > 2 else "none"


def landed_checks() -> dg.AssetChecksDefinition:
    """The expectations of every dataset, over the load of the morning."""
    name = "as_expected"
    specs = [
        dg.AssetCheckSpec(
            name,
            asset=key_of(dataset),
            blocking=ever_blocks(dataset.name),
            description="What landed is all accounted for, of the usual volume and amounts, its columns filled, and fresh enough to act "
            "on. `make datadocs` writes pages about it.",
        )
        for dataset in DATASETS.values()
    ]

    @dg.multi_asset_check(specs=specs, name="landed_as_expected", can_subset=True)
    def landed_as_expected(
        context: dg.AssetCheckExecutionContext,
        settings: dg.ResourceParam[Settings],
        landing: dg.ResourceParam[Landing],
        expectations: dg.ResourceParam[Worker],
    ) -> Iterator[dg.AssetCheckResult]:
        as_of = date.fromisoformat(context.partition_key)
        wanted = [d for d in DATASETS.values() if dg.AssetCheckKey(key_of(d), name) in context.selected_asset_check_keys]
        latest = {dataset.name: loads[-1] for dataset in wanted if (loads := landing.loads(dataset, as_of))}
        facts = {
            dataset.name: facts_of(landing, dataset, latest[dataset.name], as_of, settings.policy)
            for dataset in wanted
            if dataset.name in latest
        }
        for fact in facts.values():
            expectations.ask(fact)
        broken_loads = evaluated = 0
        for dataset in wanted:
            blocking = limits_of(dataset.name, settings.policy, as_of).blocking
            if dataset.name not in facts:
                yield dg.AssetCheckResult(
                    passed=True, asset_key=key_of(dataset), check_name=name, description="no load to look at"
                )
                continue
            verdict = expectations.verdict(facts[dataset.name])
            evaluated += verdict.evaluated
            broken_loads += not verdict.passed
            for line in verdict.broken:
                log.warning("%-18s %s", dataset.name, line)
            shut = sorted({gate_of(dataset.name, line) for line in verdict.broken}) if blocking else []
            stops = any(holds_back(gate, settings.policy, as_of) for gate in shut)
            yield dg.AssetCheckResult(
                passed=verdict.passed,
                asset_key=key_of(dataset),
                check_name=name,
                severity=dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN,
                description="; ".join(verdict.broken) or f"{verdict.evaluated} expectations hold",
                metadata={"expectations": verdict.evaluated, "load": verdict.load_id, "gates": ", ".join(shut)},
            )
        log.info("%-18s %d expectations over %d loads, %d loads not as expected", "", evaluated, len(facts), broken_loads)

    return landed_as_expected
