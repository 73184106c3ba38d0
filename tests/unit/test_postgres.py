"""PostgreSQL where no server is: types of every mart, addresses that are none, and words that give nothing away."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.__main__ import main
from dagster_project.outgoing.postgres import PostgresError, _kind, _unreachable, bring
from dagster_project.paths import ROOT
from dagster_project.settings import Settings, SettingsError
from dagster_project.settings import load as load_settings

PASSWORD = "pass-word-83a1"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    (tmp_path / "data" / "published" / "parquet").mkdir(parents=True)
    run = pa.table({"as_of": [date(2025, 6, 2)], "run_id": ["r1"], "published_at": ["2025-06-02T05:00:00+00:00"]})
    pq.write_table(run, tmp_path / "data" / "published" / "parquet" / "run.parquet")
    return tmp_path / "data" / "published"


def test_every_column_of_every_mart_has_a_type(manifest: dict[str, Any], mart: Callable[..., pa.Table]) -> None:
    kinds = {
        _kind(field.type)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts"
        for field in mart(node["name"]).schema
    }

    assert {"text", "date", "integer", "boolean", "numeric(18,4)"} <= kinds


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield server.getsockname()[1]
    for connection in taken:
        connection.close()


def test_a_server_that_is_away_is_told_in_words_and_without_its_address(published: Path) -> None:
    with pytest.raises(PostgresError, match=r"^nobody answers at its address$"):
        bring(f"postgresql://reader:{PASSWORD}@127.0.0.1:1/bi", published, {})
    with pytest.raises(PostgresError, match=r"^its host's name is not known$"):
        bring(f"postgresql+psycopg://reader:{PASSWORD}@nowhere.invalid/bi", published, {})
    with silent_server() as port:
        began = time.monotonic()
        with pytest.raises(PostgresError, match=r"^there was no answer$"):
            bring(f"postgres://reader:{PASSWORD}@127.0.0.1:{port}/bi?connect_timeout=2", published, {})
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "said",
    [
        f'connection failed: FATAL:  password authentication failed for user "{PASSWORD}"',
        f'could not translate host name "{PASSWORD}" to address',
        f"something new about {PASSWORD}",
    ],
)
def test_what_the_driver_says_of_an_address_is_not_repeated(said: str) -> None:
    assert PASSWORD not in _unreachable(said)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://reader:{PASSWORD}@db/bi",
        f"postgresql://reader:{PASSWORD}@rest@db/bi",
        f"postgresql://reader:{PASSWORD}/rest@db/bi",
        f"postgresql://reader:{PASSWORD}%zz@db/bi",
        f"reader:{PASSWORD}",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_repeated(
    url: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARREARS_POSTGRES_URL", url)
    with pytest.raises(
        (SettingsError, PostgresError), match=r"ARREARS_POSTGRES_URL.*postgresql://user:password@host/database"
    ) as told:
        bring(load_settings().postgres_url.get_secret_value(), published, {})  # type: ignore[union-attr]

    assert PASSWORD not in str(told.value)


def test_the_command_says_what_is_missing_and_why_it_did_not_work(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ARREARS_HOME", str(tmp_path / "empty"))
    assert main(["postgres"]) == 2
    (tmp_path / "url").write_text(f"postgresql://reader:{PASSWORD}@127.0.0.1:1/bi\n")
    monkeypatch.setenv("ARREARS_POSTGRES_URL_FILE", str(tmp_path / "url"))
    assert main(["postgres"]) == 1
    monkeypatch.setenv("ARREARS_HOME", str(tmp_path / "data"))
    assert main(["postgres"]) == 1

    said = capsys.readouterr().err.splitlines()
    assert said == [
        "ARREARS_POSTGRES_URL is not set: write postgresql://user:password@host/database there",
        "Nothing is published yet: make run",
        "PostgreSQL does not have the morning: nobody answers at its address",
    ]


def test_a_night_is_told_to_the_database_in_production_only_and_one_that_is_away_warns(
    published: Path, make_settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture, manifest: object
) -> None:
    import dagster as dg

    from dagster_project.defs.automation.mornings import mornings_of
    from dagster_project.defs.delivery.outputs import postgres_asset

    caplog.set_level("INFO", "arrears")
    for environment, says in (
        ("development", "not told, since ARREARS_ENVIRONMENT is development"),
        ("production", "nobody answers"),
    ):
        settings = make_settings(postgres_url=f"postgresql://reader:{PASSWORD}@127.0.0.1:1/bi", environment=environment)
        published_marts = dg.SourceAsset(["delivery", "published_marts"])
        ended = dg.materialize(
            [published_marts, postgres_asset(mornings_of(settings))], partition_key="2025-06-02", resources={"settings": settings}
        )
        assert ended.success
        assert not ended.get_asset_materialization_events()
        assert [check.passed for check in ended.get_asset_check_evaluations()] == [environment == "development"]
        assert says in caplog.text
    assert PASSWORD not in caplog.text


def test_who_has_a_database_has_it_among_the_nights_assets(make_settings: Callable[..., Settings]) -> None:
    """Who has none has nothing of it: `tests/golden/definitions.txt` lists what there is then."""
    from dagster_project.definitions import build_defs

    keys = build_defs(make_settings(postgres_url="postgresql://db/bi")).resolve_asset_graph().get_all_asset_keys()

    assert "delivery/postgres" in {key.to_user_string() for key in keys}
    assert "delivery/postgres" not in (ROOT / "tests" / "golden" / "definitions.txt").read_text("utf-8")
