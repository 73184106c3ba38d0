"""Filled workbooks that come back as answers to the list's e-mail: put into the inbox, and what could not be read sent back.

Belongs here: the mailbox, whose answers are taken, which file of a letter is one. Does not belong here: what a workbook says
(`inbox.py`), when it counts (`intake.py`), sending (`mail/`).

    mail/replies.jsonl     which file of the inbox came from whom, so that what is wrong with it goes back there

Taken are answers from addresses that a list was sent to, of .xlsx files, within bounds; a sender's name can be forged, which is for the
mail server to refuse, and a row counts only with the seal it was issued with. A letter is marked read once its files lie in the inbox.
"""

from __future__ import annotations

import contextlib
import imaplib
import json
import logging
import os
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, localtime
from pathlib import Path

from filelock import Timeout

from dagster_project.bounded import Bounded, OutOfBounds
from dagster_project.home import opened_inbox
from dagster_project.incoming.intake import DONE, ERRORS
from dagster_project.mail.bounces import Bounce, Returned, bounces, returned_in
from dagster_project.mail.journal import State, open_journal, receivers
from dagster_project.mail.post import NotTaken, Unsure, post_of
from dagster_project.outgoing.names import distinct_slugs
from dagster_project.seals import key_in
from dagster_project.settings import Settings
from dagster_project.words import printable

log = logging.getLogger("arrears.mail")

TIMEOUT = 30  # seconds for each answer of the server

MOST = 500
"""Letters looked at in a night; the others wait for the next one."""

LARGEST = 25 * 2**20
"""Bytes of a letter."""

MOST_FILES = 5
"""Workbooks of one letter."""

READING_SECONDS, READING_MEGABYTES = 60, 1_024
"""What taking a letter apart may take."""


class MailboxError(Exception):
    """The mailbox could not be read. The message says why, without what the server was told."""


@dataclass(frozen=True)
class Reply:
    """A file of the inbox that came by e-mail."""

    file: str
    sender: str
    message_id: str
    subject: str


@dataclass
class Taken:
    """What the mailbox held. `strangers`: letters of others, left unread; `refused`: a reason by sender."""

    files: list[Reply] = field(default_factory=list)
    bounces: list[Bounce] = field(default_factory=list)
    strangers: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def take_replies(settings: Settings, came_back: Callable[[list[Bounce]], None]) -> Taken | None:
    """Put the workbooks of unread answers into the inbox; None where no mailbox is configured, or out of production. `came_back` keeps the
    reminders that delivery reports are about; a report is marked read once that is done.

    Raises:
        MailboxError: the server is away, refuses the log-in, or says what is no IMAP.
        OSError: the inbox cannot be written.
    """
    if not settings.mail_imap or settings.environment != "production":
        return None
    known, taken = receivers(settings.mail), Taken()
    opened_inbox(settings.inbox)
    try:
        with _mailbox(settings) as box, Bounded(READING_SECONDS, READING_MEGABYTES) as reader:
            age = _number(box.response("UIDVALIDITY")[1])
            for uid in _asked(box, "SEARCH", "UNSEEN").split()[:MOST]:
                size, header = _envelope(box, uid)
                sender, automatic = _sender(reader, header)
                if automatic:
                    returned = _returned(box, reader, uid) if 0 < size <= LARGEST else []
                    taken.refused |= {
                        each.address: f"a list sent there came back: {each.said}" for each in returned if each.address in known
                    }
                    if back := bounces(returned, settings.mail, key_in(settings.home), settings.mail_from) if returned else []:
                        came_back(back)
                        taken.bounces += back
                    box.uid("STORE", uid.decode(), "+FLAGS", r"(\Seen)")
                elif sender not in known:
                    taken.strangers += 1
                elif size > LARGEST:
                    taken.refused[sender] = f"its letter has {size / 2**20:,.0f} MB and at most {LARGEST // 2**20} are read"
                else:
                    _take(settings, box, reader, uid, f"{age}-{uid.decode()}", sender, taken)
    except (imaplib.IMAP4.error, OSError) as failed:
        if isinstance(failed, PermissionError | FileNotFoundError | IsADirectoryError):
            raise
        raise MailboxError(_words(failed)) from None
    return taken


