"""How much of the machine a file or an answer can take that was made to take all of it: it is refused in words, or read, within bounds.

Belongs here: what is parsed in the night's own process (CSV, JSON), and what other servers than the source's send. Does not belong here:
what a process of its own holds to its bounds (`unit/test_bounded.py`). Each case runs in a process whose memory is measured.
"""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dagster_project import alerts
from dagster_project.paths import ROOT
from dagster_project.settings import Settings
from dagster_project.sources import SourceError, auth
from dagster_project.sources.answers import VALUES, exact_json
from dagster_project.sources.auth import token_endpoint

MEASURED = """
import json, resource, sys
from pathlib import Path
from dagster_project.contract import DATASETS
from dagster_project.sources import SourceError
from dagster_project.sources.files import FilesSource
from dagster_project.sources.answers import TooMuch, exact_json

def read(path):
    if path.suffix == ".json":
        return len(exact_json(path.read_bytes(), whole=str))
    return sum(len(page) for page in FilesSource(path.parent).fetch(DATASETS["companies"], None).pages)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 << 20 if sys.platform == "darwin" else 1 << 10)

before, said = peak(), []
for name in sys.argv[1:]:
    try:
        said.append(str(read(Path(name))))
    except (SourceError, TooMuch) as refused:
        said.append(str(refused))
print(json.dumps([said, peak() - before]))
"""

QUICK, LARGE = 24 << 20, 200 << 20
MEGABYTES = 400
HEADER = b"company_id,name,currency\n"


