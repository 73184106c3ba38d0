"""Who gets which letter of a morning, and what it says.

Belongs here: receivers (rows of `collectors.csv`), subject, body and attachment, made from the files that were delivered. Does not
belong here: who is dunned (dbt), how letters leave (`post.py`), what is remembered of them (`journal.py`).
"""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import Timeout

from dagster_project.amounts import Digits, digits_on, written
from dagster_project.mail.post import post_of
from dagster_project.mail.reminders import what_became
from dagster_project.mail.sending import ADDRESS, Letter, Sent, send_once
from dagster_project.outgoing.export import MANIFEST
from dagster_project.outgoing.workbook.process import EVERYONE
from dagster_project.policy import rows_in_force
from dagster_project.settings import Settings
from dagster_project.words import printable

log = logging.getLogger("arrears.mail")

CREDIT_MANAGER = "credit_manager"
"""The list in `collectors.csv` of those who get everyone's workbook, and the reason where there is no list."""

WORKLIST, HELD_BACK = "worklist", "held_back"

LARGEST = 15 * 2**20
"""Bytes of a file that goes with a letter; where it is larger the letter says where it lies."""

KINDS = {
    ".xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ".html": ("application", "octet-stream"),  # as text a mail program might show it, without its pictures
}


@dataclass(frozen=True)
class Receiver:
    """Somebody who gets letters: as a collector theirs, as a credit manager everyone's."""

    name: str
    address: str
    everyone: bool


def send_morning(settings: Settings, as_of: date, *, again: bool = False) -> Sent | None:
    """Send the delivered list of a morning to whoever has not had it; None where no mail is configured. `again`: to everyone.

    Nothing is raised for a server that is away: what did not go stands in the result.

    Raises:
        FileNotFoundError: there is no list of that morning.
        OSError: what is sent cannot be written down, so that nothing more is sent.
        Timeout: another run is sending.
    """
    folder = settings.worklists / as_of.isoformat()
    if not (folder / MANIFEST).exists():
        raise FileNotFoundError(f"there is no worklist of {as_of} in {settings.worklists}")
    if (post := post_of(settings)) is None:
        return None
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    actions, items = _lines(folder / "worklist.jsonl"), _lines(folder / "worklist_items.jsonl")
    result, receivers = Sent(), _receivers(manifest["policy"], as_of)
    workbooks = {file["collector"]: file["name"] for file in manifest["files"] if file["collector"] is not None}
    named = {receiver.name for receiver in receivers if not receiver.everyone}
    result.missing = sorted(printable(name) for name in {row["collector"] or "" for row in actions} - named)
    letters = []
    for receiver in receivers:
        name = EVERYONE if receiver.everyone else workbooks.get(receiver.name)
        if name is None and not receiver.everyone:
            continue  # on no list this morning
        mine = actions if receiver.everyone else [row for row in actions if row["collector"] == receiver.name]
        held = [row for row in items if row["held_reason"] and (receiver.everyone or row["collector"] == receiver.name)]
        by_itself = what_became(settings, as_of, mine)
        subject, body = _said(as_of, mine, held, manifest, receiver, folder, result.missing, by_itself, bool(settings.mail_imap))
        enclosed = [folder / str(name)]
        if receiver.everyone and (page := settings.reports / as_of.isoformat() / "index.html").exists():
            enclosed.append(page)
        letters.append(_letter(settings, as_of, WORKLIST, receiver, subject, body, enclosed))
    send_once(post, settings.mail, as_of, WORKLIST, letters, result, again=again)
    return result


def held_back(settings: Settings, as_of: date, reasons: Sequence[str]) -> None:
    """Tell the credit manager why there is no list, once a morning. Nothing is raised: this is said while something else fails."""
    try:
        if (post := post_of(settings)) is None:
            return
        body = "\n\n".join(
            [
                f"There is no worklist for {as_of}. It was held back because:",
                "\n".join(f"- {printable(reason)}" for reason in reasons),
                "The list before it stays as it was. Whoever operates the night was told how to go on.",
            ]
        )
        subject = f"No worklist for {as_of}"
        to = [receiver for receiver in _receivers(settings.policy, as_of) if receiver.everyone]
        letters = [_letter(settings, as_of, HELD_BACK, receiver, subject, body) for receiver in to]
        result = Sent()
        send_once(post, settings.mail, as_of, HELD_BACK, letters, result)
        for line in result.lines:
            log.error("%s", line)
    except (OSError, Timeout, ValueError) as failed:
        log.error("the credit manager could not be told: %s", printable(str(failed)[:200]))


