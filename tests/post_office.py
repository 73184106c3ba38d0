"""A mail server on loopback that does with each letter what a test plans, and remembers what it took."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope


@dataclass
class Office:
    """A mail server's mind: what it took, and what it does with the next letter to somebody."""

    letters: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    does: dict[str, list[str]] = field(default_factory=dict)
    taking: threading.Event = field(default_factory=threading.Event)

    def next_for(self, receiver: str, when: str) -> str:
        planned = self.does.get(receiver) or [""]
        return planned.pop(0) if planned[0].startswith(when) else ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        if told := self.next_for(address, "rcpt"):
            return told.removeprefix("rcpt ")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        receiver = envelope.rcpt_tos[0]
        told = self.next_for(receiver, "data")
        self.taking.set()
        if told == "data lost":  # never taken, and never said so
            server.transport.abort()
            return "421 gone"
        if told.startswith(("data 4", "data 5")):
            return told.removeprefix("data ")
        assert isinstance(envelope.content, bytes)
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        self.to += envelope.rcpt_tos
        if told == "data taken, lost":
            server.transport.abort()
        if told == "data taken, slow":
            await asyncio.sleep(30)
        return "250 OK"


def at(server: Controller) -> str:
    return f"127.0.0.1:{server.port}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def report(
    address: str, quotes: str = "", *, action: str = "failed", status: str = "5.1.1", quoted: str = "text/rfc822-headers"
) -> bytes:
    """A delivery report as mail servers write them (RFC 3464)."""
    original = f"From: ar@example.com\r\nTo: {address}\r\nMessage-ID: {quotes}\r\nSubject: Overdue\r\n"
    body = "" if quoted == "text/rfc822-headers" else "\r\nPlease pay.\r\n"
    parts = [
        "Content-Type: text/plain\r\n\r\nI am sorry to have to inform you that your message could not be delivered.\r\n",
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.example.com\r\n\r\n"
        f"Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; 550 {status} <{address}>:\r\n    user unknown\r\n",
        *([f"Content-Type: {quoted}\r\n\r\n{original}{body}"] if quotes else []),
    ]
    lines = [
        "From: MAILER-DAEMON@mail.example.com (Mail Delivery System)\r\nTo: ar@example.com\r\nSubject: Undelivered Mail\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n',
        *(f"--b\r\n{part}" for part in parts),
        "--b--\r\n",
    ]
    return "\r\n".join(lines).encode()
