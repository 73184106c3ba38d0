"""Answers by e-mail, against a real IMAP server: whose are taken, once, and what comes back."""

from __future__ import annotations

import imaplib
from collections.abc import Callable
from datetime import date
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from dagster_project.mail import replies
from dagster_project.mail.bounces import Bounce
from dagster_project.mail.journal import State, open_journal
from dagster_project.mail.reminders import REMINDER, message_id
from dagster_project.mail.replies import MailboxError, send_errors_back, take_replies
from dagster_project.mail.sending import mark_of
from dagster_project.seals import key_in
from dagster_project.settings import Settings
from tests.post_office import report

AS_OF = date(2025, 6, 30)


@pytest.fixture
def settings(mailbox: str, make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    made = make_settings(
        mail_imap=mailbox,
        mail_imap_security="none",
        mail_imap_user="arrears",
        mail_imap_password="pa55word",
        mail_folder=tmp_path / "post",
        environment="production",
    )
    with open_journal(made.mail, AS_OF) as journal:
        journal.write("worklist", "anna@example.com", State.SENT)
        journal.write("worklist", "refused@example.com", State.REFUSED)
    return made


def none_came_back(bounces: list[Bounce]) -> None:
    raise AssertionError(bounces)


def put(settings: Settings, sender: str, *files: tuple[str, bytes], **headers: str) -> None:
    """Lay a letter into the mailbox, as a mail server does."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, "arrears@example.com", "Re: Worklist 2025-06-30"
    letter["Message-ID"] = "<answer.1@example.com>"
    for name, value in headers.items():
        letter[name.replace("_", "-")] = value
    letter.set_content("Done, see attached.")
    for name, content in files:
        letter.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    with box(settings) as there:
        there.append("INBOX", "", None, letter.as_bytes())


def box(settings: Settings) -> imaplib.IMAP4:
    assert settings.mail_imap
    host, _, port = settings.mail_imap.partition(":")
    there = imaplib.IMAP4(host, int(port))
    there.login("arrears", "pa55word")
    there.select("INBOX")
    return there


def unread(settings: Settings) -> int:
    with box(settings) as there:
        return len(there.search(None, "UNSEEN")[1][0].split())


def test_the_workbook_of_an_answer_lies_in_the_inbox_once(settings: Settings) -> None:
    put(settings, "Anna Berg <Anna@Example.com>", ("worklist-anna-berg-2025-06-30.xlsx", b"PK filled"), ("photo.jpg", b"no"))

    first, second = take_replies(settings, none_came_back), take_replies(settings, none_came_back)

    assert first is not None
    assert second is not None
    (reply,) = first.files
    assert second.files == []
    assert reply.sender == "anna@example.com"
    assert [path.name for path in settings.inbox.glob("*.xlsx")] == [reply.file]
    assert (settings.inbox / reply.file).read_bytes() == b"PK filled"
    assert unread(settings) == 0


def test_a_letter_taken_again_after_a_kill_is_no_second_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, "anna@example.com", ("list.xlsx", b"PK filled"))

    class Killed(BaseException):
        pass

    def killed(*given: Any) -> Any:
        raise Killed

    whole = imaplib.IMAP4.uid
    with monkeypatch.context() as patch:
        patch.setattr(imaplib.IMAP4, "uid", lambda self, verb, *given: killed() if verb == "STORE" else whole(self, verb, *given))
        with pytest.raises(Killed):
            take_replies(settings, none_came_back)
    assert unread(settings) == 1
    again = take_replies(settings, none_came_back)
    assert again is not None
    assert again.files == []
    assert len(list(settings.inbox.glob("*.xlsx"))) == 1
    assert unread(settings) == 0


def test_letters_of_others_of_machines_and_without_a_workbook_are_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "LARGEST", 200_000)
    put(settings, "mallory@example.com", ("list.xlsx", b"PK"))
    put(settings, "refused@example.com", ("list.xlsx", b"PK"))
    put(settings, "anna@example.com, mallory@example.com", ("list.xlsx", b"PK"))
    put(settings, "anna@example.com", ("list.xlsx", b"PK"), Auto_Submitted="auto-replied")
    put(settings, "anna@example.com", ("list.xls", b"old"))

    taken = take_replies(settings, none_came_back)

    assert taken is not None
    assert (taken.files, taken.strangers) == ([], 3)
    assert taken.refused == {"anna@example.com": "its letter has no .xlsx workbook and is left unread in the mailbox"}
    put(settings, "anna@example.com", ("list.xlsx", b"PK" * 200_000))
    large = take_replies(settings, none_came_back)
    assert large is not None
    assert "MB and at most" in large.refused["anna@example.com"]
    assert not list(settings.inbox.glob("*.xlsx"))
    assert unread(settings) == 5


def test_a_reminder_that_comes_back_is_kept_before_its_report_is_marked_read(settings: Settings) -> None:
    """A report about an address we never wrote to says nothing; one of ours whose keeping is killed is read again."""
    key = key_in(settings.home)
    with open_journal(settings.mail, AS_OF) as journal:
        journal.write(REMINDER, "0001", State.SENT, marks=(mark_of("Gone@kunde.example", key),))
    name = message_id(key, "2025-06-30", "0001", settings.mail_from)
    with box(settings) as there:
        for address in ("gone@kunde.example", "stranger@kunde.example"):
            there.append("INBOX", "", None, report(address, name))
    kept: list[Bounce] = []

    def killed(bounces: list[Bounce]) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(MailboxError):
        take_replies(settings, killed)
    assert unread(settings) == 2
    take_replies(settings, kept.extend)
    take_replies(settings, kept.extend)

    assert kept == [Bounce("2025-06-30", "0001", "5.1.1 smtp; 550 5.1.1 <the address>: user unknown")]
    assert unread(settings) == 0


def test_cells_that_could_not_be_read_go_back_to_whoever_sent_them_once(settings: Settings) -> None:
    put(settings, "anna@example.com", ("list.xlsx", b"PK filled"))
    taken = take_replies(settings, none_came_back)
    assert taken is not None
    (reply,) = taken.files
    errors = settings.inbox / f"{reply.file.removesuffix('.xlsx')}.errors.csv"
    (settings.inbox / "done").mkdir(exist_ok=True)
    errors.write_text("sheet,cell\nCall list,F7\n", "utf-8")

    assert send_errors_back(settings, AS_OF) == ["anna@example.com"]
    assert send_errors_back(settings, AS_OF) == []

    assert settings.mail_folder
    (letter,) = (settings.mail_folder / "2025-06-30").iterdir()
    text = letter.read_text("utf-8")
    assert "In-Reply-To: <answer.1@example.com>" in text
    assert "Subject: Re: Worklist 2025-06-30" in text
    assert not errors.exists()
    assert (settings.inbox / "done" / errors.name).exists()


def test_a_mailbox_that_is_away_or_refuses_is_said_in_words(settings: Settings, make_settings: Callable[..., Settings]) -> None:
    more = {"mail_imap_security": "none", "mail_imap_user": "arrears", "environment": "production"}
    with pytest.raises(MailboxError, match="could not be reached: Connection refused"):
        take_replies(make_settings(mail_imap="127.0.0.1:1", mail_imap_password="x", **more), none_came_back)
    with pytest.raises(MailboxError, match="does not take this user and password"):
        take_replies(make_settings(mail_imap=settings.mail_imap, mail_imap_password="guessed", **more), none_came_back)
    with pytest.raises(ValueError, match="under starttls or tls only"):
        make_settings(mail_imap="imap.example.com:143", mail_imap_password="x", **more)
    assert (
        take_replies(
            make_settings(mail_imap=settings.mail_imap, mail_imap_password="pa55word", environment="development"), none_came_back
        )
        is None
    )
