"""A morning's list by e-mail, against a real SMTP server on loopback: everybody gets theirs once, and whoever does not is named."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from dagster_project import mail
from dagster_project.mail import journal, morning, post, sending
from dagster_project.paths import ROOT
from dagster_project.settings import Settings
from tests.post_office import Office, at, free_port

AS_OF = date(2025, 6, 30)
COLLECTORS = [
    {"collector": "Anna Berg", "list": "standard", "email": "anna@example.com"},
    {"collector": "Ben", "list": "", "email": "ben@example.com"},
    {"collector": "Idle", "list": "", "email": "idle@example.com"},
    {"collector": "Carla", "list": "credit_manager", "email": "carla@example.com"},
    {"collector": "desk-1", "list": "standard", "email": ""},
]


@pytest.fixture(autouse=True)
def staff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(morning, "rows_in_force", lambda table, pack, day: COLLECTORS)
    monkeypatch.setattr(sending, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(post, "TIMEOUT", 2)


@pytest.fixture
def configured(post_office: Controller, make_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    def configured(**more: Any) -> Settings:
        given = {
            "mail_smtp": at(post_office),
            "mail_security": "none",
            "environment": "production",
            "mail_from": "ar@example.com",
        }
        return make_settings(**{**given, **more})

    return configured


def deliver(settings: Settings, as_of: date = AS_OF) -> Path:
    folder = settings.worklists / as_of.isoformat()
    folder.mkdir(parents=True)
    common = {"reporting_currency": "EUR", "step_label": "First notice", "severity": 30}
    actions = [
        {
            "rank": 2,
            "customer_id": "1",
            "customer_name": "Klein",
            "collector": "Ben",
            "item_count": 1,
            "past_due_amount": "10.50",
        },
        {
            "rank": 1,
            "customer_id": "2",
            "customer_name": "Groß\nAG",
            "collector": "Ben",
            "item_count": 2,
            "past_due_amount": "1999.50",
        },
        {
            "rank": 3,
            "customer_id": "3",
            "customer_name": None,
            "collector": "Anna Berg",
            "item_count": 1,
            "past_due_amount": "7.00",
        },
        {"rank": 4, "customer_id": "4", "customer_name": "D", "collector": "desk-1", "item_count": 1, "past_due_amount": "1.00"},
    ]
    items = [
        {"collector": "Ben", "held_reason": None, "reporting_currency": "EUR", "open_amount_reporting": "10.50"},
        {"collector": "Ben", "held_reason": "promise_pending", "reporting_currency": "EUR", "open_amount_reporting": "300.25"},
        {"collector": "Anna Berg", "held_reason": "disputed", "reporting_currency": "EUR", "open_amount_reporting": "5.00"},
    ]
    for name, rows in (("worklist", [{**common, **row} for row in actions]), ("worklist_items", items)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    files = [{"name": "worklist.xlsx", "collector": None}]
    files += [{"name": f"worklist-{name[:4].lower()}.xlsx", "collector": name} for name in ("Ben", "Anna Berg", "desk-1")]
    for file in files:
        (folder / str(file["name"])).write_bytes(f"workbook {file['name']}".encode())
    manifest = {"policy": "net_terms", "files": files, "warnings": ["0100: DOES NOT TIE to the ledger, EUR 5.00 apart."]}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def test_each_collector_gets_theirs_and_the_credit_manager_all_of_it(office: Office, configured: Callable[..., Settings]) -> None:
    settings = configured()
    deliver(settings)

    sent = mail.send_morning(settings, AS_OF)

    assert sent is not None
    assert office.to == sent.sent == ["anna@example.com", "ben@example.com", "carla@example.com"]
    assert sent.lines == ["desk-1 has no e-mail address in collectors.csv and got no list"]
    anna, ben, carla = office.letters
    assert ben["Subject"] == "Worklist 2025-06-30: 2 customers, 2,010.00 EUR past due"
    body = ben.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines()[:5] == [
        "To contact    2 customers, 3 items, 2,010.00 EUR past due",
        "First         Groß�AG: 1,999.50 EUR past due, First notice",
        "Steps         2 First notice",
        "Held back     1 items, 300.25 EUR: 1 promise pending",
        "Mind          0100: DOES NOT TIE to the ledger, EUR 5.00 apart.",
    ]
    assert [part.get_content() for part in ben.iter_attachments()] == [b"workbook worklist-ben.xlsx"]
    assert [part.get_filename() for part in anna.iter_attachments()] == ["worklist-anna-2025-06-30.xlsx"]
    assert [part.get_content() for part in carla.iter_attachments()] == [b"workbook worklist.xlsx"]
    everything = carla.get_body(("plain",))
    assert everything is not None
    assert "Collectors    Ben 2, Anna Berg 1, desk-1 1" in everything.get_content()
    assert "No letter     desk-1: without an address in collectors.csv" in everything.get_content()


def test_what_was_sent_is_not_sent_again_unless_somebody_asks(office: Office, configured: Callable[..., Settings]) -> None:
    settings = configured()
    deliver(settings)
    for _ in range(3):
        sent = mail.send_morning(settings, AS_OF)
    assert sent is not None
    assert (sent.sent, sent.before) == ([], ["anna@example.com", "ben@example.com", "carla@example.com"])
    assert Counter(office.to) == {"anna@example.com": 1, "ben@example.com": 1, "carla@example.com": 1}

    mail.send_morning(settings, AS_OF, again=True)
    assert set(Counter(office.to).values()) == {2}


def test_whoever_a_server_refuses_is_named_and_the_others_get_theirs(office: Office, configured: Callable[..., Settings]) -> None:
    settings = configured()
    deliver(settings)
    office.does = {
        "anna@example.com": ["rcpt 550 nobody here by that name"],
        "ben@example.com": ["rcpt 451 try later", "data 452 full"],  # at the third time it is taken
        "carla@example.com": ["data 554 no workbooks here"],
    }

    sent = mail.send_morning(settings, AS_OF)

    assert sent is not None
    assert sent.sent == ["ben@example.com"]
    assert sent.not_sent == {
        "anna@example.com": "the receiver was refused: 550 nobody here by that name",
        "carla@example.com": "554 no workbooks here",
    }
    later = mail.send_morning(settings, AS_OF)
    assert later is not None
    assert (later.sent, later.before) == (["anna@example.com", "carla@example.com"], ["ben@example.com"])
    assert set(Counter(office.to).values()) == {1}


@pytest.mark.parametrize("end", ["data taken, lost", "data lost", "data taken, slow"])
def test_a_letter_that_may_have_been_taken_is_never_sent_again_by_itself(
    end: str, office: Office, configured: Callable[..., Settings]
) -> None:
    settings = configured()
    deliver(settings)
    office.does = {"ben@example.com": [end]}

    first = mail.send_morning(settings, AS_OF)
    second = mail.send_morning(settings, AS_OF)

    assert first is not None
    assert second is not None
    assert list(first.unsure) == list(second.unsure) == ["ben@example.com"]
    assert any(line.startswith("ben@example.com may or may not have got the list: the server ") for line in second.lines)
    assert Counter(office.to)["ben@example.com"] <= 1
    assert Counter(office.to)["anna@example.com"] == Counter(office.to)["carla@example.com"] == 1


@pytest.mark.parametrize("moment", ["before", "within", "after"])
def test_a_night_killed_while_it_sends_sends_nothing_twice(
    moment: str, office: Office, configured: Callable[..., Settings]
) -> None:
    """Killed by the system: before anything left, while the server has a letter and has not answered, after all is sent."""
    settings = configured()
    deliver(settings)
    code = (
        "import sys, time\n"
        "from datetime import date\n"
        "from pathlib import Path\n"
        "from dagster_project import mail\n"
        "from dagster_project.mail import morning\n"
        "from dagster_project.settings import Settings\n"
        f"morning.rows_in_force = lambda table, pack, day: {COLLECTORS!r}\n"
        f"settings = Settings(home=Path({str(settings.home)!r}), mail_smtp={settings.mail_smtp!r}, mail_security='none',\n"
        "                    environment='production', mail_from='ar@example.com')\n"
        "print('ready', flush=True)\n"
        f"time.sleep(30 if {moment!r} == 'before' else 0)\n"
        f"mail.send_morning(settings, date({AS_OF.year}, {AS_OF.month}, {AS_OF.day}))\n"
        "print('done', flush=True)\n"
        "time.sleep(30)\n"
    )
    if moment == "within":
        office.does = {"ben@example.com": ["data taken, slow"]}
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    if moment == "within":
        while "ben@example.com" not in office.to:
            office.taking.wait(30)
            time.sleep(0.02)
    elif moment == "after":
        assert child.stdout.readline() == "done\n"
    child.send_signal(signal.SIGKILL)
    child.wait()

    sent = mail.send_morning(settings, AS_OF)

    assert sent is not None
    assert set(Counter(office.to).values()) == {1}
    assert {*sent.sent, *sent.before, *sent.unsure} == {"anna@example.com", "ben@example.com", "carla@example.com"}
    assert list(sent.unsure) == (["ben@example.com"] if moment == "within" else [])


def test_thirty_mornings_of_faults_kills_and_reruns(office: Office, configured: Callable[..., Settings]) -> None:
    """Nobody gets a list twice, and nobody is left out without being named."""
    settings, chance = configured(), random.Random(20250630)
    staff = ("anna@example.com", "ben@example.com", "carla@example.com")
    faults = ["", "", "", "rcpt 550 no", "rcpt 451 later", "data 452 full", "data 554 no", "data lost", "data taken, lost"]

    class Killed(BaseException):
        pass

    for day in range(30):
        as_of = AS_OF + timedelta(days=day)
        deliver(settings, as_of)
        office.to.clear()
        office.does = {name: [fault for fault in chance.choices(faults, k=2) if fault] for name in staff}
        for _ in range(chance.randint(1, 3)):
            left, write = chance.randint(0, 9), journal.Journal.write

            def killed_at(self: Any, *given: Any, write: Any = write, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Killed
                return write(self, *given, **more)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(journal.Journal, "write", killed_at)
                with contextlib.suppress(Killed):
                    mail.send_morning(settings, as_of)
        sent = mail.send_morning(settings, as_of)
        assert sent is not None
        had = Counter(office.to)
        assert all(count == 1 for count in had.values()), (as_of, had)
        for name in staff:
            assert name in (*sent.sent, *sent.before, *sent.not_sent, *sent.unsure), (as_of, name)
            if name in (*sent.sent, *sent.before):
                assert had[name] == 1, (as_of, name)
            if name in sent.not_sent:
                assert had[name] == 0, (as_of, name)


def test_a_server_that_is_away_is_said_and_nothing_is_raised(configured: Callable[..., Settings]) -> None:
    settings = configured(mail_smtp="127.0.0.1:1")
    deliver(settings)
    sent = mail.send_morning(settings, AS_OF)
    assert sent is not None
    assert set(sent.not_sent.values()) == {"Connection refused"}


def test_without_mail_or_out_of_production_nothing_is_sent(office: Office, configured: Callable[..., Settings]) -> None:
    for settings in (configured(mail_smtp=None), configured(environment="development")):
        if not (settings.worklists / AS_OF.isoformat()).exists():
            deliver(settings)
        assert mail.send_morning(settings, AS_OF) is None
        mail.held_back(settings, AS_OF, ["the ledger is late"])
    assert office.letters == []
    assert not settings.mail.exists()


def test_a_list_held_back_is_told_to_the_credit_manager_once(office: Office, configured: Callable[..., Settings]) -> None:
    settings = configured()
    for _ in range(2):
        mail.held_back(settings, AS_OF, ["0100 does not tie", "two\nlines\x1b[2J"])
    (letter,) = office.letters
    assert office.to == ["carla@example.com"]
    assert letter["Subject"] == "No worklist for 2025-06-30"
    body = letter.get_body(("plain",))
    assert body is not None
    assert "- 0100 does not tie" in body.get_content()
    assert "\x1b" not in body.get_content()


def test_letters_may_be_written_into_a_folder_instead(tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(mail_folder=tmp_path / "post")
    deliver(settings)
    for _ in range(2):
        sent = mail.send_morning(settings, AS_OF)
    assert sent is not None
    assert len(sent.before) == 3
    written = sorted(path.name for path in (tmp_path / "post" / "2025-06-30").iterdir())
    assert written == [f"worklist-{name}@example.com.eml" for name in ("anna", "ben", "carla")]


def test_a_password_goes_out_under_tls_alone(
    office: Office, tmp_path: Path, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"arrears", b"pa55word"))

    def controller(**how: Any) -> Controller:
        started = Controller(
            office, hostname="127.0.0.1", port=free_port(), authenticator=authenticator, auth_required=True, **how
        )
        started.start()
        return started

    secure, open_ = controller(tls_context=context, require_starttls=True), controller(auth_require_tls=False)
    try:
        where = {"mail_security": "starttls", "environment": "production", "mail_user": "arrears"}
        address = at(secure).replace("127.0.0.1", "localhost")
        settings = make_settings(mail_smtp=address, mail_password="pa55word", **where)
        deliver(settings)

        untrusted = mail.send_morning(settings, AS_OF)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        wrong = mail.send_morning(make_settings(mail_smtp=address, mail_password="guessed", **where), AS_OF)
        clear = mail.send_morning(make_settings(mail_smtp=at(open_), mail_password="pa55word", **where), AS_OF)
        good = mail.send_morning(settings, AS_OF)
    finally:
        secure.stop()
        open_.stop()

    assert untrusted is not None
    assert wrong is not None
    assert clear is not None
    assert good is not None
    assert set(untrusted.not_sent.values()) == {"the server's certificate is not one that this machine trusts"}
    assert set(wrong.not_sent.values()) == {
        "the server does not take this user and password (ARREARS_MAIL_USER, ARREARS_MAIL_PASSWORD)"
    }
    assert set(clear.not_sent.values()) == {
        "the server does not offer what was asked of it (ARREARS_MAIL_SECURITY starttls, or a login)"
    }
    assert len(good.sent) == len(office.to) == 3
    written = "".join(path.read_text("utf-8") for path in settings.mail.iterdir() if path.suffix == ".jsonl")
    assert "pa55word" not in written
    with pytest.raises(ValueError, match="under starttls or tls only"):
        make_settings(mail_smtp=address, mail_password="pa55word", mail_security="none")


def test_a_journal_whose_last_line_was_cut_goes_on(tmp_path: Path) -> None:
    with journal.open_journal(tmp_path, AS_OF) as kept:
        kept.write("worklist", "a@example.com", journal.State.SENT)
    path = tmp_path / f"{AS_OF}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at": "2025-06-30T05:00:00", "kind": "workl')
    with journal.open_journal(tmp_path, AS_OF) as kept:
        kept.write("worklist", "b@example.com", journal.State.BEGUN)
    with journal.open_journal(tmp_path, AS_OF) as kept:
        first, second = kept.last("worklist", "a@example.com"), kept.last("worklist", "b@example.com")
    assert first is not None
    assert second is not None
    assert (first.state, second.state) == (journal.State.SENT, journal.State.BEGUN)
    assert os.stat(path).st_size > 0
