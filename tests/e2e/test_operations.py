"""What the operations page tells people to do, done: back up and restore, run the service, read what it says."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import dagster as dg
import pytest
import yaml
from nights import AS_OF, House, lists

from dagster_project.landing import Landing
from dagster_project.paths import ROOT
from tests.object_store import BUCKET, served

TEXT = (ROOT / "docs" / "operations.md").read_text("utf-8")
DEPLOY = ROOT / "deploy"


def test_a_home_restored_into_an_empty_folder_gives_the_same_bytes(first_morning: House, tmp_path: Path) -> None:
    (command,) = re.findall(r"```sh\n(tar .*?)\n```", TEXT)
    shutil.copytree(first_morning.home, tmp_path / "data", symlinks=True)
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    restored = House(tmp_path / "restored", first_morning.variables)
    restored.home.mkdir()
    subprocess.run(["tar", "-C", str(restored.home), "-xzf", str(tmp_path / "arrears-backup.tgz")], check=True)
    assert not (restored.home / "warehouse").exists() and not (restored.home / "dagster").exists()
    for rebuilt in ("published", "worklists"):  # what is out is made from the memory again
        shutil.rmtree(restored.home / rebuilt)
    loads = len(restored.loads("invoices"))

    night = restored.run(AS_OF)

    assert night.success, night.reasons
    assert len(restored.loads("invoices")) == loads, "the source was not asked"
    assert lists(restored.worklist(AS_OF)) == lists(first_morning.worklist(AS_OF))
    assert restored.marts() == first_morning.marts()


@pytest.mark.faults
def test_a_machine_that_is_lost_is_made_anew_from_the_store_with_the_same_bytes(
    first_morning: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        lost = House(tmp_path / "lost", first_morning.variables).with_(landing_url=f"s3://{BUCKET}/arrears")
        night = lost.run(AS_OF)
        assert night.success, night.reasons
        anew = House(tmp_path / "anew", lost.variables)
        anew.home.mkdir()
        shutil.copy(lost.home / "seal.key", anew.home)
        loads = len(lost.loads("invoices"))
        written = {name for name in store.objects if name.endswith(("rows.parquet", "manifest.json"))}

        night = anew.run(AS_OF)

        assert night.success, night.reasons
        assert len(anew.loads("invoices")) == loads, "the source was not asked"
        assert {name for name in store.objects if name.endswith(("rows.parquet", "manifest.json"))} >= written
        assert lists(anew.worklist(AS_OF)) == lists(lost.worklist(AS_OF))
        assert anew.marts() == lost.marts() == first_morning.marts()
        parquet = {path.name: path.read_bytes() for path in (lost.published / "parquet").glob("*.parquet") if path.stem != "run"}
        assert parquet and all((anew.published / "parquet" / name).read_bytes() == content for name, content in parquet.items())


def test_a_published_folder_that_was_deleted_makes_no_past_morning_ask_the_source(first_morning: House) -> None:
    settings = first_morning.settings

    assert not Landing(settings.landing, settings.quarantine).asks(AS_OF, settings.today(), published=None)


def test_every_folder_of_a_home_is_on_the_page(first_morning: House) -> None:
    folders = {path.name for path in first_morning.home.iterdir() if not path.name.startswith(".")}

    assert sorted(name for name in folders if f"`{name}/`" not in TEXT and f"`{name}`" not in TEXT) == []


def test_every_file_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:deploy|tests|dagster_project)/[\w./-]+)`", TEXT))

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("unit", sorted(path.name for path in DEPLOY.glob("arrears*.*") if path.suffix in (".service", ".timer")))
def test_a_unit_file_starts_what_the_command_line_knows(unit: str) -> None:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(DEPLOY / unit)
    if unit.endswith(".timer"):
        assert (DEPLOY / unit.replace(".timer", ".service")).exists()
        return
    _, _, module, command, *_ = read["Service"]["ExecStart"].split()
    assert module == "dagster_project"
    known = subprocess.run(
        [sys.executable, "-m", "dagster_project", command, "--help"], cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    assert known.returncode == 0


def test_the_container_serves_what_the_compose_file_opens() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]["arrears"]
    image = (DEPLOY / "Dockerfile").read_text("utf-8")

    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert re.search(r"^VOLUME (\S+)$", image, re.M)[1] == "/data"  # type: ignore[index]
    assert [volume for volume in service["volumes"] if volume.endswith(":/data")]
    assert service["ports"] == ["127.0.0.1:3000:3000"], "the UI has no log-in"
    assert "http://127.0.0.1:3000/server_info" in image.partition("\nHEALTHCHECK ")[2]
    beside = [each["path"] for each in service["env_file"]] + [
        each.split(":")[0] for each in service["volumes"] if each[0] == "."
    ]
    for name in ("deploy/Dockerfile.dockerignore", ".gitignore"):
        left_out = {line.strip("/") for line in (ROOT / name).read_text("utf-8").splitlines()}
        assert {f"deploy/{each.removeprefix('./')}" for each in beside} <= left_out, (
            "secrets and a ledger are in no image and no commit"
        )


@pytest.mark.faults
def test_the_service_answers_and_ends_whole(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    house = House(tmp_path / "home")
    service = subprocess.Popen(
        [sys.executable, "-m", "dagster_project", "serve", "--port", str(port)],
        cwd=ROOT,
        env=house.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answered:
                    assert answered.status == 200
                    break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail("the web server never answered")
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=120) == 0
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5)
    finally:
        if service.poll() is None:
            os.killpg(service.pid, signal.SIGKILL)


def test_whoever_looks_at_the_night_in_dagster_finds_every_model_and_every_test(first_morning: House, tmp_path: Path) -> None:
    shutil.copytree(first_morning.home / "dagster", tmp_path / "dagster")
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        (run,) = instance.get_runs()
        entries = instance.all_logs(run.run_id)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]

    def of(kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        return [event for event in events if event.event_type is kind]

    made = {event.asset_key: event.materialization for event in of(dg.DagsterEventType.ASSET_MATERIALIZATION)}
    found = {
        check.asset_check_key: check
        for event in of(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if (check := event.asset_check_evaluation_data)
    }
    assert made.keys() == {event.asset_key for event in of(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)}
    assert found.keys() == {
        event.asset_check_planned_data.asset_check_key for event in of(dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)
    }
    assert {materialization.partition for materialization in made.values()} == {AS_OF.isoformat()}
    for key, materialization in made.items():
        if key.path[0] in ("policy", "staging", "intermediate", "marts"):
            assert "seconds" in materialization.metadata, key
        if key.path[0] == "marts":
            assert {"dagster/row_count", "preview"} <= materialization.metadata.keys(), key
    assert all(
        {"rows_found", "message"} <= check.metadata.keys() for check in found.values() if "expectations" not in check.metadata
    )
    assert not [entry.user_message for entry in entries if "emitted no result" in entry.user_message]
