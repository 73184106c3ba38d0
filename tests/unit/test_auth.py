"""Saying who we are to a server: tokens that are fetched, renewed and kept, and what is said where they are not given."""

from __future__ import annotations

import base64
import json
import stat
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from dagster_project.sources import LoginRefusedError, NotReachedError, SourceError
from dagster_project.sources.auth import (
    Auth,
    Basic,
    ClientCredentials,
    Login,
    RefreshToken,
    SignedAssertion,
    logged_in,
    token_endpoint,
)
from dagster_project.sources.http import Http


class Issuer:
    """A token endpoint that rotates refresh tokens and takes each one once, as strict vendors do."""

    def __init__(self, good: str = "r0", seconds: str = "3600") -> None:
        self.good, self.seconds, self.asked = good, seconds, 0
        self._turn = Lock()

    def __call__(self, address: str, form: Mapping[str, str], name: tuple[str, str] | None) -> Mapping[str, Any]:
        with self._turn:
            self.asked += 1
            if form.get("refresh_token", self.good) != self.good:
                raise SourceError("the consent is no longer good (invalid_grant)")
            self.good = f"r{self.asked}"
            return {"access_token": f"a{self.asked}", "refresh_token": self.good, "expires_in": self.seconds}


def refreshing(kept: Path, issuer: Issuer, first: str = "r0") -> RefreshToken:
    return RefreshToken("https://auth.example/token", "id", "s3cret", first, kept, exchange=issuer)


def test_a_token_that_rotates_is_kept_for_its_owner_alone_before_it_is_used(tmp_path: Path) -> None:
    kept, issuer = tmp_path / "tokens" / "toy.json", Issuer()

    assert refreshing(kept, issuer).header() == "Bearer a1"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert json.loads(kept.read_text())["refresh"] == "r1"
    assert [path.name for path in kept.parent.iterdir() if path.name not in ("toy.json", "toy.json.lock")] == []


def test_the_next_night_goes_on_from_the_newest_token_and_not_from_the_one_in_the_settings(tmp_path: Path) -> None:
    kept, issuer = tmp_path / "toy.json", Issuer(seconds="1")

    assert [refreshing(kept, issuer).header() for _ in range(3)] == ["Bearer a1", "Bearer a2", "Bearer a3"]


def test_two_nights_at_once_never_use_one_token_twice(tmp_path: Path) -> None:
    kept, issuer = tmp_path / "toy.json", Issuer()

    with ThreadPoolExecutor(8) as nights:
        headers = set(nights.map(lambda _: refreshing(kept, issuer).header(), range(8)))

    assert headers == {"Bearer a1"}, "the second takes what the first has just fetched"
    assert issuer.asked == 1


def test_a_night_killed_while_it_writes_leaves_the_token_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, issuer = tmp_path / "toy.json", Issuer(seconds="1")
    refreshing(kept, issuer).header()
    before = kept.read_text()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        refreshing(kept, issuer).header()

    assert kept.read_text() == before


def test_a_new_consent_in_the_settings_begins_anew(tmp_path: Path) -> None:
    kept = tmp_path / "toy.json"
    refreshing(kept, Issuer()).header()

    assert refreshing(kept, Issuer("new"), first="new").header() == "Bearer a1"


def test_a_file_of_tokens_that_is_broken_is_named_and_not_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "toy.json"
    kept.write_text("{")

    with pytest.raises(SourceError, match=r"toy.json cannot be read, which holds the newest refresh token"):
        refreshing(kept, Issuer()).header()
    assert kept.read_text() == "{"


def test_a_token_that_the_server_refuses_is_renewed_once(server: Any, answer: Any) -> None:
    issuer = Issuer()
    auth = ClientCredentials("https://auth.example/token", "id", "s3cret", exchange=issuer)
    server.on("/data", answer(b"", 401), answer({"fine": 1}))
    http = Http(server.url, auth, setting="ARREARS_TOY_URL", credentials="ARREARS_TOY_TOKEN", wait=0.001)

    assert http.json(f"{server.url}/data") == {"fine": 1}
    assert [asked.headers["Authorization"] for asked in server.heard] == ["Bearer a1", "Bearer a2"]

    server.on("/data", answer(b"", 401))
    with pytest.raises(SourceError, match="check ARREARS_TOY_TOKEN"):
        http.json(f"{server.url}/data")
    assert len(server.heard) == 4


def test_a_token_is_used_until_shortly_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer(seconds="600")
    auth = ClientCredentials("https://auth.example/token", "id", "s3cret", exchange=issuer)
    began = time.time()

    assert (auth.header(), auth.header()) == ("Bearer a1", "Bearer a1")
    monkeypatch.setattr("time.time", lambda: began + 590)
    assert auth.header() == "Bearer a2"