def _receivers(pack: str, as_of: date) -> list[Receiver]:
    found = [
        Receiver(row["collector"], row["email"].strip(), row["list"] == CREDIT_MANAGER)
        for row in rows_in_force("collectors", pack, as_of)
        if row.get("email", "").strip()
    ]
    for receiver in found:
        if not ADDRESS.fullmatch(receiver.address):
            raise ValueError(
                f"collectors.csv: {printable(receiver.address)!r} of {printable(receiver.name)} is no e-mail address"
            )
    return sorted(found, key=lambda receiver: (receiver.everyone, receiver.name))


def _letter(
    settings: Settings, as_of: date, kind: str, receiver: Receiver, subject: str, body: str, enclosed: Sequence[Path] = ()
) -> Letter:
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = printable(subject), settings.mail_from, receiver.address
    letter["Date"] = format_datetime(localtime())
    sender = settings.mail_from.rpartition("@")[2]
    named = sha256(f"{as_of}\x1f{kind}\x1f{receiver.address.lower()}".encode()).hexdigest()[:24]
    letter["Message-ID"] = f"<{as_of}.{named}@{sender}>"
    letter["Auto-Submitted"] = "auto-generated"  # no holiday answers, please
    letter["X-Arrears-Morning"], letter["X-Arrears-Kind"] = as_of.isoformat(), kind
    large = [file for file in enclosed if file.stat().st_size > LARGEST]
    letter.set_content("\n\n".join([body, *(f"Too large for a letter: {file}" for file in large)]))
    for file in enclosed:
        if file not in large:
            kind_of, what = KINDS[file.suffix]
            letter.add_attachment(file.read_bytes(), maintype=kind_of, subtype=what, filename=f"{file.stem}-{as_of}{file.suffix}")
    return Letter(receiver.address, receiver.address.lower(), (receiver.address,), letter)


def _said(
    as_of: date,
    mine: Sequence[Mapping[str, Any]],
    held: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    receiver: Receiver,
    folder: Path,
    missing: Sequence[str],
    by_itself: str,
    by_reply: bool,
) -> tuple[str, str]:
    """Subject and body: the morning in six lines, and what to do with it."""
    items = sum(row["item_count"] for row in mine)
    digits = digits_on(as_of, str(manifest["policy"]))
    asked = _amounts(((row["reporting_currency"], row["past_due_amount"]) for row in mine), digits)
    count = f"{len(mine):,} customer{'' if len(mine) == 1 else 's'}"
    subject = f"Worklist {as_of}: {count}, {asked} past due" if mine else f"Worklist {as_of}: nobody to contact"
    lines = [f"To contact    {count}, {items:,} items, {asked} past due" if mine else "To contact    nobody this morning"]
    if mine:
        first = min(mine, key=lambda row: (row["rank"], row["customer_id"]))
        name = " ".join(printable(first["customer_name"] or first["customer_id"]).split())
        owed = _amounts([(first["reporting_currency"], first["past_due_amount"])], digits)
        lines.append(f"First         {name}: {owed} past due, {first['step_label']}")
        steps = Counter(row["step_label"] for row in sorted(mine, key=lambda row: row["severity"]))
        lines.append("Steps         " + ", ".join(f"{number:,} {label}" for label, number in steps.items()))
    if by_itself:
        lines.append(f"Reminders     {by_itself}")
    if held:
        reasons = Counter(row["held_reason"].replace("_", " ") for row in held).most_common(4)
        amount = _amounts(((row["reporting_currency"], row["open_amount_reporting"]) for row in held), digits)
        told = ", ".join(f"{number:,} {reason}" for reason, number in reasons)
        lines.append(f"Held back     {len(held):,} items, {amount}: {told}")
    if receiver.everyone:
        desks = Counter(printable(row["collector"] or "(no collector)") for row in mine).most_common(8)
        lines.append("Collectors    " + (", ".join(f"{name} {number:,}" for name, number in desks) or "none"))
        if missing:
            lines.append(f"No letter     {', '.join(missing)}: without an address in collectors.csv")
    warnings = [printable(warning) for warning in manifest["warnings"]]
    more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
    lines.append(f"Mind          {warnings[0]}{more}" if warnings else "Mind          nothing: there is no warning this morning")
    back = "answer this letter with it attached" if by_reply else "put it into the inbox folder"
    what = (
        f"Write what happened into the yellow cells of the workbook and {back}: it counts tomorrow morning."
        if not receiver.everyone
        else f"All of it, as workbooks and files for machines: {folder}"
    )
    return subject, "\n".join([*lines, "", what])


def _amounts(amounts: Iterable[tuple[str, Any]], digits: Digits) -> str:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for currency, amount in amounts:
        sums[currency] += Decimal(str(amount or 0))
    return " / ".join(f"{written(amount, currency, digits)} {currency}" for currency, amount in sorted(sums.items())) or "nothing"


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line, parse_float=Decimal) for line in file]
