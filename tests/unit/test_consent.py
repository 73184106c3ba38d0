"""A person's consent: the address to open, what comes back to loopback or is pasted, and the tokens that are kept of it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

import pytest

from dagster_project.sources import SourceError
from dagster_project.sources.auth import RefreshToken, token_endpoint
from dagster_project.sources.consent import Consent, Doorstep

GIVEN = {"access_token": "acc-1", "refresh_token": "ref-1", "expires_in": 1800}


@pytest.fixture
def asked(server: Any, answer: Any, tmp_path: Path) -> Consent:
    server.on("/token", answer(GIVEN))
    token = RefreshToken(f"{server.url}/token", "client", "s3cret", "", tmp_path / "toy.json", exchange=token_endpoint)
    return Consent(
        f"{server.url}/authorize",
        "books.read offline_access",
        token,
        redirect="http://localhost:28765/consent",
        brings={"realmId": "ARREARS_TOY_REALM"},
    )


def back(consent: Consent, **told: str) -> str:
    return f"{consent.redirect}?{urlencode({'state': consent.state, **told})}"


def test_the_address_says_who_asks_for_what_and_where_to_come_back(asked: Consent) -> None:
    told = dict(parse_qsl(urlsplit(asked.address).query))

    assert (told["response_type"], told["client_id"], told["scope"]) == ("code", "client", "books.read offline_access")
    assert told["redirect_uri"] == "http://localhost:28765/consent"
    assert len(told["state"]) >= 24
    assert "s3cret" not in asked.address


def test_who_comes_back_to_this_machine_brings_the_tokens_that_nights_go_on_from(
    asked: Consent, server: Any, tmp_path: Path
) -> None:
    with Doorstep(asked) as door:
        with pytest.raises(HTTPError):
            urlopen("http://127.0.0.1:28765/consent?code=forged&state=x")
        assert b"Thank you" in urlopen(back(asked, code="c0de", realmId="4620816")).read()
        brought = asked.given(door.wait(1))

    (heard,) = server.heard
    assert dict(parse_qsl(heard.body.decode())) == {
        "grant_type": "authorization_code", "code": "c0de", "redirect_uri": "http://localhost:28765/consent"
    }  # fmt: skip
    assert brought == {"ARREARS_TOY_REALM": "4620816"}
    kept = tmp_path / "toy.json"
    assert json.loads(kept.read_text())["refresh"] == "ref-1"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    later = RefreshToken(f"{server.url}/token", "client", "s3cret", "", kept, exchange=token_endpoint)
    assert later.header() == "Bearer acc-1"
    assert len(server.heard) == 1


def test_a_consent_given_anew_stands_for_the_token_in_the_settings(server: Any, answer: Any, tmp_path: Path) -> None:
    server.on("/token", answer({"error": "invalid_grant"}, 400))

    def opened() -> RefreshToken:
        return RefreshToken(f"{server.url}/token", "client", "s3cret", "expired", tmp_path / "toy.json", exchange=token_endpoint)

    with pytest.raises(SourceError, match=r"no longer good .*somebody has to connect again, with `make connect`"):
        opened().header()

    server.on("/token", answer(GIVEN))
    opened().consented("c0de", "http://localhost/x")
    assert opened().header() == "Bearer acc-1"


def test_without_a_token_or_a_consent_the_way_to_one_is_said(server: Any, tmp_path: Path) -> None:
    token = RefreshToken(f"{server.url}/token", "client", "s3cret", "", tmp_path / "toy.json", exchange=token_endpoint)

    with pytest.raises(SourceError, match="nobody has let us in yet: `make connect SOURCE=toy` asks a person to"):
        token.header()
    assert server.heard == []


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"error": "access_denied", "error_description": "No\x1b[31m thanks"}, r"the consent was not given: No \[31m thanks"),
        ({"code": "c0de", "state": "another"}, "not the answer to this question"),
        ({}, "has no code in it: paste the whole address"),
    ],
)
def test_what_comes_back_and_is_no_consent_is_said(told: dict[str, str], says: str, asked: Consent, server: Any) -> None:
    with pytest.raises(SourceError, match=says):
        asked.given(back(asked, **told))
    assert server.heard == []


@pytest.mark.parametrize("body", [{"access_token": "a"}, {"error": "invalid_grant", "code": "c0de"}])
def test_a_code_that_brings_no_lasting_token_is_refused(body: dict[str, str], asked: Consent, server: Any, answer: Any) -> None:
    server.on("/token", answer(body, 400 if "error" in body else 200))

    with pytest.raises(SourceError, match=r"brought no refresh token|no longer good") as refused:
        asked.given(back(asked, code="c0de"))
    assert "c0de" not in str(refused.value)


def test_a_port_that_is_taken_and_nobody_who_comes_are_told(asked: Consent) -> None:
    with Doorstep(asked) as door:
        with pytest.raises(SourceError, match="is another connect under way"), Doorstep(asked):
            pass
        with pytest.raises(SourceError, match="nobody came back"):
            door.wait(0.01)
