"""A server that stands in for a vendor's: on loopback, filled from the book, behaving as the vendor documents.

Belongs here: what all of them share: tokens that end, limits, faults on a chosen call. Does not belong here: any vendor's shapes.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from dagster_project.loopback import LoopbackServer
from tests.listening import listening
from tests.sources.one_book import Book

ID, SECRET, CONSENT = "client-5d1", "client-s3cret-81f", "refresh-first-0aa"


@dataclass(frozen=True)
class Request:
    """What arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass(frozen=True)
class Reply:
    """What is said; a body that is no bytes is sent as JSON, decimals as numbers."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, default=float, ensure_ascii=False).encode()


class StandIn:
    """A vendor's server. `faults` are what it says to its n-th data call instead (counted from 1), `ends` the data calls before which the
    token that was good stops being so, `repeats` those answered as the one before, `heard` every data call."""

    token_path = "/token"

    def __init__(self, book: Book):
        self.book = book
        self.faults: dict[int, Reply] = {}
        self.ends: set[int] = set()
        self.repeats: set[int] = set()
        self._last = Reply()
        self.heard: list[Request] = []
        self.tokens = 0
        self.good = ""
        self.refresh = CONSENT
        self.url = ""
        self._turn = threading.Lock()

    def begin_night(self, book: Book | None = None) -> None:
        self.book = book or self.book
        self.faults, self.ends, self.repeats, self.heard = {}, set(), set(), []

    def answer(self, request: Request) -> Reply:
        with self._turn:
            if request.path == self.token_path:
                return self.token(request)
            self.heard.append(request)
            if len(self.heard) in self.ends:
                self.good = ""
            if fault := self.faults.pop(len(self.heard), None):
                return fault
            if not self.lets_in(request):
                return self.refused(request)
            if len(self.heard) not in self.repeats:
                self._last = self.data(request)
            return self._last

    def lets_in(self, request: Request) -> bool:
        return bool(self.good) and request.headers.get("Authorization") == f"Bearer {self.good}"

    def refused(self, request: Request) -> Reply:
        return Reply({"error": "not authorised"}, 401)

    def token(self, request: Request) -> Reply:
        """OAuth 2, strictly: a refresh token is good once."""
        form = request.form
        basic = base64.b64decode(request.headers.get("Authorization", "Basic ").partition(" ")[2]).decode()
        if basic not in ("", f"{ID}:{SECRET}") or (
            not basic and (form.get("client_id"), form.get("client_secret")) != (ID, SECRET)
        ):
            return Reply({"error": "invalid_client"}, 401)
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh:
            return Reply({"error": "invalid_grant"}, 400)
        self.tokens += 1
        self.good = f"access-{self.tokens}-{SECRET[-3:]}"
        answer = {"access_token": self.good, "expires_in": 1800, "token_type": "Bearer"}
        if form["grant_type"] == "refresh_token":
            self.refresh = f"refresh-{self.tokens}-of-the-chain"
            answer["refresh_token"] = self.refresh
        return Reply(answer)

    def data(self, request: Request) -> Reply:
        raise NotImplementedError


@contextmanager
def serving(stand_in: StandIn) -> Iterator[StandIn]:
    """It, listening: `stand_in.url` is where."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            reply = stand_in.answer(Request(self.command, unquote(parts.path), query, self.headers, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with listening(LoopbackServer(("127.0.0.1", 0), Handler)) as server:
        stand_in.url = f"http://127.0.0.1:{server.server_port}"
        yield stand_in


def moment(text: str) -> datetime:
    """A stamp of the book."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
