"""What a server can do to us: each fault ends within bounds, in one line of words, without our token; only what may pass is tried again."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contract import DATASETS
from dagster_project.sources import SourceError
from dagster_project.sources.answers import LIMITS, Limits
from dagster_project.sources.rest import RestSource

TOKEN = "t0ken-of-ours"
QUICK = replace(LIMITS, answer_seconds=1.0, silent_seconds=0.5, connect_seconds=0.5, attempts=2, answer_bytes=1 << 20)


def pages(source: RestSource) -> list[Any]:
    delivery = source.fetch(DATASETS["companies"], None)
    return list(delivery.pages) if delivery else []


def refusal(url: str, limits: Limits = QUICK, token: str | None = TOKEN) -> str:
    with pytest.raises(SourceError) as refused:
        pages(RestSource(url, token, wait=0.001, limits=limits))
    told = str(refused.value)
    assert len(told.splitlines()) == 1
    assert len(told) < 700
    assert told.isprintable()
    assert TOKEN not in told
    assert not re.search(r"\w(Error|Exception)\b", told), "words, never an exception's name"
    return told


@contextmanager
def raw_server(*speech: bytes, pause: float = 0.0, tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[int]]]:
    """A socket that says these bytes to whoever connects, with a pause before each. Yields its port and how often it was asked."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked: list[int] = []
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            asked.append(1)
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        try:
            with tls.wrap_socket(connection, server_side=True) if tls else connection as speaking:
                speaking.recv(65_536)
                for part in speech:
                    if over.wait(pause):
                        return
                    speaking.sendall(part)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1], asked
    finally:
        over.set()
        listening.close()


# --- how long, how large, how many ------------------------------------------------------------------------------------


def test_headers_that_drip_byte_by_byte_end_with_the_time_an_answer_may_take() -> None:
    began = time.monotonic()
    with raw_server(b"HTTP/1.1 200 OK\r\n", *[b"x"] * 1_000, pause=0.1) as (port, asked):
        told = refusal(f"http://127.0.0.1:{port}")

    assert "takes more than the 1 seconds it is given" in told
    assert len(asked) == 2
    assert time.monotonic() - began < 5


def test_a_body_that_drips_ends_too() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", *[b" "] * 1_000, pause=0.1) as (port, _):
        assert "takes more than" in refusal(f"http://127.0.0.1:{port}")


