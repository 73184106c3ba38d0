"""A person's consent: the vendor's page where somebody lets this program in, and what comes back from it (OAuth 2 authorization code).

Belongs here: the address to open, waiting on loopback for the browser to come back, and reading what it brings. Does not belong here: the
tokens that come of it (`auth.py`), what a person is told (`connect.py`).

The vendor sends the browser to `redirect`, which is registered with it to the letter. One of this machine is listened on; from any other
the address the browser ended at is pasted.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from dagster_project.loopback import LoopbackServer
from dagster_project.sources import SourceError
from dagster_project.sources.auth import RefreshToken
from dagster_project.words import shown

REDIRECT = "http://localhost:8765/consent"
"""Where a browser comes back to, where a connector says nothing else."""

LOOPBACK = ("localhost", "127.0.0.1")

SECONDS = 600.0
"""How long a person has."""


@dataclass(frozen=True)
class Consent:
    """Whom a person lets in, and where: `page` is the vendor's, `scope` what is asked for, `more` what else stands in its address.

    `brings` names the variables for what the vendor tells besides the code, by its name for it: `{"realmId":
    "ARREARS_QUICKBOOKS_REALM"}`.
    """

    page: str
    scope: str
    token: RefreshToken
    redirect: str = REDIRECT
    more: Mapping[str, str] = field(default_factory=dict)
    brings: Mapping[str, str] = field(default_factory=dict)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """A text that only an answer to this very question can know."""

    @property
    def address(self) -> str:
        """What a person opens in a browser."""
        asked = {
            "response_type": "code",
            "client_id": self.token.client,
            "redirect_uri": self.redirect,
            "scope": self.scope,
            "state": self.state,
            **self.more,
        }
        return f"{self.page}?{urlencode(asked)}"

    @property
    def comes_here(self) -> bool:
        """Whether the browser comes back to this machine."""
        parts = urlsplit(self.redirect)
        return parts.scheme == "http" and parts.hostname in LOOPBACK

    def asked_for(self, told: Mapping[str, str]) -> bool:
        return secrets.compare_digest(told.get("state", "").encode(), self.state.encode())

    def given(self, address: str) -> dict[str, str]:
        """Turn what the browser came back with into kept tokens; what else it brought, by variable.

        Raises:
            SourceError: it is a refusal, the answer to another question, or no answer.
        """
        told = dict(parse_qsl(urlsplit(address.strip()).query))
        if not address.strip():
            raise SourceError("nothing was pasted: run it where somebody can open the address and paste what comes of it")
        if not self.asked_for(told):
            raise SourceError("what came back is not the answer to this question: open the address shown here, and no older one")
        if refused := told.get("error"):
            why = shown(told.get("error_description") or refused)
            raise SourceError(f"the consent was not given: {why}")
        if not told.get("code"):
            raise SourceError("what came back has no code in it: paste the whole address that the browser ended at")
        self.token.consented(told["code"], self.redirect)
        return {variable: shown(told[name]) for name, variable in self.brings.items() if name in told}


class Doorstep:
    """Where the browser comes back: a server on loopback for as long as it is asked; `arrived` also takes what was pasted."""

    def __init__(self, consent: Consent):
        """
        Raises:
            SourceError: the port is taken.
        """
        self.arrived: Queue[str] = Queue()
        self._server: LoopbackServer | None = None
        if not consent.comes_here:
            return
        parts = urlsplit(consent.redirect)
        arrived, path = self.arrived, parts.path or "/"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                came = urlsplit(self.path)
                ours = came.path == path and consent.asked_for(dict(parse_qsl(came.query)))
                body = b"<!doctype html><title>Arrears</title><p>Thank you. Go back to the terminal; this page can be closed."
                self.send_response(200 if ours else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body) if ours else 0))
                self.end_headers()
                if ours:
                    self.wfile.write(body)
                    arrived.put(self.path)

            def log_message(self, format: str, *args: Any) -> None:
                """The code is a secret."""

        try:
            self._server = LoopbackServer(("127.0.0.1", parts.port or 80), Handler)
        except OSError as taken:
            raise SourceError(
                f"{consent.redirect}: the port cannot be listened on ({taken.strerror}): is another connect under way?"
            ) from None
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def wait(self, seconds: float = SECONDS) -> str:
        """The address that the browser came back to.

        Raises:
            SourceError: nobody came.
        """
        try:
            return self.arrived.get(timeout=seconds)
        except Empty:
            raise SourceError(f"nobody came back within {seconds / 60:.0f} minutes: run it again") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
