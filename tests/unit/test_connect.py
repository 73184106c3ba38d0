"""Trying a source on, as a newcomer meets it: what is there, what it looks like, what is wrong, and a person's consent."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from dagster_project.connect import connect
from dagster_project.settings import Settings, SettingsError
from dagster_project.sources import Connector, ConnectorSettings, Opening, Right, SourceError
from dagster_project.sources.auth import RefreshToken, token_endpoint
from dagster_project.sources.catalogue import CONNECTORS
from dagster_project.sources.consent import Consent
from dagster_project.sources.rest import RestSource

LEDGER = Path(__file__).parents[1] / "fixtures" / "ledger"


class Seen(list[str]):
    """What a person sees."""

    @property
    def text(self) -> str:
        return "\n".join(self)


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_a_folder_of_files_is_counted_shown_and_held_to_the_contract(
    make_settings: Callable[..., Settings], seen: Seen, tmp_path: Path
) -> None:
    folder = tmp_path / "ledger"
    shutil.copytree(LEDGER, folder)
    broken = (folder / "payments.csv").read_text("utf-8").replace("2025-06-12", "soon")
    (folder / "payments.csv").write_text(broken, "utf-8")
    settings = make_settings(source="files", files_dir=folder)

    assert connect(settings, "files", seen.append)

    assert "settings   ARREARS_FILES_DIR                    set" in seen
    assert "invoices                      47" in seen
    assert "credit_scores                  -  none" in seen
    assert "  customer_id           0001                      0002                      0003" in seen
    assert any(line.startswith("  never filled: parent_customer_id") for line in seen)
    assert "payments: 2 of the first 13 would be refused: payment_date is not a date" in seen.text
    assert "exchange_rates: the newest record is of 2025-" in seen.text
    assert "a night takes 10 (landing_limits.csv); ARREARS_RATES=ecb has rates of every day" in seen.text
    assert seen[-1] == "\nIt can be read. A night on it: ARREARS_SOURCE=files make run"
    assert not settings.landing.exists(), "nothing of it is kept"


def test_a_database_says_what_is_wrong_query_by_query(make_settings: Callable[..., Settings], seen: Seen, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "books.db").execute("create table kunden (nr varchar, firma varchar)").connection.commit()
    queries = tmp_path / "queries"
    queries.mkdir()
    (queries / "customers.sql").write_text("select nr customer_id, firma name from kunden")
    (queries / "payments.sql").write_text("select nr payment_id from kunden")
    given = {"sql_url": f"sqlite:///{tmp_path / 'books.db'}", "sql_dir": queries}

    assert not connect(make_settings(source="sql", **given), "sql", seen.append)

    assert "payments                       -  cannot be read, see below" in seen
    assert "invoices                       -  missing, and required" in seen
    assert "payments.sql: required column customer_id, payment_date, currency, amount is missing" in seen.text
    assert "  invoices: the source has none, and a night needs it" in seen


def test_nobody_who_answers_is_asked_once_and_not_a_dataset_at_a_time(
    make_settings: Callable[..., Settings], seen: Seen, tmp_path: Path
) -> None:
    (queries := tmp_path / "queries").mkdir()
    for name in ("customers", "invoices"):
        (queries / f"{name}.sql").write_text("select 1")
    settings = make_settings(source="sql", sql_url="postgresql+psycopg://reader:s3cret@127.0.0.1:1/books", sql_dir=queries)

    assert not connect(settings, "sql", seen.append)

    assert seen[-1].startswith(
        "\nIt cannot be read:\n  ARREARS_SQL_URL: postgresql+psycopg://reader:***@127.0.0.1:1/books: connection failed"
    )
    assert "s3cret" not in seen.text


def test_a_server_that_does_not_know_us_and_one_that_lets_us_read_some(
    make_settings: Callable[..., Settings], seen: Seen, server: Any, answer: Any
) -> None:
    settings = make_settings(source="rest", rest_url=server.url, rest_token="tok3n")
    server.on("/companies", answer({"error": "no tok3n of ours"}, 401))
    assert not connect(settings, "rest", seen.append)
    assert "does not take what we say who we are by: check ARREARS_REST_TOKEN" in seen[-1]
    assert len(server.heard) == 1

    row = {"customer_id": "7", "name": "Seven\x1b[31m"}
    server.on("/companies", answer(b"", 404))
    server.on("/customers", answer({"data": [row], "total": 12_345}))
    server.on("/invoices", answer({"message": "role 'reader' may not"}, 403))
    server.on("/payments", answer({"data": [], "total": 0}))
    seen.clear()
    assert not connect(settings, "rest", seen.append)
    assert "customers                 12,345" in seen
    assert "  name                  Seven [31m" in seen
    assert "role 'reader' may not. The server knows us and does not let us read this" in seen.text
    assert "tok3n" not in seen.text


def test_settings_that_are_not_complete_or_of_nothing_are_said(make_settings: Callable[..., Settings], seen: Seen) -> None:
    with pytest.raises(SettingsError, match="the source `tryton` needs ARREARS_TRYTON_URL"):
        connect(make_settings(), "tryton", seen.append)
    with pytest.raises(SettingsError, match=r"'nowhere' is none of .*business_central, .*demo, .*ecb"):
        connect(make_settings(), "nowhere", seen.append)


# --- a vendor that wants a person's consent ---------------------------------------------------------------------------


class ShopSettings(ConnectorSettings, env_prefix="ARREARS_SHOP_"):
    url: str
    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr = SecretStr("")
    redirect: str = "http://localhost:28766/consent"
    realm: str = ""


def token_of(own: ShopSettings, opening: Opening) -> RefreshToken:
    first = own.refresh_token.get_secret_value()
    kept = opening.home / "tokens" / "shop.json"
    return RefreshToken(
        f"{own.url}/token", own.client_id, own.client_secret.get_secret_value(), first, kept, exchange=token_endpoint
    )


def opened(own: ShopSettings, opening: Opening) -> RestSource:
    if not own.realm:
        raise SourceError("ARREARS_SHOP_REALM: say which")
    source = RestSource(own.url, wait=0)
    source.http.session.auth = source.http.auth = token_of(own, opening)
    return source


SHOP = Connector(
    name="shop",
    settings=ShopSettings,
    opened=opened,
    words=lambda own: own.url,
    needs="ARREARS_SHOP_URL, ARREARS_SHOP_CLIENT_ID and ARREARS_SHOP_CLIENT_SECRET",
    gives=frozenset({"ledger"}),
    consent=lambda own, opening: Consent(
        f"{own.url}/authorize", "read", token_of(own, opening), redirect=own.redirect, brings={"realmId": "ARREARS_SHOP_REALM"}
    ),
)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, server: Any, answer: Any, make_settings: Callable[..., Settings]) -> Settings:
    monkeypatch.setitem(CONNECTORS, "shop", SHOP)
    for name in ("customers", "invoices", "payments"):
        server.on(f"/{name}", answer({"data": [], "total": 0}))
    server.on("/token", answer({"access_token": "acc-1", "refresh_token": "ref-1", "expires_in": 1800}))
    return make_settings(source="shop", shop_url=server.url, shop_client_id="me", shop_client_secret="s3cret")


def test_a_person_is_led_to_the_vendor_and_back_and_the_night_goes_on_from_there(
    shop: Settings, seen: Seen, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARREARS_SHOP_REALM", "")  # and what connect puts there goes with the test

    def browser(line: str) -> None:
        seen.append(line)
        if address := next((word for word in line.split() if word.startswith(f"{server.url}/authorize?")), None):
            asked = dict(parse_qsl(urlsplit(address).query))
            came = f"{asked['redirect_uri']}?{urlencode({'state': asked['state'], 'code': 'c0de', 'realmId': '99'})}"
            Thread(target=lambda: urlopen(came).read()).start()

    assert connect(shop, "shop", browser, answers=io.StringIO())

    assert "nobody has let us in yet" in seen.text
    assert "consent    given; the token is kept under ARREARS_HOME, for its owner only" in seen
    assert "           ARREARS_SHOP_REALM=99  is what the consent is for: set it so" in seen
    assert {heard.headers.get("Authorization") for heard in server.heard if heard.method == "GET"} == {"Bearer acc-1"}
    assert not [secret for secret in ("s3cret", "acc-1", "ref-1", "c0de") if secret in seen.text]

    seen.clear()
    assert connect(shop, "shop", seen.append, answers=io.StringIO())
    assert "consent    good" in seen
    assert [heard.path for heard in server.heard].count("/token") == 1


def test_an_expired_consent_is_asked_for_anew_and_an_address_may_be_pasted(
    shop: Settings, seen: Seen, server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARREARS_SHOP_REFRESH_TOKEN", "expired")
    monkeypatch.setenv("ARREARS_SHOP_REDIRECT", "https://shop.example/playground")
    server.on("/token", answer({"error": "invalid_grant"}, 400))

    assert not connect(shop, "shop", seen.append, answers=io.StringIO("https://shop.example/playground?code=c0de&state=old\n"))

    assert "the consent is no longer good (invalid_grant): somebody has to connect again" in seen.text
    assert "Paste the whole address here that the browser ends at:" in seen
    assert "not the answer to this question" in seen[-1]

    assert not connect(shop, "shop", seen.append, answers=io.StringIO())
    assert "nothing was pasted" in seen[-1], "nobody is there to paste"


def test_what_is_missing_in_rights_is_said_before_a_night_finds_out(
    shop: Settings, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = [Right("invoices"), Right("credit notes (allocations)", "403 Forbidden. Tick «Sales: read»")]
    monkeypatch.setitem(CONNECTORS, "shop", replace(SHOP, consent=None, rights=lambda source: iter(rights)))
    monkeypatch.setenv("ARREARS_SHOP_REFRESH_TOKEN", "r0")
    monkeypatch.setenv("ARREARS_SHOP_REALM", "99")

    assert not connect(shop, "shop", seen.append)

    assert "\nWhat is missing in rights:" in seen
    assert "  credit notes (allocations): 403 Forbidden. Tick «Sales: read»" in seen
