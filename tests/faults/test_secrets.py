"""No secret is written anywhere: not into the home, a log, a reason or an alert, on a good night or a bad one; and nothing that came with
the data reaches a terminal as anything but text.

The quick half asks what each door writes. The other half (`make faults`) runs nights and looks through every byte of their homes.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from nights import AS_OF, LEDGER, House, read_csv

from dagster_project import alerts, console
from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.settings import Settings
from dagster_project.sources import SourceError
from dagster_project.sources.rest import RestSource

TOKEN, PASSWORD, HOOK = "tok-5f1c9d2e7b", "pass-word-83a1", "hook-77e0c4"
SECRETS = (TOKEN, PASSWORD, HOOK)


def with_password(url: str) -> str:
    return url.replace("://", f"://reader:{PASSWORD}@")


@pytest.fixture
def erp(server: Any, answer: Any) -> Any:
    """A server with the fixtures' ledger."""
    for path in LEDGER.glob("*.csv"):
        records = [{name: value for name, value in row.items() if value} for row in read_csv(path)]
        server.on(f"/{path.stem}", answer({"data": records, "total": len(records)}))
    return server


def found(folder: Path) -> Iterator[str]:
    """Every file that has a secret in it, in its content or its name."""
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        yield from (f"{path}: {secret}" for secret in SECRETS if secret.encode() in content or secret in path.name)


def test_a_load_and_its_quarantine_say_where_it_came_from_without_the_token(erp: Any, landing: Landing) -> None:
    source = RestSource(erp.url, TOKEN)
    for name in ("customers", "invoices"):
        manifest = landing.land(DATASETS[name], source.fetch(DATASETS[name], None), AS_OF)
        assert manifest.origin == f"{erp.url}/{name}"

    assert list(found(landing.folder)) == []


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_server_that_echoes_what_it_was_told_gives_nothing_away(status: int, server: Any, answer: Any) -> None:
    server.on("/customers", answer({"error": f"Bearer {TOKEN} for reader:{PASSWORD} is not welcome"}, status))
    server.on("/invoices", answer({"data": [], "total": 7}))
    source = RestSource(server.url, TOKEN, wait=0)

    def read(name: str) -> None:
        delivery = source.fetch(DATASETS[name], None)
        list(delivery.pages if delivery else ())

    said = []
    for name in ("invoices", *(["customers"] if status != 404 else [])):
        with pytest.raises(SourceError) as refused:
            read(name)
        said.append(str(refused.value))
    assert not [text for text in said if TOKEN in text or f"reader:{PASSWORD}@" in text]


def test_an_alert_that_cannot_be_sent_does_not_say_where_to(
    server: Any, answer: Any, make_settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    server.on(f"/{HOOK}", answer(b"", 500))
    for url in (f"{server.url}/{HOOK}", f"http://127.0.0.1:1/{HOOK}", f"nowhere://{HOOK}"):
        settings = make_settings(alert_webhook=url, heartbeat_url=url)
        with caplog.at_level(logging.INFO):
            assert alerts.send(settings, "No worklist", "late") == []
            assert not alerts.beat(settings)

    assert caplog.text.count("could not be called: ") == caplog.text.count("could not be sent: ") == 3
    assert HOOK not in caplog.text


def test_what_came_with_the_data_does_nothing_to_a_terminal() -> None:
    seen = io.StringIO()
    steps = console._Steps(seen, clear=False)

    steps.handle(logging.LogRecord("arrears.ingestion", logging.WARNING, "", 0, "%s was refused", ("\x1b[2J\x07bad\r",), None))

    assert seen.getvalue().endswith("! \ufffd[2J\ufffdbad\ufffd was refused\n")


@pytest.mark.faults
def test_no_byte_of_a_home_holds_a_secret_after_a_good_night_and_after_bad_ones(erp: Any, answer: Any, tmp_path: Path) -> None:
    erp.on(f"/{HOOK}", answer(b"ok"))
    erp.on(f"/{HOOK}/beat", answer(b"ok"))
    (tmp_path / "token").write_text(TOKEN, "utf-8")
    house = House(
        tmp_path / "home",
        {
            "source": "rest",
            "rest_url": erp.url,
            "rest_token_file": str(tmp_path / "token"),
            "alert_webhook": f"{erp.url}/{HOOK}",
            "heartbeat_url": f"{erp.url}/{HOOK}/beat",
            "alert_email_to": "ar@example.com",
            "alert_smtp": "127.0.0.1:1",
            "reporting_currency": "EUR",
        },
    )

    good = house.command("run", "--date", AS_OF.isoformat())
    assert good.code == 0, good.err
    assert list(found(house.home)) == []

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        for status, body in ((401, {"error": f"no {TOKEN}"}), (200, b"<html>login \x1b[31m")):
            erp.on("/invoices", answer(body, status))
            bad = house.command("run", "--date", AS_OF.isoformat(), "--refresh")
            assert bad.code == 1
            assert not [secret for secret in SECRETS if secret in bad.out + bad.err]
            assert "\x1b" not in bad.out + bad.err
        refused = house.with_(rest_url=with_password(erp.url)).command("run", "--date", AS_OF.isoformat(), "--refresh")
        assert refused.code != 0
        assert PASSWORD not in refused.out + refused.err
    assert list(found(house.home)) == []
    assert not [
        secret for secret in (*SECRETS, quote(PASSWORD)) if secret in good.out + good.err + out.getvalue() + err.getvalue()
    ]


@pytest.mark.faults
def test_a_night_shows_what_people_are_called_and_nothing_that_moves_a_terminal(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    for path in LEDGER.glob("*.csv"):
        (ledger / path.name).write_bytes(path.read_bytes())
    inbox = tmp_path / "home" / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "a\x1b[31mb.xlsx").write_bytes(b"no workbook")
    house = House(tmp_path / "home").with_(files_dir=ledger)

    said = house.command("run", "--date", AS_OF.isoformat())

    assert said.code == 0, said.err
    assert "\x1b" not in said.out + said.err
    for log in (house.home / "logs").glob("*.log"):
        assert "\x1b" not in log.read_text("utf-8")
