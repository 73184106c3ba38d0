"""What collectors wrote into their workbooks: the inbox, read before the morning is built; its key is its dbt source."""

import logging
from datetime import date

import dagster as dg

from dagster_project import alerts
from dagster_project.contract import WORKLIST_OUTCOMES
from dagster_project.defs.automation.mornings import EACH_ITS_OWN_RUN
from dagster_project.defs.ingestion.datasets import GROUP, key_of
from dagster_project.incoming.intake import TakenIn, reads, take_in
from dagster_project.landing import Landing, LandingError
from dagster_project.mail.bounces import land_bounces
from dagster_project.mail.replies import MailboxError, send_errors_back, take_replies
from dagster_project.seals import SealError, key_in
from dagster_project.settings import Settings
from dagster_project.words import printable

log = logging.getLogger("arrears.ingestion")


def filled_worklists(mornings: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The one asset of the inbox."""

    @dg.asset(
        key=key_of(WORKLIST_OUTCOMES),
        group_name=GROUP,
        partitions_def=mornings,
        backfill_policy=EACH_ITS_OWN_RUN,
        owners=["team:credit-control"],
        kinds={"excel", "parquet"},
        description=f"{WORKLIST_OUTCOMES.description} Key: {', '.join(WORKLIST_OUTCOMES.key)}. May be absent.",
    )
    def land_inbox(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], landing: dg.ResourceParam[Landing]
    ) -> dg.MaterializeResult[None]:
        as_of = date.fromisoformat(context.partition_key)
        if not reads(landing, as_of, settings.today()):
            return dg.MaterializeResult(metadata={"replayed": True})
        _take_replies(settings, landing, as_of)
        try:
            taken = take_in(settings.inbox, settings.worklists, landing, as_of, key_in(settings.home), settings.policy)
        except (LandingError, SealError) as refused:
            raise dg.Failure(str(refused), allow_retries=False) from refused
        _tell(taken)
        sent_back = send_errors_back(settings, as_of)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": taken.outcomes,
                "files": taken.files,
                "outcomes": taken.outcomes,
                "landed": taken.manifest.landed if taken.manifest else 0,
                "refused_files": dg.MetadataValue.json(taken.refused),
                "rejected_cells": dg.MetadataValue.json(taken.rejected),
                "sent_back": len(sent_back),
            }
        )

    return land_inbox


def _take_replies(settings: Settings, landing: Landing, as_of: date) -> None:
    """Answers that came by e-mail. A mailbox that is away is told of, for what was promised in it is not known; the morning goes on."""
    try:
        taken = take_replies(settings, lambda back: land_bounces(back, landing, as_of, settings.policy))
    except (MailboxError, OSError, LandingError, SealError) as failed:
        told = printable(str(failed)[:200])
        log.warning("answers by e-mail were not read: %s", told)
        alerts.send(
            settings,
            "Arrears: answers by e-mail were not read",
            f"{told}\nWhat collectors answered by e-mail does not count this morning.",
        )
        return
    if taken is None:
        return
    log.info("%-18s %d workbooks by e-mail, %d letters of others left unread", "mailbox", len(taken.files), taken.strangers)
    for bounce in taken.bounces:
        log.warning(
            "the reminder of %s to customer %s came back: %s",
            bounce.worklist_date,
            *map(printable, (bounce.customer_id, bounce.said)),
        )
    for sender, reason in taken.refused.items():
        log.warning("nothing was read of %s: %s", sender, reason)


def _tell(taken: TakenIn) -> None:
    if taken.files:
        log.info("%-18s %8d answers in %d files", "inbox", taken.outcomes, taken.files)
    for name, reason in taken.refused.items():
        log.warning("%s was not read: %s", name, reason)
    for name, cells in taken.rejected.items():
        log.warning("%s: %d cells came back, see the list of them in the inbox", name, cells)
