"""What leaves the house: the published marts, the morning's worklists, the letters with them. None exists where a blocking check failed."""

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from importlib.metadata import version

import dagster as dg
from filelock import Timeout

from dagster_project import alerts, described, mail, notice
from dagster_project.amounts import digits_on, written
from dagster_project.contract import DATASETS
from dagster_project.defs.automation.ending import warnings_of
from dagster_project.defs.automation.mornings import EACH_ITS_OWN_RUN
from dagster_project.delivery import deliver
from dagster_project.landing import Landing
from dagster_project.outgoing import MARTS
from dagster_project.outgoing.letters.letterhead import LetterheadError, Letterheads, letterheads
from dagster_project.outgoing.page import pages_from, write_page
from dagster_project.policy import PolicyError
from dagster_project.seals import SealError, key_in
from dagster_project.settings import Settings
from dagster_project.warehouse import PUBLIC, Warehouse, last_finished, publish, published_as, published_as_of, read, row_counts
from dagster_project.words import printable

log = logging.getLogger("arrears.delivery")

GROUP = "delivery"
MOST_TOLD = 20
"""Lines of an alert; the log has them all."""

VERSIONS = ("dagster", "dbt-core", "dbt-duckdb", "duckdb")


def delivery_assets(mornings: dg.PartitionsDefinition, marts: list[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """The outputs, from the same built file of marts: the list only after the marts are out, letters only after the list is."""

    @dg.asset(
        key=["delivery", "published_marts"],
        deps=marts,
        group_name=GROUP,
        partitions_def=mornings,
        backfill_policy=EACH_ITS_OWN_RUN,
        owners=["team:data-engineering"],
        kinds={"duckdb", "parquet"},
        description="The marts under their public name, for BI tools: one DuckDB file and the same as Parquet, replaced whole.",
    )
    def published_marts(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        as_of = date.fromisoformat(context.partition_key)
        built = _built(settings, warehouse, as_of)
        target = publish(
            built.marts,
            settings.published,
            as_of,
            _run_row(context, settings, built),
            settings.memory_limit,
            settings.published_group,
            described.marts(),
        )
        rows = row_counts(built.parquet)
        log.info("%-18s %s rows in %d marts: %s", "marts", f"{sum(rows.values()):,}", len(rows), target / PUBLIC)
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(target / PUBLIC)),
                "dagster/row_count": sum(rows.values()),
                "rows": dg.MetadataValue.md(
                    "\n".join(["| mart | rows |", "| --- | ---: |", *(f"| {n} | {r:,} |" for n, r in rows.items())])
                ),
            }
        )

    @dg.asset(
        key=["delivery", "worklists"],
        deps=[published_marts],
        group_name=GROUP,
        partitions_def=mornings,
        backfill_policy=EACH_ITS_OWN_RUN,
        owners=["team:credit-control"],
        kinds={"excel", "csv"},
        description="What collectors open in the morning: workbooks, CSV, manifest. Says which steps went out, for later mornings.",
    )
    def morning_worklists(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        landing: dg.ResourceParam[Landing],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        as_of = date.fromisoformat(context.partition_key)
        built = _built(settings, warehouse, as_of)
        marts = read(built.parquet, MARTS)
        newest = {name: loads[-1].manifest for name, d in DATASETS.items() if (loads := landing.loads(d, as_of))}
        manifest = deliver(
            settings.worklists,
            landing,
            marts,
            as_of=as_of,
            policy=settings.policy,
            run={"run_id": context.run_id, "source": settings.source, **built.made_by},
            rejected={name: load.quarantined for name, load in newest.items() if load.quarantined},
            payment_link=settings.payment_link,
            warnings=warnings_of(context.instance, context.run_id),
            key=key_in(settings.home),
            knew=built.knew_issued,
            sends_itself=mail.sends(settings),
            letterhead=_letterhead(settings),
            pages=_pages(settings, as_of),
        )
        totals, folder = manifest.totals, settings.worklists / as_of.isoformat()
        currency = manifest.reporting_currency
        log.info(
            "%-18s %d customers, %d items in %d files: %s",
            "worklists",
            totals.customers,
            totals.items,
            len(manifest.files),
            folder,
        )
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(folder)),
                "customers": totals.customers,
                "items": totals.items,
                "held_items": totals.held_items,
                "past_due": f"{written(totals.past_due, currency, digits_on(as_of, settings.policy))} {currency}",
                "asked_for": dg.MetadataValue.json({currency: str(amount) for currency, amount in totals.by_currency.items()}),
                "held_by_reason": dg.MetadataValue.json(dict(totals.held_by_reason)),
                "files": dg.MetadataValue.json({file.name: file.sha256 for file in manifest.files}),
            }
        )

    @dg.asset(
        key=["delivery", "page"],
        deps=[morning_worklists],
        group_name=GROUP,
        partitions_def=mornings,
        backfill_policy=EACH_ITS_OWN_RUN,
        owners=["team:credit-control"],
        kinds={"html"},
        description="The morning as a page to look at, one file that opens offline, and one for each customer somebody will ask about.",
    )
    def morning_page(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
        as_of = date.fromisoformat(context.partition_key)
        try:
            page = write_page(published_as(settings.published, as_of), settings.reports)
        except (
            Exception
        ) as failed:  # a list that is out is worth more than a page: whatever it is, it is said and the morning goes on
            log.warning("the morning's page could not be written: %s", notice.in_words(f"{type(failed).__name__}: {failed}"))
            return dg.MaterializeResult(metadata={"told": notice.in_words(str(failed))})
        log.info("%-18s %d customers: %s", "page", len(list((page.parent / "customers").iterdir())), page)
        return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(page))})

    @dg.asset(
        key=["delivery", "mail"],
        deps=[morning_worklists, morning_page],
        group_name=GROUP,
        partitions_def=mornings,
        backfill_policy=EACH_ITS_OWN_RUN,
        owners=["team:credit-control"],
        kinds={"email"},
        description="The newest morning's list by e-mail, where that is configured, and reminders to customers: to each receiver once, "
        "whatever is run again.",
    )
    def mailed_worklists(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
        as_of = date.fromisoformat(context.partition_key)
        if published_as_of(settings.published) != as_of:
            return dg.MaterializeResult(metadata={"replayed": True})
        _send_reminders(settings, as_of)
        try:
            sent = mail.send_morning(settings, as_of)
            told = sent.failures if sent else []
        except (OSError, Timeout, ValueError) as failed:
            sent, told = None, [f"no list was sent by e-mail: {printable(str(failed)[:200])}"]
        for line in sent.lines if sent else told:
            log.warning("%s", line)
        if told:
            alerts.send(settings, f"Arrears: the list of {as_of} did not reach everybody", "\n".join([*told, "", mail.AGAIN]))
        _tell_chat(settings, as_of)
        if sent is None:
            return dg.MaterializeResult(metadata={"sent": 0, "told": "\n".join(told)})
        log.info("%-18s %d letters sent, %d sent before", "mail", len(sent.sent), len(sent.before))
        return dg.MaterializeResult(metadata={"sent": len(sent.sent), "sent_before": len(sent.before), "told": "\n".join(told)})

    return [published_marts, morning_worklists, morning_page, mailed_worklists]


def postgres_asset(mornings: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The marts in a company's own database, after the list, which people wait for. A database that is away is no reason to stop."""

    @dg.asset(
        key=["delivery", "postgres"],
        deps=[["delivery", "published_marts"]],
        group_name=GROUP,
        partitions_def=mornings,
        backfill_policy=EACH_ITS_OWN_RUN,
        owners=["team:data-engineering"],
        kinds={"postgres"},
        op_tags={"dagster/priority": "-1"},
        output_required=False,
        check_specs=[
            dg.AssetCheckSpec("is_current", asset=["delivery", "postgres"], description="The database took the morning.")
        ],
        description="The published marts in schema `arrears` of a PostgreSQL database, replaced whole.",
    )
    def postgres(settings: dg.ResourceParam[Settings]) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        from dagster_project.outgoing.postgres import PostgresError, bring

        assert settings.postgres_url
        if settings.environment != "production":
            told = f"not told, since ARREARS_ENVIRONMENT is {settings.environment}; by hand: make postgres"
            log.info("%-18s %s", "PostgreSQL", told)
            yield dg.AssetCheckResult(passed=True, description=told)
            return
        try:
            stands = bring(settings.postgres_url.get_secret_value(), settings.published, described.marts())
        except (PostgresError, OSError) as away:
            told = f"PostgreSQL does not have the morning: {away}. The next night tries again; at once: make postgres"
            log.warning("%s", told)
            alerts.send(settings, "Arrears: the marts are not in PostgreSQL", told)
            yield dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=told)
            return
        log.info("%-18s %s", "PostgreSQL", stands)
        yield dg.AssetCheckResult(passed=True, severity=dg.AssetCheckSeverity.WARN, description=str(stands))
        yield dg.MaterializeResult(metadata={"stands": str(stands), "dagster/row_count": stands.rows or 0})

    return postgres


def _send_reminders(settings: Settings, as_of: date) -> None:
    """Before the letters to collectors, which say what went. Whatever does not go is told of, and the morning goes on."""
    try:
        if (sent := mail.send_reminders(settings, as_of)) is None:
            return
        log.info("%-18s %d reminders sent, %d sent before", "mail", len(sent.sent), len(sent.before))
        told = [
            *(f"{who} got no reminder: {why}" for who, why in sent.not_sent.items()),
            *(f"{who} may or may not have got a reminder: {why}" for who, why in sent.unsure.items()),
        ]
    except mail.NoneLeaves as held:
        told = [f"no reminder was sent by itself: {held}"]
    except (OSError, Timeout, ValueError, PolicyError, SealError) as failed:
        told = [f"reminders were not sent: {printable(str(failed)[:200])}"]
    for line in told:
        log.warning("%s", line)
    if told:
        more = [f"and {len(told) - MOST_TOLD:,} more"] if len(told) > MOST_TOLD else []
        after = "Their drafts lie in the morning's folder, for the collectors to send."
        alerts.send(
            settings, f"Arrears: reminders of {as_of} that did not go out", "\n".join([*told[:MOST_TOLD], *more, "", after])
        )


def _tell_chat(settings: Settings, as_of: date) -> None:
    """A room that hears nothing is a warning: everything it would hear stands in the list."""
    try:
        told = mail.tell_chat(settings, as_of)
    except (OSError, Timeout, ValueError) as failed:
        told = [f"no chat room was told: {printable(str(failed)[:200])}"]
    for line in told:
        log.warning("%s", line)


def _pages(settings: Settings, as_of: date) -> Mapping[str, str]:
    """Where the workbooks' rows lead; without it they lead nowhere, and the list goes out."""
    try:
        folder = settings.worklists / as_of.isoformat()
        return pages_from(folder, published_as(settings.published, as_of), settings.reports, as_of)
    except Exception as failed:  # as below, where the pages are written
        log.warning("the workbooks do not lead to customers' pages: %s", notice.in_words(f"{type(failed).__name__}: {failed}"))
        return {}


def _letterhead(settings: Settings) -> Letterheads | None:
    """Who writes statements; a file that cannot be read costs the PDFs, not the list."""
    try:
        return letterheads(settings.letterhead) if settings.letterhead else None
    except LetterheadError as unusable:
        log.warning("statements are there as CSV alone: %s", printable(str(unusable)))
        return None


def _built(settings: Settings, mine: Warehouse, as_of: date) -> Warehouse:
    """This run's folder, or the last that was finished for the morning where only the delivery is run again."""
    built = mine if mine.finished else last_finished(settings.warehouse, as_of)
    if built is None:
        raise dg.Failure(f"no finished build of {as_of} is left to deliver from; run the whole job: make run DATE={as_of}")
    return built


def _run_row(context: dg.AssetExecutionContext, settings: Settings, built: Warehouse) -> dict[str, str]:
    return {
        "run_id": context.run_id,
        "policy": settings.policy,
        "source": settings.source,
        "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": " ".join(f"{name}={version(name)}" for name in VERSIONS),
        **built.made_by,
    }
