"""The environment: what it may say, what is taken where it says nothing, and one clear line for what it must not say."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dagster_project import kept
from dagster_project import settings as environment
from dagster_project.kept import KeptError
from dagster_project.paths import ROOT
from dagster_project.settings import Settings, SettingsError
from dagster_project.sources.catalogue import CONNECTORS


def load_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"ARREARS_{name}", value)
    return environment.load()


def test_with_nothing_set_the_demo_runs_and_writes_into_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    settings = environment.load()

    assert (settings.source, settings.bureau_name, settings.policy) == ("demo", "demo", "net_terms")
    assert settings.home == ROOT / "data", "from the project's folder, wherever the command is given"
    assert (settings.reporting_currency, settings.timezone) == ("", "UTC")


@pytest.mark.parametrize(
    ("source", "more", "bureau"),
    [
        ("demo", {}, "demo"),
        ("files", {"FILES_DIR": "books"}, "files"),
        ("rest", {"REST_URL": "http://erp.example"}, "rest"),
        ("files", {"FILES_DIR": "books", "BUREAU": "none"}, "none"),
        ("demo", {"BUREAU": "none"}, "none"),
    ],
)
def test_scores_come_from_where_the_ledger_comes_unless_another_bureau_is_named(
    source: str, more: dict[str, str], bureau: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_with(monkeypatch, SOURCE=source, **more).bureau_name == bureau


def test_a_relative_folder_starts_at_the_project_and_an_absolute_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with(monkeypatch, HOME="books/out", SOURCE="files", FILES_DIR="/var/ledger")

    assert settings.home == ROOT / "books" / "out"
    assert settings.own(CONNECTORS["files"]).dir == Path("/var/ledger")


def test_everything_written_lies_under_one_folder(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    settings = make_settings(home=tmp_path)

    names = {name: getattr(settings, name) for name in ("landing", "quarantine", "warehouse", "published", "worklists")}
    assert names == {name: tmp_path / name for name in names}
    assert settings.dagster_home == tmp_path / "dagster"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SOURCE": "sap"}, ["ARREARS_SOURCE", "'files', 'netsuite', 'odoo', 'quickbooks', 'rest'"]),
        ({"BUREAU": "somebody"}, ["ARREARS_BUREAU", "none"]),
        ({"SOURCE": "files"}, ["ARREARS_FILES_DIR"]),
        ({"SOURCE": "rest"}, ["ARREARS_REST_URL", "ARREARS_REST_TOKEN"]),
        ({"BUREAU": "files"}, ["ARREARS_FILES_DIR"]),
        ({"REPORTING_CURRENCY": "euro"}, ["ARREARS_REPORTING_CURRENCY"]),
        ({"TIMEZONE": "Mars/Olympus"}, ["ARREARS_TIMEZONE", "'Mars/Olympus'", "Europe/Berlin"]),
        ({"TIMEZONE": "../etc/passwd"}, ["ARREARS_TIMEZONE"]),
        ({"KEEP_WAREHOUSES": "-1"}, ["ARREARS_KEEP_WAREHOUSES"]),
        ({"KEEP_WAREHOUSES": "some"}, ["ARREARS_KEEP_WAREHOUSES", "integer"]),
        ({"ALERT_SMTP": "mail.example:smtp"}, ["ARREARS_ALERT_SMTP"]),
    ],
)
def test_a_value_that_means_nothing_is_one_line_that_names_the_variable(
    variables: dict[str, str], says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError) as refused:
        load_with(monkeypatch, **variables)

    (line,) = str(refused.value).splitlines()
    assert all(part in line for part in says), line
    assert ".env.example" in line


def test_every_bad_value_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as refused:
        load_with(monkeypatch, SOURCE="sap", TIMEZONE="Mars/Olympus")

    assert len(str(refused.value).splitlines()) == 2


def test_a_variable_that_is_there_but_empty_is_as_good_as_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with(monkeypatch, SOURCE="", BUREAU="", TIMEZONE="", REST_URL="http://erp.example", REST_TOKEN="")

    assert (settings.source, settings.bureau, settings.timezone) == ("demo", None, "UTC")
    assert settings.own(CONNECTORS["rest"]).token is None


def test_a_file_of_variables_works_and_the_environment_wins_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("ARREARS_POLICY=segments\nARREARS_TIMEZONE=Asia/Tokyo\nOTHER=1\n")
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")

    settings = load_with(monkeypatch, TIMEZONE="Europe/Berlin")

    assert (settings.policy, settings.timezone) == ("segments", "Europe/Berlin")


def test_the_token_does_not_show_where_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with(monkeypatch, SOURCE="rest", REST_URL="http://erp.example", REST_TOKEN="s3cret-token")
    own = settings.own(CONNECTORS["rest"])

    assert "s3cret" not in f"{settings!r} {settings} {own!r} {own} {CONNECTORS['rest'].words(own)}"
    assert own.token.get_secret_value() == "s3cret-token"


def test_today_is_the_date_where_the_company_is(make_settings: Callable[..., Settings]) -> None:
    east, west = make_settings(timezone="Pacific/Kiritimati"), make_settings(timezone="Pacific/Pago_Pago")

    assert east.today() - west.today() in (timedelta(days=1), timedelta(days=2)), "25 hours lie between the two"
    assert east.today() == datetime.now(ZoneInfo("Pacific/Kiritimati")).date()


def documented() -> dict[str, str]:
    """Variables of `.env.example` with the default each line shows."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return dict(re.findall(r"^#?(ARREARS_[A-Z_]+)=(.*)$", "\n".join(lines), flags=re.MULTILINE))


