"""Reminders that leave by themselves, against a real SMTP server on loopback: each customer's once, and none where anything is in doubt."""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from dagster_project import mail
from dagster_project.contract import WORKLIST_OUTCOMES
from dagster_project.defs.delivery import outputs
from dagster_project.landing import Landing
from dagster_project.mail import journal, morning, post, reminders, sending
from dagster_project.mail.bounces import Bounce, bounces, land_bounces, returned_in
from dagster_project.outgoing.letters.drafts import _mail
from dagster_project.seals import key_in
from dagster_project.settings import Settings
from tests.post_office import Office, at, report

AS_OF = date(2025, 6, 30)
COLLECTORS = [
    {"collector": "Ben", "list": "", "email": "ben@example.com"},
    {"collector": "desk-1", "list": "standard", "email": ""},
]
CUSTOMERS = {
    "0001": ("Klein", "Ben", "ap@klein.example"),
    "0002": ("Groß\nAG", "Ben", "kasse@gross.example,\r\n chef@gross.example"),
    "0003": ("Drei", "desk-1", "ap@klein.example"),
    "0004": ("Ohne", "Ben", ""),
    "0005": ("Anruf", "Ben", "call@anruf.example"),
}
"""Two share an address, one has two, one has none that can be written to, and one is called."""