def send_errors_back(settings: Settings, as_of: date) -> list[str]:
    """Send each list of cells that could not be read to whoever mailed the workbook, once; returns the receivers. Nothing is raised: the
    lists stay in the inbox where they cannot be sent."""
    told: list[str] = []
    if not (record := _record(settings)).exists() or (post := post_of(settings)) is None:
        return told
    try:
        waiting = [(reply, errors) for reply in _remembered(record) if (errors := _errors_of(settings, reply)).exists()]
        with open_journal(settings.mail, as_of) as journal:
            for reply, errors in waiting:
                kind = f"errors/{reply.file}"
                last = journal.last(kind, reply.sender)
                if last is None or last.state is State.REFUSED:
                    try:
                        post.send(
                            _letter(settings, as_of, reply, errors),
                            [reply.sender],
                            lambda kind=kind, to=reply.sender: journal.write(kind, to, State.BEGUN),  # type: ignore[misc]
                        )
                    except NotTaken as refused:
                        journal.write(kind, reply.sender, State.REFUSED, str(refused))
                        log.warning("%s could not be told what was wrong with their workbook: %s", reply.sender, refused)
                        continue
                    except Unsure as lost:
                        journal.write(kind, reply.sender, State.UNSURE, str(lost))
                    else:
                        journal.write(kind, reply.sender, State.SENT)
                        told.append(reply.sender)
                os.replace(errors, settings.inbox / DONE / errors.name)
    except (OSError, ValueError, TypeError, Timeout) as failed:
        log.error("what could not be read was not sent back: %s", printable(str(failed)[:200]))
    finally:
        post.close()
    return told


def _take(settings: Settings, box: imaplib.IMAP4, reader: Bounded, uid: bytes, number: str, sender: str, taken: Taken) -> None:
    """Put a letter's workbooks into the inbox and mark it read; one without any stays unread, for a person."""
    found = _fetched(box, uid, "(BODY.PEEK[])")
    try:
        message_id, subject, files = reader.call(workbooks_in, found)
    except OutOfBounds as beyond:
        taken.refused[sender] = f"its letter {beyond}"
        return
    except Exception:  # whatever a parser makes of a stranger's letter, it is that letter's fault
        taken.refused[sender] = "its letter cannot be taken apart and is left unread in the mailbox"
        return
    if not files:
        taken.refused[sender] = "its letter has no .xlsx workbook and is left unread in the mailbox"
        return
    for place, (name, content) in enumerate(files[:MOST_FILES], start=1):
        (slug,) = distinct_slugs([name.removesuffix(".xlsx")]).values()
        target = settings.inbox / f"{slug}.mail-{number}-{place}.xlsx"
        reply = Reply(target.name, sender, message_id, subject)
        if not target.exists() and not (settings.inbox / DONE / target.name).exists():
            _remember(settings, reply)
            unfinished = target.with_name(f".{target.name}")
            unfinished.write_bytes(content)
            os.replace(unfinished, target)
            taken.files.append(reply)
    box.uid("STORE", uid.decode(), "+FLAGS", r"(\Seen)")


def _returned(box: imaplib.IMAP4, reader: Bounded, uid: bytes) -> list[Returned]:
    try:
        return reader.call(returned_in, _fetched(box, uid, "(BODY.PEEK[])"))
    except (imaplib.IMAP4.error, OSError):
        raise
    except Exception:  # as in `_sender`
        return []


def workbooks_in(letter: bytes) -> tuple[str, str, list[tuple[str, bytes]]]:
    """A letter's number and subject, and its workbooks with their names."""
    read = message_from_bytes(letter, policy=policy.default)
    files = []
    for part in read.walk():
        name = part.get_filename() or ""
        if not part.is_multipart() and name.lower().endswith(".xlsx"):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content:
                files.append((name[:200], content))
    return str(read.get("Message-ID", ""))[:300], str(read.get("Subject", ""))[:200], files[: MOST_FILES + 1]


@contextlib.contextmanager
def _mailbox(settings: Settings) -> Iterator[imaplib.IMAP4]:
    assert settings.mail_imap
    host, _, port = settings.mail_imap.partition(":")
    context = ssl.create_default_context() if settings.mail_imap_security != "none" else None
    if settings.mail_imap_security == "tls":
        box: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, int(port or 993), ssl_context=context, timeout=TIMEOUT)
    else:
        box = imaplib.IMAP4(host, int(port or 143), timeout=TIMEOUT)
    try:
        if settings.mail_imap_security == "starttls":
            box.starttls(context)
        password = settings.mail_imap_password or settings.mail_password
        box.login(settings.mail_imap_user or settings.mail_user or "", password.get_secret_value() if password else "")
        box.select("INBOX")
        yield box
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            box.logout()


def _envelope(box: imaplib.IMAP4, uid: bytes) -> tuple[int, bytes]:
    """A letter's size, and the lines of its header that say whom it is from and whether a machine wrote it."""
    typ, answer = box.uid("FETCH", uid.decode(), "(RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM AUTO-SUBMITTED CONTENT-TYPE)])")
    pair = next((part for part in answer if isinstance(part, tuple)), None)
    if typ != "OK" or pair is None:
        return 0, b""
    size = re.search(
        rb"RFC822\.SIZE (\d{1,18})", b" ".join(part[0] if isinstance(part, tuple) else part for part in answer if part)
    )
    return int(size[1]) if size else 0, pair[1][:20_000]