def test_the_example_file_documents_every_variable_and_no_other() -> None:
    assert set(documented()) == environment.variables()


def test_the_example_file_shows_the_true_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = environment.load()
    for name, value in documented().items():
        monkeypatch.setenv(name, value)

    assert environment.load() == plain


def test_a_slip_of_the_pen_is_told_with_what_was_probably_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = tmp_path / ".env"
    written.write_text("ARREARS_POLCY=segments\nARREARS_HOME=data\n", "utf-8")
    monkeypatch.setitem(Settings.model_config, "env_file", written)
    monkeypatch.setenv("ARREARS_COLOUR", "red")
    monkeypatch.setenv("ARREARS_SOURCE", "demo")

    assert environment.not_understood() == [
        "ARREARS_COLOUR is not a setting and was ignored",
        "ARREARS_POLCY is not a setting and was ignored; ARREARS_POLICY is one",
    ]


# --- values in files --------------------------------------------------------------------------------------------------


def test_a_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "token": "s3cret-token\n",
        "hook": "https://hooks.example/s3cret\r\n",
        "dotenv": "ARREARS_REST_TOKEN_FILE=",
    }.items():
        (tmp_path / name).write_bytes(value.encode())
    (tmp_path / "dotenv").write_text(f"ARREARS_REST_TOKEN_FILE={tmp_path / 'token'}\n", "utf-8")
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / "dotenv")

    settings = load_with(monkeypatch, SOURCE="rest", REST_URL="http://erp.example", ALERT_WEBHOOK_FILE=str(tmp_path / "hook"))

    assert settings.own(CONNECTORS["rest"]).token.get_secret_value() == "s3cret-token"
    assert settings.alert_webhook is not None
    assert settings.alert_webhook.get_secret_value() == "https://hooks.example/s3cret"
    assert "s3cret" not in repr(settings)
    assert environment.not_understood() == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ALERT_WEBHOOK_FILE": "{}/none"}, "ARREARS_ALERT_WEBHOOK_FILE: {}/none cannot be read: No such file or directory"),
        ({"ALERT_WEBHOOK_FILE": "{}/empty"}, "ARREARS_ALERT_WEBHOOK_FILE: {}/empty is empty"),
        ({"ALERT_WEBHOOK_FILE": "{}/bytes"}, "ARREARS_ALERT_WEBHOOK_FILE: {}/bytes holds no text"),
        ({"ALERT_WEBHOOK_FILE": "{}/long"}, "ARREARS_ALERT_WEBHOOK_FILE: {}/long is too long for a value"),
        (
            {"ALERT_WEBHOOK_FILE": "{}/fine", "ALERT_WEBHOOK": "http://b"},
            "ARREARS_ALERT_WEBHOOK and ARREARS_ALERT_WEBHOOK_FILE are both set",
        ),
        (
            {"SOURCE": "rest", "REST_URL": "http://erp.example", "REST_TOKEN_FILE": "{}/none"},
            "ARREARS_REST_TOKEN_FILE: {}/none cannot be read",
        ),
    ],
)
def test_a_file_that_holds_no_value_is_one_line_that_names_the_variable(
    variables: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in {"empty": b"\n", "bytes": b"\xff\xfe", "long": b"x" * 70_000, "fine": b"http://a"}.items():
        (tmp_path / name).write_bytes(content)

    with pytest.raises(SettingsError) as told:
        load_with(monkeypatch, **{name: value.format(tmp_path) for name, value in variables.items()})

    assert words.format(tmp_path) in str(told.value)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TIMEZONE", "Europe", "'Europe' is not a time zone"),
        ("TIMEZONE", "A" * 300, "is not a time zone"),
        ("ALERT_SMTP", "mail.example:99999", "write it as in mail.example:25"),
        ("MEMORY_LIMIT", "a lot", "write it as in 1500MB"),
        ("MEMORY_LIMIT", "99999999999999999999TB", "write it as in 1500MB"),
        ("ECB_CURRENCIES", "dollars", "write it as in USD,GBP"),
        ("SOURCE", "x\x1b[2J" * 400, "is none of 'business_central'"),
    ],
)
def test_what_is_wrong_with_a_value_is_words(name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)) as told:
        load_with(monkeypatch, **{"RATES": "ecb", name: value})

    assert str(told.value).isprintable()
    assert len(str(told.value)) < 500
    assert "should match" not in str(told.value)


def test_a_file_of_variables_that_is_no_text_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"ARREARS_SOURCE=demo\n\xff\xfe")
    monkeypatch.setitem(Settings.model_config, "env_file", str(tmp_path / ".env"))

    with pytest.raises(SettingsError, match=r"\.env cannot be read: it holds what is no UTF-8"):
        environment.load()


@pytest.mark.parametrize(("name", "says"), [("pipe", "is empty"), ("a\x00b", "is not the name of a file")])
def test_a_secret_is_not_waited_for_nor_looked_for_where_there_is_no_file(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\x00" not in name:
        os.mkfifo(tmp_path / name)

    with pytest.raises(KeptError, match=f"ARREARS_REST_TOKEN_FILE: .* {says}"):
        kept.content("ARREARS_REST_TOKEN", str(tmp_path / name), False)
