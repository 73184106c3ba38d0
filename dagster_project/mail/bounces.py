"""Reminders that came back: which one a delivery report is about, so that the address is mended before anybody writes there again.

Belongs here: reading a report (RFC 3464), and holding it against what was sent. Does not
belong here: the mailbox (`replies.py`), what comes
of an address nobody gets letters at (dbt, `customer_data_issues`).

A report can be forged by whoever knows an address, so it counts only for an address that we wrote to, and where it quotes the letter, for a
letter that is ours. It lands as an answer to the row of the list that the reminder stood on: nobody was reached, it bounced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from email import message_from_bytes, message_from_string, policy
from email.message import Message
from pathlib import Path
from typing import Final

import pyarrow as pa

from dagster_project.contract import WORKLIST_OUTCOMES
from dagster_project.landing import Landing
from dagster_project.mail.reminders import message_id, reminded
from dagster_project.mail.sending import ADDRESS, mark_of
from dagster_project.sources import Delivery, page_schema

BOUNCED: Final = "bounced"
"""The outcome, which `customer_data_rules` counts as a contact that is wrong."""

MOST_REPORTED: Final = 50
"""Addresses of one report that are looked at."""


@dataclass(frozen=True)
class Returned:
    """An address that a report says a letter failed at for good. `quotes`: the letter's own name, where the report has it."""

    address: str
    said: str
    quotes: str


@dataclass(frozen=True)
class Bounce:
    """A reminder that came back: of which morning's list, to whom, and what the server said, without the address."""

    worklist_date: str
    customer_id: str
    said: str

    @property
    def id(self) -> str:
        return hashlib.sha256(f"{BOUNCED}\x1f{self.worklist_date}\x1f{self.customer_id}".encode()).hexdigest()[:24]


def returned_in(letter: bytes) -> list[Returned]:
    """The addresses a delivery report says were not reached and never will be; none where the letter is no report."""
    read = message_from_bytes(letter, policy=policy.compat32)
    if read.get_content_type() != "multipart/report":
        return []
    quotes, failed = "", []
    for part in read.walk():
        kind = part.get_content_type()
        if kind in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers") and not quotes:
            quotes = _quoted(part)
        elif kind == "message/delivery-status":
            failed += [fields for fields in _of_receivers(part) if _text(fields, "Action").lower() == "failed"]
    found = []
    for fields in failed[:MOST_REPORTED]:
        told = f"{_text(fields, 'Original-Recipient')} {_text(fields, 'Final-Recipient')}"
        status, said = _text(fields, "Status"), _text(fields, "Diagnostic-Code")
        if not status.startswith("4"):
            found += [Returned(address.lower(), f"{status} {said}".strip()[:200], quotes) for address in _addresses(told)]
    return list(dict.fromkeys(found))


def bounces(returned: Iterable[Returned], folder: Path, key: bytes, sender: str) -> list[Bounce]:
    """The reminders that came back, of those the journals in `folder` know. `key`: the home's, `sender`: whom reminders come from."""
    left = list(reminded(folder))
    by_mark: dict[str, list[tuple[str, str]]] = {}
    by_name: dict[str, tuple[str, str]] = {}
    for as_of, entry in left:
        by_name[message_id(key, as_of, entry.receiver, sender)] = (as_of, entry.receiver)
        for mark in entry.marks:
            by_mark.setdefault(mark, []).append((as_of, entry.receiver))
    return list(dict.fromkeys(bounce for each in returned for bounce in _sent(each, by_mark, by_name, key)))


def land_bounces(bounces: Iterable[Bounce], landing: Landing, as_of: date, pack: str) -> None:
    """Land reminders that came back, each as the answer to its row that nobody was reached.

    Raises:
        LandingError: what landed before is damaged.
    """
    rows = [
        {
            "outcome_id": bounce.id,
            "worklist_date": bounce.worklist_date,
            "policy": pack,
            "customer_id": bounce.customer_id,
            "contacted": "no",
            "outcome": BOUNCED,
            "note": bounce.said,
            "file_name": "delivery report",
        }
        for bounce in bounces
    ]
    page = pa.Table.from_pylist(rows, page_schema(WORKLIST_OUTCOMES))
    landing.land(
        WORKLIST_OUTCOMES, Delivery(pages=iter([page]), full=False, origin="mailbox"), as_of, quarantine_share=Decimal(1)
    )


def _sent(
    returned: Returned, by_mark: Mapping[str, list[tuple[str, str]]], by_name: Mapping[str, tuple[str, str]], key: bytes
) -> Iterator[Bounce]:
    sent = by_mark.get(mark_of(returned.address, key), [])
    said = ADDRESS.sub("the address", returned.said)
    if returned.quotes:
        if (letter := by_name.get(returned.quotes)) in sent:
            yield Bounce(*letter, said)
        return
    newest = dict(sorted((customer, as_of) for as_of, customer in sent))
    for customer, as_of in newest.items():
        yield Bounce(as_of, customer, said)


def _of_receivers(status: Message) -> list[Message]:
    """The groups of fields of a report that speak of a receiver: all but the first, which speaks of the letter."""
    groups = status.get_payload()
    if isinstance(groups, list):
        return [group for group in groups if isinstance(group, Message) and group.get("Final-Recipient")]
    return [message_from_string(text) for text in re.split(r"\r?\n\r?\n", str(groups)) if "final-recipient" in text.lower()]


def _quoted(part: Message) -> str:
    """The name of the letter that a report quotes, whole or by its headers."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return _text(payload[0], "Message-ID") if payload and isinstance(payload[0], Message) else ""
    return _text(message_from_string(str(payload)[:20_000]), "Message-ID")


def _text(fields: Message, name: str) -> str:
    return " ".join(str(fields.get(name, "")).split())


def _addresses(told: str) -> list[str]:
    return list(dict.fromkeys(address for address in re.split(r"[\s;<>,\"]+", told) if ADDRESS.fullmatch(address)))
