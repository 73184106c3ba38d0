"""Letters given to a server once each: what is known of a letter decides whether it is offered, and what came of it is written down.

Belongs here: the law by which a letter leaves at most once and nobody is left out unnamed. Does not belong here: what is remembered
(`journal.py`), the server (`post.py`), who gets what (`morning.py`, `reminders.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from email.message import EmailMessage
from pathlib import Path

from dagster_project.mail.journal import Journal, State, open_journal
from dagster_project.mail.post import NotTaken, Post, Unsure

LONGEST = 600
"""Seconds that letters of one kind may take on a morning; whoever is left then is told of, and may be written to by hand."""

PAUSES = (2, 10)
"""Seconds before a letter that was not taken, and may be later, is offered again."""

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")


@dataclass(frozen=True)
class Letter:
    """A letter for `to`. `key` names the receiver in the journal, `shown` where people read of it. `marks`: what the addresses are
    remembered as where they are nobody's to keep (`mark_of`); what a server says of it is then kept without them."""

    shown: str
    key: str
    to: tuple[str, ...]
    message: EmailMessage
    marks: tuple[str, ...] = ()


@dataclass
class Sent:
    """What became of a morning's letters, receivers by what they are shown as. `missing`: collectors on the list without an address."""

    sent: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    not_sent: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Who did not get the list or may not have, and why, a line each."""
        return [
            *(f"{address} did not get the list: {why}" for address, why in self.not_sent.items()),
            *(f"{address} may or may not have got the list: {why}" for address, why in self.unsure.items()),
        ]

    @property
    def lines(self) -> list[str]:
        """The same, and who has no address."""
        return [*self.failures, *(f"{name} has no e-mail address in collectors.csv and got no list" for name in self.missing)]


def mark_of(address: str, key: bytes) -> str:
    """By what an address is known again without being kept: `key` is the home's."""
    return hmac.new(key, address.lower().encode(), hashlib.sha256).hexdigest()[:24]


def send_once(
    post: Post,
    folder: Path,
    as_of: date,
    kind: str,
    letters: Sequence[Letter],
    result: Sent,
    *,
    again: bool = False,
    most: tuple[int, str] | None = None,
) -> None:
    """Offer each letter that has not gone, as far as the journal in `folder` knows. `again`: those that have as well. `most`: how many may
    go on a morning, however often this is called, and what is said of the others.

    Raises:
        OSError: what is sent cannot be written down, so that nothing more is sent.
        Timeout: another run is sending.
    """
    began, nobodys = time.monotonic(), ""
    with open_journal(folder, as_of) as journal:
        try:
            for entry in [entry for entry in journal.entries if entry.kind == kind and entry.state is State.BEGUN]:
                journal.write(kind, entry.receiver, State.UNSURE, "the night was killed while it was sent", entry.marks)
            left = None if most is None else most[0] - journal.gone(kind)
            for letter in letters:
                last = None if again else journal.last(kind, letter.key)
                if last and last.state is State.SENT:
                    result.before.append(letter.shown)
                elif last and last.state is State.UNSURE:
                    result.unsure[letter.shown] = last.why
                elif nobodys:
                    result.not_sent[letter.shown] = nobodys
                elif most is not None and left is not None and left <= 0:
                    result.not_sent[letter.shown] = most[1]
                elif time.monotonic() - began > LONGEST:
                    result.not_sent[letter.shown] = f"the letters before it took {LONGEST // 60} minutes"
                else:
                    nobodys = _offer(post, journal, kind, letter, result)
                    left = None if left is None else left - (letter.shown not in result.not_sent)
        finally:
            post.close()


def _offer(post: Post, journal: Journal, kind: str, letter: Letter, result: Sent) -> str:
    """Offer a letter until it is taken, refused for good, or nobody can tell. Returns why no letter at all can be, where that is so."""
    key, shown, marks = letter.key, letter.shown, letter.marks

    def told(said: Exception) -> str:
        return ADDRESS.sub("the address", str(said)) if marks else str(said)

    for pause in (*PAUSES, None):
        try:
            post.send(letter.message, letter.to, lambda: journal.write(kind, key, State.BEGUN, marks=marks))
        except Unsure as lost:
            result.unsure[shown] = journal.write(kind, key, State.UNSURE, told(lost), marks).why
            return ""
        except NotTaken as refused:
            journal.write(kind, key, State.REFUSED, told(refused), marks)
            if refused.for_good or pause is None:
                result.not_sent[shown] = told(refused)
                return told(refused) if refused.nobodys else ""
            time.sleep(pause)
        else:
            journal.write(kind, key, State.SENT, marks=marks)
            result.sent.append(shown)
            return ""
    return ""
