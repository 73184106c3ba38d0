"""Somebody is told that a night failed, and a receiver that is out of reach never hides what it should have been told."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from typing import Any

import pytest

from dagster_project import alerts
from dagster_project.settings import Settings


class Postbox(threading.Thread):
    """A mail server on loopback that takes one message; `refuses` the recipient where told to."""

    def __init__(self, *, refuses: bool = False) -> None:
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.refuses = refuses
        self.commands: list[str] = []
        self.letter = b""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listening.getsockname()[1]}"

    def run(self) -> None:
        connection, _ = self.listening.accept()
        with connection, connection.makefile("rwb") as line:

            def say(text: str) -> None:
                line.write(text.encode() + b"\r\n")
                line.flush()

            say("220 postbox")
            while command := line.readline().decode().strip():
                self.commands.append(command)
                verb = command.partition(" ")[0].upper()
                if verb == "DATA":
                    say("354 go on")
                    while (text := line.readline()) != b".\r\n":
                        self.letter += text.removeprefix(b".")
                    say("250 taken")
                elif verb == "RCPT" and self.refuses:
                    say("550 nobody here by that name")
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 fine")


@pytest.fixture
def postbox() -> Iterator[Callable[..., Postbox]]:
    open_ones: list[Postbox] = []

    def opened(**how: Any) -> Postbox:
        box = Postbox(**how)
        box.start()
        open_ones.append(box)
        return box

    yield opened
    for box in open_ones:
        box.listening.close()


def test_the_webhook_is_called_with_what_happened(server: Any, answer: Any, make_settings: Callable[..., Settings]) -> None:
    server.on("/hook", answer(b"ok"))

    told = alerts.send(make_settings(alert_webhook=f"{server.url}/hook"), "No worklist", "the ledger is late\nand so are we")

    assert told == ["webhook"]
    (call,) = server.heard
    assert call.method == "POST"
    assert json.loads(call.body) == {"text": "No worklist\nthe ledger is late\nand so are we"}


def test_the_e_mail_arrives_with_subject_sender_and_text(
    postbox: Callable[..., Postbox], make_settings: Callable[..., Settings]
) -> None:
    box = postbox()
    settings = make_settings(alert_email_to="ar@example.com", alert_email_from="night@example.com", alert_smtp=box.address)

    told = alerts.send(settings, "Arrears: kein Ergebnis für 2025-06-30", "Größe 10\n.\nand after a lone dot")

    assert told == ["e-mail"]
    box.join(timeout=10)
    letter = message_from_bytes(box.letter, policy=policy.default)
    assert letter["Subject"] == "Arrears: kein Ergebnis für 2025-06-30"
    assert (letter["To"], letter["From"]) == ("ar@example.com", "night@example.com")
    assert letter.get_content().splitlines() == ["Größe 10", ".", "and after a lone dot"]
    assert any(command.upper().startswith("RCPT TO:<AR@EXAMPLE.COM>") for command in box.commands)


def test_nobody_is_told_where_nobody_is_named(make_settings: Callable[..., Settings]) -> None:
    assert alerts.send(make_settings(), "No worklist", "late") == []


def test_a_receiver_that_refuses_does_not_keep_the_other_from_being_told(
    server: Any, answer: Any, postbox: Callable[..., Postbox], make_settings: Callable[..., Settings], caplog: Any
) -> None:
    server.on("/hook", answer(b"", 500))
    box = postbox()
    settings = make_settings(alert_webhook=f"{server.url}/hook", alert_email_to="ar@example.com", alert_smtp=box.address)

    with caplog.at_level(logging.ERROR, logger="arrears.alerts"):
        assert alerts.send(settings, "No worklist", "late") == ["e-mail"]

    assert "the alert webhook could not be called: the server answered 500" in caplog.text


@pytest.mark.parametrize(
    "webhook",
    [
        "http://127.0.0.1:1/hook",
        "not an address",
        "http://",
        "http://nobody.invalid/hook",
        f"http://{'a' * 70}.example/hook",
        "http://\u00fc..example/hook",
    ],
    ids=["refused", "words", "no host", "unknown", "too long", "empty label"],
)
def test_a_webhook_out_of_reach_is_logged_and_never_raised(
    webhook: str, make_settings: Callable[..., Settings], caplog: Any
) -> None:
    with caplog.at_level(logging.ERROR, logger="arrears.alerts"):
        assert alerts.send(make_settings(alert_webhook=webhook), "No worklist", "late") == []

    assert "the alert webhook could not be called" in caplog.text


def test_a_receiver_that_drips_its_answer_is_left(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(alerts, "LONGEST", 0.3)
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        while True:
            try:
                connection, _ = listening.accept()
                threading.Thread(target=drop, args=(connection,), daemon=True).start()
            except OSError:
                return

    def drop(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            for sign in b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 1_000:
                connection.sendall(bytes([sign]))
                if over.wait(0.05):
                    return

    threading.Thread(target=drip, daemon=True).start()
    place = f"127.0.0.1:{listening.getsockname()[1]}"
    settings = make_settings(
        alert_webhook=f"http://{place}", alert_email_to="ar@example.com", alert_smtp=place, heartbeat_url=f"http://{place}"
    )
    try:
        with caplog.at_level(logging.ERROR, logger="arrears.alerts"):
            assert alerts.send(settings, "No worklist", "late") == []
            assert not alerts.beat(settings)
    finally:
        over.set()
        listening.close()

    assert caplog.text.count("there was no whole answer within") == 3


def test_mail_that_cannot_be_sent_is_logged_and_never_raised(
    postbox: Callable[..., Postbox], make_settings: Callable[..., Settings], caplog: Any
) -> None:
    refusing = postbox(refuses=True)
    for address in ("127.0.0.1:1", refusing.address):
        with caplog.at_level(logging.ERROR, logger="arrears.alerts"):
            assert alerts.send(make_settings(alert_email_to="ar@example.com", alert_smtp=address), "No worklist", "late") == []

    assert caplog.text.count("the alert e-mail could not be sent") == 2
    assert "nobody here by that name" in caplog.text
