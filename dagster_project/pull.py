"""One dataset, pulled from its source into landing.

Belongs here: asking for what is new, what policy lets pass of it, and what a person is told while it comes. Does not belong here: in
which order and when (`defs/ingestion/`, `rehearsal.py`), how records are fetched (`sources/`), judged and kept (`landing/`).
"""

from __future__ import annotations

import logging
from datetime import date
from decimal import Decimal

from dagster_project.contract import Dataset
from dagster_project.landing import Landing, Manifest
from dagster_project.policy import limits_of
from dagster_project.sources.catalogue import Sources
from dagster_project.sources.progress import counted

log = logging.getLogger("arrears.ingestion")

REASONS_SHOWN = 3
"""Of why records were refused, in the night's own log; quarantine has every one."""


def pull(
    dataset: Dataset,
    sources: Sources,
    landing: Landing,
    as_of: date,
    pack: str,
    *,
    full: bool = False,
    share: Decimal | None = None,
) -> Manifest:
    """Ask the source of a dataset for what changed, for everything where `full`, and land it for a morning. `share`: of its records so
    many may be refused, whatever policy says.

    Raises:
        SourceError, LandingError: nothing of it landed.
        PolicyError: policy does not say what a load may look like.
    """
    source = sources.of(dataset)
    swept = sources.sweep_due(dataset, landing.whole_on(dataset, as_of), as_of)
    cursor = landing.cursor(dataset, as_of)
    since = None if full or swept else cursor
    if swept and cursor and not full:
        log.info("%-18s asked for in full: the source does not tell what was deleted", dataset.name)
    delivery = source.fetch(dataset, since) if source else None
    delivery = delivery and counted(delivery, dataset.name)
    allowed = limits_of(dataset.name, pack, as_of).max_quarantined_share if share is None else share
    manifest = landing.land(dataset, delivery, as_of, since=since, quarantine_share=allowed, anew=full)
    _tell(manifest)
    return manifest


def _tell(manifest: Manifest) -> None:
    if manifest.absent:
        log.info("%-18s absent", manifest.dataset)
        return
    refused = f"  {manifest.quarantined:,} quarantined" if manifest.quarantined else ""
    log.info(
        "%-18s %8s received %8s landed%s  %.1f s", manifest.dataset, f"{manifest.received:,}", f"{manifest.landed:,}", refused,
        manifest.seconds,
    )  # fmt: skip
    for line in manifest.found:
        log.info("  %s", line)
    if manifest.left_out:
        log.info("  left out: %s", ", ".join(f"{count:,} {what}" for what, count in manifest.left_out.items()))
    for reason, count in list(manifest.reasons.items())[:REASONS_SHOWN]:
        log.warning(
            "  %s: %s (%s×, such as %s)", manifest.dataset, reason.rstrip(":"), f"{count:,}", manifest.examples.get(reason, "")
        )
