"""Whatever stops a night, somebody is told, first and once: in words, with what is out now and what to do.

Belongs here: faults of the machine around a night — its disk, its permissions, Dagster's history. Does not belong here: faults of what
is read.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from nights import AS_OF, LEDGER, House

from dagster_project import history, notice
from dagster_project.contract import ISSUED_STEPS
from dagster_project.settings import Settings


@pytest.fixture
def house(server: Any, answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    server.on("/alert", answer(b"ok"))
    server.on("/beat", answer(b"ok"))
    variables = {"source": "files", "files_dir": str(LEDGER), "reporting_currency": "EUR"}
    return House(tmp_path / "home", {**variables, "alert_webhook": f"{server.url}/alert", "heartbeat_url": f"{server.url}/beat"})


def told(server: Any) -> str:
    """What the one alert said."""
    (call,) = server.heard
    assert call.path == "/alert", "and no heartbeat"
    return str(json.loads(call.body)["text"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of its own of so many bytes."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        if (
            shutil.which("mount") is None
            or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
            ).returncode
        ):
            pytest.skip("a disk can be mounted by root only")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


# --- the home ------------------------------------------------------------------------------------------------------------


def test_a_home_that_cannot_be_written_is_told(house: House, server: Any, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file in its place", "utf-8")

    said = house.command("run", "--date", AS_OF.isoformat())

    assert said.code == 1
    assert "Traceback" not in said.err
    assert str(tmp_path / "home") in told(server).splitlines()[1]
    assert f"make run DATE={AS_OF}" in said.err


@pytest.mark.parametrize("broken", ["marts", "loads", "list", "everything"])
def test_the_alert_goes_out_whatever_is_broken_under_the_home(
    broken: str, server: Any, answer: Any, make_settings: Callable[..., Settings]
) -> None:
    server.on("/alert", answer(b"ok"))
    settings = make_settings(alert_webhook=f"{server.url}/alert")
    places = {
        "marts": settings.published / "parquet" / "run.parquet",
        "loads": settings.landing / ISSUED_STEPS.name / "pack-000001-000002.abc" / "pack.json",
        "list": settings.worklists,
    }
    for path in [path for name, path in places.items() if broken in (name, "everything")]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x00\xff rot")

    notice.stopped(settings, date(2025, 6, 2), ["the ledger is late"], "r1")

    said = told(server)
    assert "the ledger is late" in said
    assert "make run DATE=2025-06-02" in said
    assert not re.search(r"\w(Error|Exception|Invalid)\b", said), said


def test_a_read_only_home_is_told_with_what_to_do(house: House, server: Any, small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("1m")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    said = House(disk / "home", house.variables).command("run", "--date", AS_OF.isoformat())

    assert said.code == 1
    assert told(server).splitlines()[1].startswith("the disk is read-only: mount it for writing (")
    assert "Traceback" not in said.err


@pytest.mark.parametrize("size", ["64k", pytest.param("3m", marks=pytest.mark.faults)])
def test_a_full_disk_is_told_before_anything_that_needs_it(
    size: str, house: House, server: Any, small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk(size)

    said = House(disk / "home", house.variables).command("run", "--date", AS_OF.isoformat())

    assert said.code == 1
    alert = told(server)
    assert alert.startswith(f"Arrears: no worklist for {AS_OF}\n")
    assert "the disk is full: free some room" in alert
    assert "MB left." in alert
    assert "Traceback" not in said.err
    assert "the disk is full: free some room" in said.err


# --- Dagster's history ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", history.FILES)
def test_a_broken_history_is_set_aside_and_begun_anew(
    file: str, house: House, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    from dagster_project.night import look_after_nights

    settings = house.settings
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    look_after_nights(settings)
    assert history.faults(settings.dagster_home) == []
    (settings.dagster_home / file).write_bytes(b"this is no database" * 1000)
    assert len(history.faults(settings.dagster_home)) == 1

    look_after_nights(settings)

    assert history.faults(settings.dagster_home) == []
    (aside,) = settings.home.glob("dagster.broken-*")
    assert (aside / file).read_bytes().startswith(b"this is no database")
    assert f"is set aside as {aside} and begins anew" in caplog.text


def test_a_history_that_is_cut_in_the_middle_is_found(tmp_path: Path) -> None:
    path = tmp_path / history.FILES[0]
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("create table runs (number integer, said text)")
        connection.executemany("insert into runs values (?, ?)", [(i, "x" * 200) for i in range(2000)])
    connection.close()
    assert history.faults(tmp_path) == []
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8192] = bytes(8192)
    path.write_bytes(content)

    (fault,) = history.faults(tmp_path)

    assert fault.startswith("history/runs.db: ")


def test_a_locked_history_is_no_broken_one_and_is_told(house: House, server: Any) -> None:
    from dagster_project.night import look_after_nights

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(house.settings.dagster_home))
        look_after_nights(house.settings)
    holding = sqlite3.connect(house.settings.dagster_home / "history" / "runs.db", isolation_level=None)
    holding.execute("pragma locking_mode = exclusive")
    holding.execute("begin exclusive")
    try:
        said = house.command("run", "--date", AS_OF.isoformat())
    finally:
        holding.close()

    assert said.code == 1
    assert "another process has Dagster's history locked: end it" in told(server)
    assert list(house.home.glob("dagster.broken-*")) == []


# --- what could not begin -------------------------------------------------------------------------------------------------


@pytest.fixture
def nobody_told_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


@pytest.mark.usefixtures("nobody_told_yet")
@pytest.mark.parametrize(
    ("command", "variables", "says"),
    [
        (("run",), {"source": "sap", "timezone": "Mars/Olympus"}, "ARREARS_SOURCE: 'sap' is none of"),
        (("serve",), {"source": "sap"}, "ARREARS_SOURCE: 'sap' is none of"),
        (("run",), {"policy": "gold"}, "ARREARS_POLICY: 'gold' is not a policy pack"),
        (("run",), {"alert_smtp": "no port here"}, "ARREARS_ALERT_SMTP"),
        (
            ("run",),
            {"rest_token_file": "/nowhere", "source": "rest", "rest_url": "http://127.0.0.1:1"},
            "/nowhere cannot be read",
        ),
        (("run",), {"alert_email_to_file": "/nowhere"}, "ARREARS_ALERT_EMAIL_TO_FILE: /nowhere cannot be read"),
        (("run",), {"published_group": "no such group"}, "ARREARS_PUBLISHED_GROUP: this machine has no group"),
    ],
    ids=["settings", "service", "pack", "the other receiver", "secret", "receiver's secret", "group"],
)
def test_settings_that_describe_no_run_are_told_to_whoever_can_be_reached(
    command: tuple[str, ...], variables: dict[str, str], says: str, house: House, server: Any
) -> None:
    said = house.with_(**variables).command(*command)

    assert said.code == 2
    text = told(server)
    assert says in said.err and says in text
    assert text.startswith(f"Arrears: the {'service' if command == ('serve',) else 'night'} could not be started\n")
    assert text.endswith("No night runs and no list comes until that is mended.")

    house.with_(**variables).command(*command)

    assert len(server.heard) == 1, "once a day, however often a supervisor starts it"


@pytest.mark.usefixtures("nobody_told_yet")
def test_a_policy_file_that_is_none_and_a_home_that_cannot_be_looked_into_are_told(
    house: House, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("dagster_project.policy._rows", lambda path: [{"tier": "no column policy"}])
        assert house.command("run").code == 2
    with monkeypatch.context() as patch:
        patch.setattr("dagster_project.__main__.keep_private", lambda _: Path("/proc/1/environ-of-nobody/x").mkdir())
        said = house.command("run")
    assert said.code == 2
    assert "Traceback" not in said.err

    first, second = (str(json.loads(call.body)["text"]) for call in server.heard)
    assert "policy" in first.splitlines()[1]
    assert "environ-of-nobody" in second.splitlines()[1]


@pytest.mark.usefixtures("nobody_told_yet")
def test_a_service_that_cannot_start_or_ends_by_itself_is_told(
    house: House, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster_project import dbt_build, serve

    def broken() -> None:
        raise dbt_build.DbtError("the dbt project does not parse: dunning_items.sql")

    with monkeypatch.context() as patch:
        patch.setattr(dbt_build, "prepare", broken)
        assert house.command("serve").code == 1
    assert "does not parse: dunning_items.sql" in told(server)
    server.heard.clear()

    monkeypatch.setattr(dbt_build, "prepare", lambda: None)
    monkeypatch.setattr("dagster_project.night.look_after_nights", lambda _: [])
    monkeypatch.setattr(serve, "serve", lambda *_: "the web server ended with 1; the other is ended too")
    assert house.command("serve").code == 1
    assert "the web server ended with 1" in told(server)


@pytest.mark.usefixtures("nobody_told_yet")
def test_who_asks_for_something_that_is_not_there_is_no_alarm(house: House, server: Any) -> None:
    assert house.command("run", "--date", "1999-12-31").code == 2
    assert house.with_(source="sap").command("compare").code == 2
    assert server.heard == []


# --- what is out ---------------------------------------------------------------------------------------------------------


@pytest.mark.faults
def test_marts_that_are_out_without_their_list_are_told_as_that(house: House, server: Any) -> None:
    house.home.mkdir()
    (house.home / "worklists").write_text("a file in its place", "utf-8")

    said = house.command("run", "--date", AS_OF.isoformat())

    assert said.code == 1
    assert "Nothing was published" not in said.err
    for text in (said.err, told(server)):
        assert f"The marts of {AS_OF} are published, by this run." in text
        assert f"There is no worklist for {AS_OF}, and none before it." in text
        assert "with REFRESH=1 it asks the source again" in text
    (house.home / "worklists").unlink()
    server.heard.clear()

    again = house.command("run", "--date", AS_OF.isoformat())

    assert again.code == 0, again.err
    assert [call.path for call in server.heard] == ["/beat"]


# --- words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "OSError: [Errno 28] No space left on device: '/x/y'",
            "the disk is full: free some room ([Errno 28] No space left on device",
        ),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "it may not be written or read: give it to the user"),
        (
            "(sqlite3.OperationalError) database or disk is full\n[SQL: insert]",
            "the disk is full: free some room (database or disk is full)",
        ),
        ("dagster_project.landing.store.LandingError: payments: 3 records", "payments: 3 records"),
        (
            "duckdb.duckdb.OutOfMemoryException: Out of Memory Error: failed",
            "there is too little memory: lower ARREARS_MEMORY_LIMIT",
        ),
        ("dagster._core.errors.DagsterExecutionInterruptedError\n", "it was told to end while it was at work"),
        ("ValueError: a: b\nand more", "a: b"),
        ("", "it ended without saying why"),
    ],
)
def test_an_error_is_told_in_words(said: str, words: str) -> None:
    assert notice.in_words(said).startswith(words)