def _sender(reader: Bounded, header: bytes) -> tuple[str, bool]:
    """As `sender_of`; nobody where the header cannot be read."""
    try:
        return reader.call(sender_of, header)
    except Exception:  # whatever a parser makes of a stranger's letter, it is that letter's fault
        return "", False


def sender_of(header: bytes) -> tuple[str, bool]:
    """Whom a letter is from (nobody where that is not one address), and whether a machine wrote it."""
    read = message_from_bytes(header)
    senders = [address for _, address in getaddresses([str(line) for line in read.get_all("From", [])]) if address]
    report = read.get_content_type() == "multipart/report"
    automatic = report or str(read.get("Auto-Submitted", "no")).strip().lower() != "no"
    return senders[0].lower() if len(senders) == 1 else "", automatic


def _asked(box: imaplib.IMAP4, *what: str) -> bytes:
    typ, answer = box.uid(*what)
    return answer[0] if typ == "OK" and answer and isinstance(answer[0], bytes) else b""


def _fetched(box: imaplib.IMAP4, uid: bytes, what: str) -> bytes:
    _, answer = box.uid("FETCH", uid.decode(), what)
    return next((part[1] for part in answer if isinstance(part, tuple)), b"")


def _number(answer: object) -> str:
    """The mailbox's own age, without which its letters' numbers say nothing."""
    first = answer[0] if isinstance(answer, list) and answer else b""
    return first.decode("ascii", "ignore") if isinstance(first, bytes) and first.isdigit() else "0"


def _record(settings: Settings) -> Path:
    return settings.mail / "replies.jsonl"


def _remember(settings: Settings, reply: Reply) -> None:
    settings.mail.mkdir(parents=True, exist_ok=True)
    record = _record(settings)
    cut = record.exists() and record.read_bytes()[-1:] not in (b"\n", b"")
    with record.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut else "") + json.dumps(asdict(reply)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _remembered(record: Path) -> Iterator[Reply]:
    for line in record.read_text("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError, TypeError, RecursionError):  # the last line of a run that was killed while it wrote
            yield Reply(**json.loads(line))


def _errors_of(settings: Settings, reply: Reply) -> Path:
    return settings.inbox / f"{reply.file.removesuffix('.xlsx')}{ERRORS}"


def _letter(settings: Settings, as_of: date, reply: Reply, errors: Path) -> EmailMessage:
    letter = EmailMessage()
    subject = " ".join(printable(reply.subject).split())[:150] or "your worklist"
    letter["Subject"] = subject if subject.lower().startswith("re:") else f"Re: {subject}"
    letter["From"], letter["To"], letter["Date"] = settings.mail_from, reply.sender, format_datetime(localtime())
    if re.fullmatch(r"<[!-;=?-~]+@[!-;=?-~]+>", reply.message_id):
        letter["In-Reply-To"] = letter["References"] = reply.message_id
    letter["Auto-Submitted"] = "auto-replied"
    letter["X-Arrears-Morning"], letter["X-Arrears-Kind"] = as_of.isoformat(), "errors"
    letter.set_content(
        "Some cells of the workbook you sent could not be read. The list that is attached says of each where it stands and what to write\n"
        "instead: mend them in the workbook and answer this letter with it. Everything else in it counts."
    )
    letter.add_attachment(errors.read_bytes(), maintype="text", subtype="csv", filename=errors.name)
    return letter


def _words(failed: Exception) -> str:
    match failed:
        case ssl.SSLCertVerificationError():
            return "the mailbox's certificate is not one that this machine trusts"
        case ssl.SSLError():
            return "no secure connection to the mailbox could be made: is ARREARS_MAIL_IMAP_SECURITY what the port speaks?"
        case TimeoutError():
            return f"the mailbox gave no answer within {TIMEOUT} s"
        case imaplib.IMAP4.abort():
            return "the mailbox closed the connection"
        case imaplib.IMAP4.error() if "auth" in str(failed).lower() or "login" in str(failed).lower():
            return "the mailbox does not take this user and password (ARREARS_MAIL_IMAP_USER, ARREARS_MAIL_IMAP_PASSWORD)"
        case imaplib.IMAP4.error():
            return "the mailbox does not do what was asked of it"
        case OSError() if failed.errno:
            return f"the mailbox could not be reached: {os.strerror(failed.errno)}"
    return "the mailbox could not be reached"
