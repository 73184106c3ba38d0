"""The morning in short to a chat room, and bureau alerts that are new: webhooks that take {"text": …}, as those of Slack and Teams do.

Belongs here: what is said there, once. Does not belong here: which alerts there are (`credit_score_changes`), failures of the night
(`notice.py`), calling (`alerts.py`).

    mail/<as_of>.jsonl          that the morning was told
    mail/bureau-alerts.jsonl    which alerts were told, on whatever morning
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Final

from filelock import FileLock
from pydantic import SecretStr

from dagster_project import alerts
from dagster_project.amounts import digits_on, written
from dagster_project.mail.journal import LONGEST_WAIT, Journal, State, open_journal
from dagster_project.outgoing.export import MANIFEST
from dagster_project.settings import Settings
from dagster_project.warehouse import published_as, published_marts
from dagster_project.words import printable

MORNING, BUREAU = "chat", "bureau_alert"

MOST: Final = 20
"""Alerts that a message names; the list has them all."""


def tell_chat(settings: Settings, as_of: date) -> list[str]:
    """Tell what has not been told of a morning; returns what could not be, in words. Nothing where no webhook is set, or out of production.

    Raises:
        OSError, Timeout: what is told cannot be written down, so that nothing is.
    """
    if settings.environment != "production":
        return []
    told = []
    if settings.morning_webhook:
        with open_journal(settings.mail, as_of) as journal:
            text = partial(morning_in_short, settings, as_of)
            told += _once(journal, settings.morning_webhook, MORNING, ["room"], text, "the morning")
    if settings.bureau_webhook:
        settings.mail.mkdir(parents=True, exist_ok=True)
        with FileLock(settings.mail / ".lock", timeout=LONGEST_WAIT):
            journal = Journal(settings.mail / "bureau-alerts.jsonl")
            found = {key: line for key, line in _alerts(settings, as_of) if _untold(journal, BUREAU, key)}
            text = partial(_new, list(found.values()))
            told += _once(journal, settings.bureau_webhook, BUREAU, list(found), text, "bureau alerts")
    return told


def morning_in_short(settings: Settings, as_of: date) -> str:
    """Whom to contact, who comes first, what is held, whether it ties: what stands in the list's own files."""
    folder = settings.worklists / as_of.isoformat()
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    totals, currency, digits = manifest["totals"], manifest["reporting_currency"], digits_on(as_of, manifest["policy"])
    with (folder / "worklist.jsonl").open(encoding="utf-8") as file:
        first = json.loads(next(file, "null"), parse_float=Decimal)
    lines = [
        f"Worklist {as_of}: {totals['customers']:,} customers to contact, {totals['items']:,} items, "
        f"{written(Decimal(totals['past_due']), currency, digits)} {currency} past due"
    ]
    if first:
        name = _line(first["customer_name"] or first["customer_id"])
        lines.append(
            f"First: {name}, {written(Decimal(first['past_due_amount']), currency, digits)} {currency}, {first['step_label']}"
        )
    if reasons := Counter(totals["held_by_reason"]).most_common(4):
        held = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in reasons)
        lines.append(
            f"Held: {totals['held_items']:,} items, {written(Decimal(totals['held']), currency, digits)} {currency}: {held}"
        )
    warnings = [_line(warning) for warning in manifest["warnings"]]
    lines += [f"Mind: {warnings[0]}" + (f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else "")] if warnings else []
    return "\n".join(lines)


def _once(journal: Journal, url: SecretStr, kind: str, keys: Sequence[str], said: Callable[[], str], what: str) -> list[str]:
    """Post a text that stands for some keys, none of which has been told; returns why it was not, in a line."""
    keys = [key for key in keys if _untold(journal, kind, key)]
    if not keys:
        return []
    text = said()
    for key in keys:
        journal.write(kind, key, State.BEGUN)
    try:
        alerts.post(url, text)
    except Exception as failed:  # whatever is wrong with a receiver or its address
        state, why = State.REFUSED if alerts.certain(failed) else State.UNSURE, alerts.why(failed)
        for key in keys:
            journal.write(kind, key, state, why)
        doubt = "" if state is State.REFUSED else ", and nobody knows whether it was taken"
        return [f"{what} could not be told to the webhook: {why}{doubt}"]
    for key in keys:
        journal.write(kind, key, State.SENT)
    return []


def _untold(journal: Journal, kind: str, key: str) -> bool:
    """Whether something certainly was not told yet; what was begun and has no end may have been."""
    last = journal.last(kind, key)
    return last is None or last.state is State.REFUSED


def _alerts(settings: Settings, as_of: date) -> list[tuple[str, str]]:
    """Each alert by what it is known again, with a line for people, the worst first."""
    with published_marts(published_as(settings.published, as_of)) as con:
        rows = con.execute(
            "select customer_id, customer_name, bureau, score_code, coalesce(cast(fell_on as varchar), status_to), detail "
            "from credit_score_changes where alerting or has_status_changed order by points nulls first, customer_id, bureau, score_code"
        ).fetchall()
    return [
        (
            "\x1f".join(map(str, (customer, bureau, code, since))),
            f"{_line(name or customer)} ({_line(customer)}): {_line(detail)}",
        )
        for customer, name, bureau, code, since, detail in rows
    ]


def _new(found: Sequence[str]) -> str:
    more = [f"and {len(found) - MOST:,} more, in the workbook's sheet of bureau changes"] if len(found) > MOST else []
    return "\n".join([f"{len(found):,} new bureau alert{'' if len(found) == 1 else 's'}", *found[:MOST], *more])


def _line(text: str) -> str:
    return " ".join(printable(text).split())[:300]