def test_the_endpoint_is_told_who_asks_as_the_server_wants_it(server: Any, answer: Any) -> None:
    server.on("/token", answer({"access_token": "abc", "expires_in": 60}))

    ClientCredentials(f"{server.url}/token", "id", "s3cret", exchange=token_endpoint, scope="read").header()
    ClientCredentials(f"{server.url}/token", "id", "s3cret", exchange=token_endpoint, in_form=True).header()

    in_header, in_form = server.heard
    assert in_header.headers["Authorization"] == "Basic " + base64.b64encode(b"id:s3cret").decode()
    assert in_header.body == b"grant_type=client_credentials&scope=read"
    assert in_form.body == b"grant_type=client_credentials&client_id=id&client_secret=s3cret"
    assert "Authorization" not in in_form.headers


@pytest.mark.parametrize(
    ("status", "body", "says", "asked"),
    [
        (400, b'{"error": "invalid_grant", "you_sent": "s3cret"}', "somebody has to connect again", 1),
        (401, b"s3cret is wrong", "401 Unauthorized: *** is wrong. Check the client's id and secret", 1),
        (200, b"<html>", "not where tokens are given out", 1),
        (200, b"{}", "has no access_token", 1),
        (503, b"", "gave up after 3 attempts", 3),
    ],
)
def test_a_token_that_is_not_given_is_told_in_words_without_our_secret(
    status: int, body: bytes, says: str, asked: int, server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.on("/token", answer(body, status))

    with pytest.raises(SourceError) as refused:
        ClientCredentials(f"{server.url}/token", "id", "s3cret", exchange=token_endpoint).header()

    assert says in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert len(server.heard) == asked


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_an_assertion_is_signed_with_our_own_key(kind: str, tmp_path: Path) -> None:
    key: Any = rsa.generate_private_key(65_537, 3_072) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    auth = SignedAssertion("https://a.example", "id", "k1", tmp_path / "key.pem", exchange=Issuer(), scope=["rest"])

    head, body, signature = (base64.urlsafe_b64decode(part + "==") for part in auth.assertion(1_000).split("."))

    assert json.loads(head) == {"typ": "JWT", "alg": "PS256" if kind == "rsa" else "ES256", "kid": "k1"}
    assert json.loads(body) == {"iss": "id", "aud": "https://a.example", "iat": 1_000, "exp": 1_300, "scope": ["rest"]}
    signed = (
        auth.assertion(1_000).rpartition(".")[0].encode()
    )  # an elliptic signature is another one each time, what is signed is not
    if kind == "ec":
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    else:
        key.public_key().verify(signature, signed, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        with pytest.raises(InvalidSignature):
            key.public_key().verify(signature, signed + b"x", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


def test_a_key_file_that_holds_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("none")

    with pytest.raises(SourceError, match=r"key.pem is not a private key"):
        SignedAssertion("https://a.example", "id", "k1", tmp_path / "key.pem", exchange=Issuer())


def test_names_with_passwords_are_sent_in_either_form() -> None:
    basic, token = Basic("me", "s3cret", "X"), Basic("key", "s3cret", "X", scheme="token")

    assert basic.header() == "Basic bWU6czNjcmV0"
    assert token.header() == "token key:s3cret"
    assert all("s3cret" in auth.secrets for auth in (basic, token) if isinstance(auth, Auth))
    assert "bWU6czNjcmV0" in basic.secrets


def login(kept: Path, url: str, password: str = "s3cret") -> Login:
    def ask() -> tuple[str, float]:
        answer = logged_in(f"{url}/login", {"user": "u", "password": password}, hidden=(password,))
        return str(answer["token"]), 3_600.0

    return Login(f"{url}/login", {"ARREARS_TOY_USER": "u", "ARREARS_TOY_PASSWORD": password}, kept, ask, scheme="Token ")


@pytest.mark.parametrize(
    ("status", "asked", "is_remembered"),
    [(400, 1, True), (401, 1, True), (403, 1, True), (404, 1, False), (429, 1, False), (503, 3, False)],
)
def test_a_login_is_tried_once_and_remembered_where_who_we_are_is_refused(
    status: int, asked: int, is_remembered: bool, server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.on("/login", answer(b'{"message": "no, s3cret"}', status))
    kept = tmp_path / "memory" / "toy-refused.json"

    for _ in range(2):
        with pytest.raises(NotReachedError) as refused:
            login(kept, server.url).header()
        assert "s3cret" not in str(refused.value)

    assert len(server.heard) == (asked if is_remembered else 2 * asked)
    assert kept.exists() == is_remembered
    if is_remembered:
        assert "was refused on 20" in str(refused.value) and "ARREARS_TOY_PASSWORD" in str(refused.value)
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert "s3cret" not in kept.read_text("utf-8")


def test_other_credentials_are_tried_and_a_memory_that_is_broken_stops_all(server: Any, answer: Any, tmp_path: Path) -> None:
    kept = tmp_path / "toy-refused.json"
    server.on("/login", answer(b"", 401), answer({"token": "abc"}))
    with pytest.raises(LoginRefusedError):
        login(kept, server.url).header()
    assert login(kept, server.url, "another").header() == "Token abc"

    kept.write_text("{", "utf-8")
    with pytest.raises(LoginRefusedError, match="remove it once the credentials are right"):
        login(kept, server.url, "another").header()
    assert len(server.heard) == 2
