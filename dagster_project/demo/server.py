"""The demo's HTTP: contract.md section 2.1, as an ERP and a bureau would speak it.

Belongs here: paging, `updated_since`, the token, errors as JSON. Does not belong here: what the records say (`book.py`).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from threading import Lock, Thread
from urllib.parse import parse_qs, urlencode, urlsplit

from dagster_project.demo.book import Row, Table
from dagster_project.loopback import LoopbackServer

PAGE_ROWS = 1_000
MOST_ROWS = 10_000
HOST = "127.0.0.1"


class BadRequest(Exception):
    """A parameter means nothing; the message is for the caller."""


class Shelf:
    """The book behind the server, made in the background: the address can be told before the book is there."""

    def __init__(self, make: Callable[[], Mapping[str, Table]]):
        self._lock = Lock()
        self._make = make
        self._ordered = cache(self._in_order)
        self._book: Mapping[str, Table] | None = None

    @property
    def book(self) -> Mapping[str, Table]:
        with self._lock:
            if self._book is None:
                self._book = self._make()
            return self._book

    def _in_order(self, dataset: str) -> tuple[list[Row], list[str]]:
        """The rows in an order that stays, by last change where there is one; and those changes."""
        table = self.book[dataset]
        if "updated_at" not in table.columns:
            return table.rows, []
        at = table.columns.index("updated_at")
        rows = sorted(table.rows, key=lambda row: (str(row[at]), str(row[0])))
        return rows, [str(row[at]) for row in rows]

    def page(self, dataset: str, parameters: Mapping[str, str]) -> dict[str, object]:
        """One page of a dataset.

        Raises:
            KeyError: there is no such dataset.
            BadRequest: a parameter is unknown or cannot be read.
        """
        columns = self.book[dataset].columns
        unknown = parameters.keys() - {"updated_since", "limit", "cursor"}
        if unknown:
            raise BadRequest(f"unknown parameter {', '.join(sorted(unknown))}: there are updated_since, limit and cursor")
        limit = min(_whole("limit", parameters.get("limit", str(PAGE_ROWS)), least=1), MOST_ROWS)
        begin = _whole("cursor", parameters.get("cursor", "0"), least=0)
        since = parameters.get("updated_since")
        rows, changed = self._ordered(dataset)
        first = bisect_left(changed, _second(since)) if since is not None else 0
        end = first + begin + limit
        data = [
            {column: value for column, value in zip(columns, row, strict=True) if value is not None}
            for row in rows[first + begin : end]
        ]
        following = None
        if end < len(rows):
            following = f"/{dataset}?{urlencode({**parameters, 'limit': limit, 'cursor': begin + limit})}"
        return {"data": data, "next": following, "total": len(rows) - first}


def _whole(name: str, text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise BadRequest(f"{name}: {text!r} is not a whole number from {least}")
    return int(text)


def _second(text: str) -> str:
    """A time as the book writes it, in whole seconds: a fraction is the next second, since no record has one."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"updated_since: {text!r} is not a time such as 2025-06-29T22:15:00Z") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if at.microsecond:
        at = at.replace(microsecond=0) + timedelta(seconds=1)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class DemoServer(LoopbackServer):
    """A server on loopback. `token` is what a caller has to bear."""

    def __init__(self, make: Callable[[], Mapping[str, Table]], token: str, port: int = 0):
        super().__init__((HOST, port), _Handler)
        self.shelf = Shelf(make)
        self.token = token
        Thread(target=lambda: self.shelf.book, name="demo-book", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True
    server: DemoServer

    def do_GET(self) -> None:
        if not compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {self.server.token}".encode()):
            self._error(HTTPStatus.UNAUTHORIZED, "the bearer token is missing or wrong", {"WWW-Authenticate": "Bearer"})
            return
        address = urlsplit(self.path)
        dataset = address.path.strip("/")
        given = parse_qs(address.query, keep_blank_values=True)
        try:
            page = self.server.shelf.page(dataset, {name: values[-1] for name, values in given.items()})
        except KeyError:
            self._error(HTTPStatus.NOT_FOUND, f"there is no dataset {dataset!r}")
        except BadRequest as bad:
            self._error(HTTPStatus.BAD_REQUEST, str(bad))
        else:
            self._answer(HTTPStatus.OK, page)

    def _refuse(self) -> None:
        self.close_connection = True  # a body may follow that nobody reads
        self._error(HTTPStatus.METHOD_NOT_ALLOWED, "this ledger can only be read: GET", {"Allow": "GET"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _refuse  # noqa: N815

    def _error(self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        self._answer(status, {"error": message}, headers)

    def _answer(self, status: HTTPStatus, content: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the run that started the server has a log of its own."""