def measured(*paths: Path) -> tuple[list[str], int]:
    """What came of reading each file, and how many megabytes more than before it took at most."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, paths)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    said, megabytes = json.loads(done.stdout)
    return said, megabytes


def of(size: int, pattern: bytes) -> bytes:
    return pattern * (size // len(pattern))


HOSTILE: dict[str, tuple[Callable[[int], bytes], str]] = {
    "a header without end": (lambda size: of(size, b"x"), "more characters than a record can have"),
    "a header of delimiters": (lambda size: of(size, b","), "more characters than a record can have"),
    "nothing but line ends": (lambda size: of(size, b"\n"), "more characters than a record can have"),
    "nothing but zeros": (lambda size: of(size, b"\x00"), "cannot be read as CSV"),
    "a line without end": (lambda size: HEADER + b"A," + of(size, b"x") + b",EUR\n", "more characters than a record can have"),
    "a line of delimiters": (lambda size: HEADER + of(size, b","), "more characters than a record can have"),
    "a record over all lines": (lambda size: HEADER + of(size, b'"\n",'), "more characters than a record can have"),
    "a quotation mark that is not closed": (lambda size: HEADER + b'A,"' + of(size, b"xy\n"), "is a quotation mark not closed"),
    "a last line that is wrong": (lambda size: HEADER + of(size, b"A,some name of somebody,EUR\n") + b"x\n", "1 value where"),
}


def hostile(name: str, size: int, folder: Path) -> Path:
    path = folder / name.replace(" ", "-") / "companies.csv"
    path.parent.mkdir()
    path.write_bytes(HOSTILE[name][0](size))
    return path


def refused_in_words(said: str, name: str) -> None:
    assert HOSTILE[name][1] in said
    assert len(said.splitlines()) == 1 and len(said) < 1_000 and said.isprintable()


def test_csv_files_made_to_take_all_memory_are_refused_within_bounds(tmp_path: Path) -> None:
    all_said, megabytes = measured(*(hostile(name, QUICK, tmp_path) for name in HOSTILE))

    for said, name in zip(all_said, HOSTILE, strict=True):
        refused_in_words(said, name)
    assert megabytes < MEGABYTES


@pytest.mark.faults
@pytest.mark.parametrize("name", HOSTILE)
def test_a_csv_made_to_take_all_memory_is_refused_within_the_same_bounds_whatever_its_size(name: str, tmp_path: Path) -> None:
    (said,), megabytes = measured(hostile(name, LARGE, tmp_path))

    refused_in_words(said, name)
    assert megabytes < MEGABYTES


def test_columns_the_contract_does_not_know_take_no_more_than_a_part_of_a_page_at_once(tmp_path: Path) -> None:
    names = b",".join(b"a column that nobody knows %04d" % number for number in range(1_900))
    (tmp_path / "companies.csv").write_bytes(HEADER[:-1] + b"," + names + b"\n" + (b"A,B,EUR," + b"x," * 1_899 + b"x\n") * 600)

    (said,), megabytes = measured(tmp_path / "companies.csv")

    assert said == "600"
    assert megabytes < 600


ANSWERS: dict[str, Callable[[int], bytes]] = {
    "lists in a list": lambda size: b"[" + of(size, b"[],") + b"[]]",
    "objects in a list": lambda size: b"[" + of(size, b'{"":1},') + b"{}]",
    "numbers": lambda size: b"[" + of(size, b"11,") + b"11]",
    "an object of all names": lambda size: b"{" + b",".join(b'"%d":1' % number for number in range(size // 12)) + b"}",
}


@pytest.mark.parametrize(
    "name", [*list(ANSWERS)[:1], *(pytest.param(name, marks=pytest.mark.faults) for name in list(ANSWERS)[1:])]
)
def test_an_answer_made_of_nothing_but_values_is_refused_before_it_is_parsed(name: str, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_bytes(ANSWERS[name](64 << 20))

    (said,), megabytes = measured(path)

    assert said == f"it holds more than {VALUES:,} values"
    assert megabytes < 200


@pytest.mark.faults
@pytest.mark.parametrize(
    "value", [b"[],", b'{"":1},', b"11,", b'"\xf0\x9f\x98\x80",'], ids=["lists", "objects", "numbers", "wide texts"]
)
def test_an_answer_with_as_many_values_as_it_may_have_is_read_within_bounds(value: bytes, tmp_path: Path) -> None:
    signs = sum(map(value.count, (b",", b"[", b"{")))
    path = tmp_path / "answer.json"
    path.write_bytes(b"[" + value * ((VALUES - 2) // signs) + b"0]")

    (said,), megabytes = measured(path)

    assert said.isdigit()
    assert megabytes < 1_000


@pytest.mark.parametrize("number", [b"1e99999999999999999999", b"-1E-99999999999999999999"])
def test_an_exponent_nobody_can_mean_is_no_json_and_no_fault_of_ours(number: bytes) -> None:
    with pytest.raises(ValueError, match="an exponent that nobody can mean"):
        exact_json(b'{"amount": ' + number + b"}")


# --- what packs itself small, and who is no source --------------------------------------------------------------------


def test_an_answer_packed_twice_is_as_large_as_what_comes_out(server: Any, answer: Any) -> None:
    from dagster_project.contract import DATASETS
    from dagster_project.sources.rest import RestSource

    packed = gzip.compress(gzip.compress(b" " * (256 << 20), compresslevel=1))
    assert len(packed) < 64 << 10
    server.on("/companies", answer(packed, headers={"Content-Encoding": "gzip, gzip"}))

    with pytest.raises(SourceError, match="larger than 64 MB"):
        RestSource(server.url, wait=0.001).fetch(DATASETS["companies"], None)
    assert len(server.heard) == 1


@contextmanager
def endless(speech: bytes) -> Iterator[str]:
    """A server that says so, then blanks without end. Yields its address."""
    listening, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65_536)
                connection.sendall(speech)
                while not over.wait(0.01):
                    connection.sendall(b" " * 65_536)
            except OSError:
                return

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        over.set()
        listening.close()


def test_a_token_endpoint_that_never_ends_is_left() -> None:
    speech = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    with endless(speech) as address, pytest.raises(SourceError, match="larger than 1 MB") as refused:
        token_endpoint(address, {"refresh_token": "s3cret"}, ("id", "pass"))
    assert "s3cret" not in str(refused.value)


def test_a_token_endpoint_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "TOKEN_SECONDS", 0.3)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with endless(b"") as address, pytest.raises(SourceError, match=r"no whole answer|does not speak HTTP"):
        token_endpoint(address, {}, None)


def test_whoever_hears_an_alert_may_talk_without_end(make_settings: Callable[..., Settings]) -> None:
    with endless(b"HTTP/1.1 200 OK\r\n\r\n") as address:
        settings = make_settings(alert_webhook=address, heartbeat_url=address)

        assert alerts.send(settings, "No worklist", "late") == ["webhook"]
        assert alerts.beat(settings)
