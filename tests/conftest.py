"""What several test modules share: an environment of its own for each test, the store, a server that answers as told."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pytest
from aiosmtpd.controller import Controller

from dagster_project.landing import Landing
from dagster_project.loopback import LoopbackServer
from dagster_project.settings import Settings
from tests.listening import listening
from tests.post_office import Office, free_port

LONG = (
    *("test_six_weeks", "test_mornings", "test_refusals", "test_cases", "test_demo_mornings", "test_random_books"),
    *("test_delivery_killed", "test_rehearsal", "test_policy_packs", "test_unit_tests", "test_replay", "test_compact"),
)
"""The modules that take longest, longest first: begun last, one of them would keep one process busy while the others idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer has in the environment or in `.env` is not part of a test."""
    for name in [name for name in os.environ if name.startswith("ARREARS_") and name != "ARREARS_UPDATE_GOLDEN"]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture
def make_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings of a run that writes under the test's own folder. What a connector reads of its own goes into the environment."""

    def make(**fields: Any) -> Settings:
        for name in [name for name in fields if name not in Settings.model_fields]:
            monkeypatch.setenv(f"ARREARS_{name.upper()}", str(fields.pop(name)))
        return Settings(**{"home": tmp_path / "data", **fields})

    return make


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def post_office(office: Office) -> Iterator[Controller]:
    """The mail server of the office."""
    controller = Controller(office, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing", tmp_path / "quarantine")


@pytest.fixture(scope="session")
def manifest() -> dict[str, Any]:
    """The dbt project as dbt parsed it."""
    from dagster_project import dbt_build

    dbt_build.prepare()
    return json.loads(dbt_build.MANIFEST.read_text("utf-8"))


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `body` that is no bytes is sent as JSON; `announced` is a Content-Length that may be a lie; `reset` drops
    the connection instead of answering."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None
    reset: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Heard:
    """One request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class ProgrammedServer(LoopbackServer):
    """A server on loopback that gives each path its answers in turn, the last one for ever; 404 for every other path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[Heard] = []
        self.answers: dict[str, list[Answer]] = {}
        self._turn = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def on(self, path: str, *answers: Answer) -> None:
        """`path` with its query, or without where the query does not matter."""
        self.answers[path] = list(answers)

    def next_answer(self, target: str) -> Answer:
        with self._turn:
            left = self.answers.get(target) or self.answers.get(urlsplit(target).path)
            if not left:
                return Answer({"error": "no such dataset"}, 404)
            return left.pop(0) if len(left) > 1 else left[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ProgrammedServer

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.heard.append(Heard(self.command, address.path, dict(parse_qsl(address.query)), dict(self.headers), body))
        answer = self.server.next_answer(self.path)
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content) if answer.announced is None else answer.announced))
        self.end_headers()
        self.wfile.write(answer.content)
        self.close_connection = answer.announced is not None

    do_POST = do_GET  # noqa: N815

    def finish(self) -> None:
        with suppress(OSError, ValueError):  # the connection was reset on purpose
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Tests read `heard`."""


@pytest.fixture
def server() -> Iterator[ProgrammedServer]:
    with listening(ProgrammedServer()) as programmed:
        yield programmed


@pytest.fixture(scope="module")
def module_server() -> Iterator[ProgrammedServer]:
    """One for fixtures that a whole module looks at."""
    with listening(ProgrammedServer()) as programmed:
        yield programmed


@pytest.fixture(scope="session")
def answer() -> type[Answer]:
    """The class of what a `server` is told to say."""
    return Answer


@pytest.fixture(scope="session")
def mart(manifest: dict[str, Any]) -> Callable[..., pa.Table]:
    """A mart as the dbt project declares it, holding the rows given; a column that a row leaves out is null."""
    columns = {
        node["name"]: {column["name"]: column["data_type"] for column in node["columns"].values()}
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    }

    def made(name: str, *rows: dict[str, Any]) -> pa.Table:
        schema = pa.schema([(column, _arrow(kind)) for column, kind in columns[name].items()])
        assert not {column for row in rows for column in row} - set(schema.names), "a column the mart does not have"
        return pa.Table.from_pylist(list(rows), schema)

    return made


def _arrow(kind: str) -> pa.DataType:
    if kind.startswith("decimal"):
        precision, scale = kind.removeprefix("decimal(").rstrip(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    plain = {"string": pa.string(), "date": pa.date32(), "integer": pa.int32(), "bigint": pa.int64()}
    return {**plain, "boolean": pa.bool_(), "timestamp": pa.timestamp("us")}[kind]