def test_a_server_that_takes_the_question_and_says_nothing_is_left() -> None:
    with raw_server(*[b"HTTP/1.1 "] * 2, pause=3) as (port, _):
        assert "nothing more came in time" in refusal(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_an_answer_that_is_too_large_is_left_whatever_it_was_packed_into(encoding: str, server: Any, answer: Any) -> None:
    body = b'{"data": [' + b" " * (3 << 20) + b"]}"
    packed = gzip.compress(body) if encoding == "gzip" else body
    server.on("/companies", answer(packed, headers={"Content-Encoding": encoding}))

    assert "larger than 1 MB" in refusal(server.url)
    assert len(server.heard) == 1


def test_pages_without_end_end(server: Any, answer: Any) -> None:
    for number in range(30):
        server.on(f"/companies?cursor={number}", answer({"data": [], "next": f"?cursor={number + 1}"}))
    server.on("/companies", answer({"data": [], "next": "?cursor=0"}))

    assert "more than 9 pages" in refusal(server.url, replace(QUICK, pages=9))
    assert len(server.heard) < 15


def test_a_dataset_has_only_so_much_time(server: Any, answer: Any) -> None:
    server.on("/companies", answer({"data": [], "next": "?cursor=0"}))

    assert "not all there after" in refusal(server.url, replace(QUICK, dataset_seconds=0.0))


# --- what is no answer ------------------------------------------------------------------------------------------------

LOGIN = b"<!DOCTYPE html><html><head><title>Sign in\x1b[31m to your account</title></head><body>t0ken-of-ours</body></html>"

FINAL = [
    (LOGIN, "is a web page («Sign in [31m to your account») and not JSON"),
    (b"\n  <html><body>proxy</body></html>", "is a web page and not JSON"),
    (b'{"data": [{"company_id": "1", "name": "Caf\xe9", "currency": "EUR"}]}', "is not UTF-8, which JSON has to be: byte 43"),
    (b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    (b'{"data": "none"}', "has no list `data`"),
    (b'{"data": ["t0ken-of-ours"]}', "is not a JSON object"),
]


@pytest.mark.parametrize(("body", "says"), FINAL, ids=range(len(FINAL)))
def test_what_will_not_be_another_answer_next_time_is_not_asked_for_again(
    body: bytes, says: str, server: Any, answer: Any
) -> None:
    server.on("/companies", answer(body))

    assert says in refusal(server.url)
    assert len(server.heard) == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_no_number_is_no_json(number: str, server: Any, answer: Any) -> None:
    server.on("/companies", answer(f'{{"data": [{{"company_id": {number}}}]}}'.encode()))

    assert f"{number} is not a number" in refusal(server.url)


def test_half_a_character_in_an_escape_costs_no_record(server: Any, answer: Any) -> None:
    server.on("/companies", answer(b'{"data": [{"company_id": "1", "name": "\\ud83d", "currency": "EUR", "x": "\\udc00"}]}'))

    delivery = RestSource(server.url).fetch(DATASETS["companies"], None)

    assert delivery is not None
    assert [row["name"] for page in delivery.pages for row in page.to_pylist()] == ["?"]


# --- what a server says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 500])
@pytest.mark.parametrize(
    "body",
    [
        b"you sent Authorization: Bearer t0ken-of-ours\x1b]0;owned\x07 and \xe2\x80\xae more",
        b'{"error": {"message": "Bearer t0ken-of-ours is not known"}}',
        b"x" * 500_000,
        LOGIN,
        b"",
    ],
    ids=["words", "json", "long", "page", "nothing"],
)
def test_a_refusal_is_short_and_shows_neither_our_token_nor_control_characters(
    status: int, body: bytes, server: Any, answer: Any
) -> None:
    server.on("/companies", answer(body, status))

    assert str(status) in refusal(server.url)


def test_a_reason_phrase_is_a_strangers_word_too() -> None:
    with raw_server(b"HTTP/1.1 418 \x1b[2Jt0ken-of-ours\r\nContent-Length: 0\r\n\r\n") as (port, _):
        assert "418" in refusal(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "speech",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
        b"\x00\xff" * 200,
        b"HTTP/1.1 two OK\r\n\r\n",
    ],
    ids=["nothing", "ssh", "headers", "bytes", "status"],
)
def test_what_is_no_http_is_said_as_that(speech: bytes) -> None:
    with raw_server(speech) as (port, _):
        assert re.search("broken off|does not speak HTTP", refusal(f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    "following",
    ["http://[::1", "http://other.example/x", "file:///etc/passwd", "/a\x00b", "/" + "a" * 20_000, "//user:pw@127.0.0.1/"],
)
def test_a_next_address_that_is_none_is_not_asked_for(following: str, server: Any, answer: Any) -> None:
    server.on("/companies", answer({"data": [], "next": following}))

    told = refusal(server.url)

    assert "next page" in told
    assert "pw" not in told
    assert len(server.heard) == 1


@pytest.mark.parametrize("size", ["9" * 400, "-1", "²", "", "1e9"])
def test_a_wait_of_any_form_is_within_bounds(size: str, server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    server.on("/companies", answer(b"", 503, {"Retry-After": size} if size.isascii() else {}))

    refusal(server.url)

    assert all(0 <= seconds <= LIMITS.longest_wait for seconds in slept)


# --- addresses and tokens ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://", "http://[::1", "http://erp.example:port", "http://erp example/", "http://user:s3cret@erp.example/", "http://e\x1b[2J/",
     "https://x/" + "y" * 9_000],
)  # fmt: skip
def test_an_address_that_is_none_is_named_with_its_setting_and_shows_no_password(url: str) -> None:
    told = refusal(url)

    assert told.startswith("ARREARS_REST_URL")
    assert "s3cret" not in told


@pytest.mark.parametrize("token", ["two\nlines", "ein Wort", "schlüssel", "\x1b[31m", "   "])
def test_a_token_that_cannot_be_one_is_named_with_its_setting_and_not_shown(token: str) -> None:
    told = refusal("http://127.0.0.1:1", token=token)

    assert told.startswith("ARREARS_REST_TOKEN")
    assert token.strip() == "" or token not in told


def test_a_token_copied_with_its_line_end_works(server: Any, answer: Any) -> None:
    server.on("/companies", answer({"data": []}))

    assert RestSource(server.url, "t0ken\r\n").fetch(DATASETS["companies"], None) is not None
    assert server.heard[0].headers["Authorization"] == "Bearer t0ken"


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder: Path = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    try:
        subprocess.run([*made, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


def test_a_certificate_nobody_vouches_for_is_said_as_that_and_not_tried_again(own_certificate: ssl.SSLContext) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", tls=own_certificate) as (port, asked):
        told = refusal(f"https://localhost:{port}")

    assert "certificate is not trusted: self-signed certificate" in told
    assert "REQUESTS_CA_BUNDLE" in told
    assert len(asked) == 1


def test_https_where_none_is_spoken_is_said_as_that(server: Any) -> None:
    told = refusal(server.url.replace("http:", "https:"))

    assert "is the address http:// and not https://?" in told


def test_a_name_that_nobody_knows_is_said_as_that() -> None:
    assert "erp.invalid is not known (DNS)" in refusal("http://erp.invalid")