@pytest.fixture(autouse=True)
def house(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(morning, "rows_in_force", lambda table, pack, day: COLLECTORS)
    monkeypatch.setattr(reminders, "rows_in_force", lambda table, pack, day: COLLECTORS)
    monkeypatch.setattr(sending, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(post, "TIMEOUT", 2)
    today(monkeypatch, AS_OF)


def today(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    monkeypatch.setattr(Settings, "today", lambda self: day)


@pytest.fixture
def configured(post_office: Controller, make_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    def configured(**more: Any) -> Settings:
        given = {
            "mail_smtp": at(post_office),
            "mail_security": "none",
            "environment": "production",
            "mail_from": "ar@example.com",
        }
        return make_settings(**{**given, "send_reminders": True, **more})

    return configured


def deliver(settings: Settings, as_of: date = AS_OF, warnings: tuple[str, ...] = ()) -> Path:
    folder = settings.worklists / as_of.isoformat()
    (folder / "drafts").mkdir(parents=True)
    rows = []
    for rank, (customer, (name, collector, address)) in enumerate(CUSTOMERS.items(), 1):
        (folder / "drafts" / f"{customer}.eml").write_bytes(
            _mail(
                f"{customer}{as_of}",
                address,
                f"Overdue: {rank}00.00 EUR",
                "Please pay.\n",
                [("statement.csv", "text/csv", b"a,b\r\n")],
                "",
            )
        )
        rows.append(
            {
                "rank": rank,
                "customer_id": customer,
                "customer_name": name,
                "company_name": "Nordwind GmbH",
                "collector": collector,
                "automatic": customer != "0005",
                "draft_file": f"drafts/{customer}.eml",
                "item_count": 1,
                "past_due_amount": "10.50",
                "reporting_currency": "EUR",
                "step_label": "First notice",
                "severity": 30,
            }
        )
    (folder / "worklist.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "worklist_items.jsonl").write_text("", "utf-8")
    files = [{"name": "worklist-ben.xlsx", "collector": "Ben"}]
    (folder / "worklist-ben.xlsx").write_bytes(b"workbook")
    manifest = {"policy": "net_terms", "files": files, "warnings": list(warnings)}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def test_a_reminder_leaves_as_a_letter_that_can_be_answered_and_ended(
    office: Office, configured: Callable[..., Settings]
) -> None:
    settings = configured()
    deliver(settings)

    sent = mail.send_reminders(settings, AS_OF)

    assert sent is not None
    assert sent.sent == ["0001 Klein", "0002 Groß\N{REPLACEMENT CHARACTER}AG", "0003 Drei"]
    assert sent.not_sent == {"0004 Ohne": "the contact's address is none that can be written to"}
    assert office.to == ["ap@klein.example", "kasse@gross.example", "chef@gross.example", "ap@klein.example"]
    first = office.letters[0]
    told = ("From", "Reply-To", "To", "Subject", "Auto-Submitted", "List-Unsubscribe")
    assert {name: str(first[name]) for name in told} == {
        "From": "Nordwind GmbH <ar@example.com>",
        "Reply-To": "ben@example.com",
        "To": "ap@klein.example",
        "Subject": "Overdue: 100.00 EUR",
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": "<mailto:ben@example.com?subject=No%20more%20reminders%20by%20e-mail%2C%20customer%200001>",
    }
    assert first["X-Unsent"] is None
    assert [part.get_filename() for part in first.iter_attachments()] == ["statement.csv"]
    assert office.letters[2]["Reply-To"] is None  # that desk has no address: answers go to where it came from
    assert "klein.example" not in (settings.mail / f"{AS_OF}.jsonl").read_text("utf-8")

    again = mail.send_reminders(settings, AS_OF)
    assert again is not None
    assert (again.sent, len(again.before), len(office.letters)) == ([], 3, 3)


def test_nothing_leaves_where_it_is_not_asked_for_or_anything_is_in_doubt(
    office: Office, configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, make_settings: Callable[..., Settings]
) -> None:
    settings = configured()
    with pytest.raises(mail.NoneLeaves, match="there is no worklist of 2025-06-30"):
        mail.send_reminders(settings, AS_OF)
    deliver(settings)
    for quiet in (configured(send_reminders=False), configured(environment="development"), configured(mail_smtp=None)):
        assert mail.send_reminders(quiet, AS_OF) is None
    today(monkeypatch, AS_OF + timedelta(days=1))
    with pytest.raises(mail.NoneLeaves, match="what was paid since is not known to it"):
        mail.send_reminders(settings, AS_OF)
    today(monkeypatch, AS_OF + timedelta(days=1))
    deliver(settings, AS_OF + timedelta(days=1), warnings=("odd_load: payments: amounts of another size",))
    with pytest.raises(mail.NoneLeaves, match="something is wrong with the morning: odd_load"):
        mail.send_reminders(settings, AS_OF + timedelta(days=1))
    with pytest.raises(ValueError, match="ARREARS_MAIL_FROM is to be an address that customers can answer"):
        make_settings(send_reminders=True)
    assert office.letters == []


def test_a_morning_sends_no_more_than_policy_lets_it_however_often_it_is_run(
    office: Office, configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "parameter", lambda *asked: 2)
    settings = configured()
    deliver(settings)
    office.does = {"ap@klein.example": ["rcpt 550 not here <ap@klein.example>"]}

    sent = [mail.send_reminders(settings, AS_OF) for _ in range(3)]

    assert sent[0] is not None
    assert sent[0].not_sent["0001 Klein"] == "the receiver was refused: 550 not here <the address>"
    assert sent[0].sent == ["0002 Groß\N{REPLACEMENT CHARACTER}AG", "0003 Drei"]
    assert sent[-1] is not None
    assert sent[-1].not_sent["0001 Klein"].startswith("2 letters a day may go out by themselves")
    assert len(office.letters) == 2


def test_a_dry_run_writes_what_would_be_sent_and_remembers_nothing(
    office: Office, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings()
    deliver(settings)

    folder, sent = mail.rehearse(settings, AS_OF)

    assert len(sent.sent) == 3
    assert list(sent.not_sent) == ["0004 Ohne"]
    assert sorted(path.name for path in folder.iterdir()) == [f"reminder-000{n}.eml" for n in (1, 2, 3)]
    assert not settings.mail.exists()
    assert office.letters == []


def test_whoever_works_the_list_is_told_which_drafts_are_theirs_to_send(
    office: Office, configured: Callable[..., Settings]
) -> None:
    settings = configured()
    deliver(settings)
    office.does = {"kasse@gross.example": ["data taken, lost"]}
    outputs._send_reminders(settings, AS_OF)

    mail.send_morning(settings, AS_OF)

    body = office.letters[-1].get_body(("plain",))
    assert body is not None
    assert (
        "Reminders     1 sent by the night; yours to send: Ohne; nobody knows whether sent: Groß\N{REPLACEMENT CHARACTER}AG"
        in body.get_content()
    )


def test_thirty_mornings_of_kills_faults_and_reruns(
    office: Office, configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is reminded twice on a morning, and nobody is left out without being named: killed before and after each line of the journal,
    refused, hung up on before and after a letter was taken, with a cap that bites."""
    settings, chance = configured(), random.Random(20250701)
    faults = ["", "", "", "rcpt 550 no", "rcpt 451 later", "data 452 full", "data 554 no", "data lost", "data taken, lost"]
    write = journal.Journal.write

    class Killed(BaseException):
        pass

    for day in range(30):
        as_of = AS_OF + timedelta(days=day)
        today(monkeypatch, as_of)
        deliver(settings, as_of)
        office.letters.clear()
        office.does = {
            address: [fault for fault in chance.choices(faults, k=2) if fault]
            for address in ("ap@klein.example", "kasse@gross.example")
        }
        cap = chance.choice((1, 2, 200))
        monkeypatch.setattr(reminders, "parameter", lambda *asked, cap=cap: cap)
        for _ in range(chance.randint(1, 3)):
            left, before = chance.randint(0, 9), chance.random() < 0.5

            def killed_at(self: Any, *given: Any, before: bool = before, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0 and before:
                    raise Killed
                written = write(self, *given, **more)
                if left == 0:
                    raise Killed
                return written

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(journal.Journal, "write", killed_at)
                with contextlib.suppress(Killed):
                    mail.send_reminders(settings, as_of)
        sent = mail.send_reminders(settings, as_of)
        assert sent is not None
        had = Counter(str(letter["X-Arrears-Customer"]) for letter in office.letters)
        assert all(count == 1 for count in had.values()), (as_of, had)
        assert sum(had.values()) <= cap
        for customer, shown in (("0001", "0001 Klein"), ("0002", "0002 Groß\N{REPLACEMENT CHARACTER}AG"), ("0003", "0003 Drei")):
            assert sum(shown in group for group in (sent.sent, sent.before, sent.not_sent, sent.unsure)) == 1, (as_of, customer)
            if shown in (*sent.sent, *sent.before):
                assert had[customer] == 1, (as_of, customer)
            if shown in sent.not_sent:
                assert had[customer] == 0, (as_of, customer)


# ---- what comes back


def test_a_report_names_who_was_not_reached_for_good() -> None:
    (gone,) = returned_in(report("Gone@kunde.example", "<a@b>"))
    assert (gone.address, gone.said, gone.quotes) == (
        "gone@kunde.example",
        "5.1.1 smtp; 550 5.1.1 <Gone@kunde.example>: user unknown",
        "<a@b>",
    )
    (whole,) = returned_in(report("gone@kunde.example", "<a@b>", quoted="message/rfc822"))
    assert whole.quotes == "<a@b>"
    assert returned_in(report("late@kunde.example", action="delayed", status="4.4.1")) == []
    assert returned_in(report("full@kunde.example", status="4.2.2")) == []
    assert returned_in(b"Subject: Re: invoice\r\n\r\nfailed, see gone@kunde.example") == []
    assert returned_in(report("not an address")) == []


def test_a_report_counts_only_for_what_was_sent(office: Office, configured: Callable[..., Settings], landing: Landing) -> None:
    settings = configured()
    deliver(settings)
    mail.send_reminders(settings, AS_OF)
    key, sender = key_in(settings.home), "ar@example.com"
    mine = str(office.letters[0]["Message-ID"])

    def found(*reports: bytes) -> list[Bounce]:
        return bounces([each for one in reports for each in returned_in(one)], settings.mail, key, sender)

    assert found(report("stranger@kunde.example")) == []
    assert found(report("ap@klein.example", "<somebody.elses@example.com>")) == []
    assert [bounce.customer_id for bounce in found(report("ap@klein.example", mine))] == ["0001"]
    assert [bounce.customer_id for bounce in found(report("ap@klein.example"))] == ["0001", "0003"]  # it does not say which
    back = found(report("AP@klein.example", mine), report("ap@klein.example", mine))

    for _ in range(2):
        land_bounces(back, landing, AS_OF + timedelta(days=1), "net_terms")

    (load,) = [load for load in landing.loads(WORKLIST_OUTCOMES) if load.manifest.landed]
    assert load.manifest.landed == 1
