"""The e-mails that a morning sends to customers by itself: drafts whose step policy calls automatic, once each, and none where in doubt.

Belongs here: whether any may leave, making a letter of a draft, telling of what did not leave. Does not belong here: which customer's may
(`dunning_worklist.automatic`), what a draft says (`outgoing/letters/`), sending once (`sending.py`).

A step counts as issued with the list it stands on, whoever sends it: what does not leave here is named, and its draft waits for the
collector like every other.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, localtime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from dagster_project.mail.journal import Entry, Journal
from dagster_project.mail.post import Folder, post_of
from dagster_project.mail.sending import ADDRESS, Letter, Sent, mark_of, send_once
from dagster_project.outgoing.export import MANIFEST
from dagster_project.policy import parameter, rows_in_force
from dagster_project.seals import key_in
from dagster_project.settings import Settings
from dagster_project.words import printable

REMINDER: Final = "reminder"

MOST_A_DAY: Final = ("dunning_policy", "automatic_letters_a_day")
ASKED_FOR: Final = frozenset((MOST_A_DAY,))
"""The rows policy must have for what leaves by itself."""


class NoneLeaves(Exception):
    """No reminder may leave by itself this morning. The message says why."""


def sends(settings: Settings) -> bool:
    """Whether the environment has nights write to customers: off unless it is said, and never out of production."""
    return settings.send_reminders and settings.environment == "production"


def send_reminders(settings: Settings, as_of: date) -> Sent | None:
    """Send the reminders of a morning's list that go out by themselves; None where the environment has none go.

    Raises:
        NoneLeaves: the morning is not today's, something was found wrong with it, or there is no list.
        OSError, Timeout, PolicyError: as in `send_once`, and where policy has no cap.
    """
    if not sends(settings) or (post := post_of(settings)) is None:
        return None
    folder = settings.worklists / as_of.isoformat()
    if not (folder / MANIFEST).exists():
        raise NoneLeaves(f"there is no worklist of {as_of}")
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    if as_of != settings.today():
        raise NoneLeaves(f"the list is of {as_of} and today is {settings.today()}: what was paid since is not known to it")
    if manifest["warnings"]:
        raise NoneLeaves(f"something is wrong with the morning: {printable(manifest['warnings'][0])}")
    result = Sent()
    letters = list(_letters(settings, as_of, folder, manifest, result))
    send_once(post, settings.mail, as_of, REMINDER, letters, result, most=_cap(str(manifest["policy"]), as_of))
    return result


def rehearse(settings: Settings, as_of: date) -> tuple[Path, Sent]:
    """Write what would be sent into a folder, whatever the environment says; nothing is sent and nothing remembered.

    Raises:
        NoneLeaves: there is no list of that morning.
    """
    folder, target = settings.worklists / as_of.isoformat(), settings.home / "reminders"
    if not (folder / MANIFEST).exists():
        raise NoneLeaves(f"there is no worklist of {as_of}")
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    post, result = Folder(target), Sent()
    most, beyond = _cap(str(manifest["policy"]), as_of)
    for written, letter in enumerate(_letters(settings, as_of, folder, manifest, result)):
        if written < most:
            post.send(letter.message, letter.to, lambda: None)
            result.sent.append(letter.shown)
        else:
            result.not_sent[letter.shown] = beyond
    return target / as_of.isoformat(), result


def what_became(settings: Settings, as_of: date, rows: Sequence[Mapping[str, Any]]) -> str:
    """The reminders among some rows of the call list in a line, for whoever works that list; empty where none goes by itself."""
    mine = [row for row in rows if row.get("automatic")]
    if not mine or not sends(settings):
        return ""
    states = {
        entry.receiver: entry.state for entry in Journal(settings.mail / f"{as_of}.jsonl").entries if entry.kind == REMINDER
    }
    by_state: dict[str, list[str]] = {"sent": [], "unsure": [], "": []}
    for row in mine:
        state = str(states.get(row["customer_id"], ""))
        by_state[state if state in by_state else ""].append(
            " ".join(printable(row["customer_name"] or row["customer_id"]).split())
        )
    told = [f"{len(by_state['sent']):,} sent by the night"]
    told += [f"yours to send: {_some(by_state[''])}"] if by_state[""] else []
    told += [f"nobody knows whether sent: {_some(by_state['unsure'])}"] if by_state["unsure"] else []
    return "; ".join(told)


def message_id(key: bytes, as_of: str, customer_id: str, sender: str) -> str:
    """What a reminder is called, which nobody else can make up: by it one that comes back is known."""
    named = hmac.new(key, f"{REMINDER}\x1f{as_of}\x1f{customer_id}".encode(), sha256).hexdigest()[:32]
    return f"<{named}@{sender.rpartition('@')[2]}>"


def reminded(folder: Path) -> Iterator[tuple[str, Entry]]:
    """Every reminder that left or may have, with its morning."""
    for path in sorted(folder.glob("????-??-??.jsonl")):
        for entry in Journal(path).entries:
            if entry.kind == REMINDER:
                yield path.stem, entry


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def _cap(pack: str, as_of: date) -> tuple[int, str]:
    table, name = MOST_A_DAY
    most = parameter(table, name, pack, as_of)
    return most, f"{most:,} letters a day may go out by themselves ({table}, {name})"


def _letters(settings: Settings, as_of: date, folder: Path, manifest: Mapping[str, Any], result: Sent) -> Iterator[Letter]:
    """A letter for each action that may go by itself, in the order of the list; who gets none is put into the result."""
    key, pack = key_in(settings.home), str(manifest["policy"])
    desks = {row["collector"]: row["email"].strip() for row in rows_in_force("collectors", pack, as_of)}
    with (folder / "worklist.jsonl").open(encoding="utf-8") as file:
        rows = [row for line in file if (row := json.loads(line, parse_float=Decimal)).get("automatic")]
    for row in rows:
        shown = " ".join(printable(f"{row['customer_id']} {row['customer_name'] or ''}").split())
        if not row["draft_file"]:
            result.not_sent[shown] = "the collector's list is longer than drafts are written for"
            continue
        draft = message_from_bytes((folder / row["draft_file"]).read_bytes(), policy=policy.SMTP)
        assert isinstance(draft, EmailMessage)
        to = tuple(address.addr_spec for address in (draft["To"].addresses if draft["To"] else ()))
        if not to or not all(ADDRESS.fullmatch(address) for address in to):
            result.not_sent[shown] = "the contact's address is none that can be written to"
            continue
        yield Letter(
            shown,
            row["customer_id"],
            to,
            _letter(settings, as_of, key, row, draft, desks.get(row["collector"], "")),
            tuple(mark_of(address, key) for address in to),
        )


def _letter(settings: Settings, as_of: date, key: bytes, row: Mapping[str, Any], letter: EmailMessage, desk: str) -> EmailMessage:
    """The draft as a letter that leaves: with a sender, a date, where an answer goes, and how to get no more of them."""
    for name in ("X-Unsent", "Message-ID"):
        del letter[name]
    sender = settings.mail_from
    answers = desk if ADDRESS.fullmatch(desk) else sender
    letter["From"] = formataddr((" ".join(printable(row["company_name"] or "").split())[:60], sender))
    if answers != sender:
        letter["Reply-To"] = answers
    letter["Date"] = format_datetime(localtime())
    letter["Message-ID"] = message_id(key, as_of.isoformat(), row["customer_id"], sender)
    letter["Auto-Submitted"] = "auto-generated"
    letter["List-Unsubscribe"] = (
        f"<mailto:{answers}?subject={quote('No more reminders by e-mail, customer ' + row['customer_id'])}>"
    )
    letter["X-Arrears-Morning"], letter["X-Arrears-Kind"] = as_of.isoformat(), REMINDER
    letter["X-Arrears-Customer"] = printable(row["customer_id"])
    return letter
