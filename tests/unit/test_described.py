"""What marts are in words, and that the published file says it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import yaml

from dagster_project import described, forgetting
from dagster_project.described import RUN, Described
from dagster_project.paths import DBT_PROJECT
from dagster_project.warehouse import READ_FROM, Warehouse, publish

MONDAY = date(2025, 6, 2)
WORDS = {
    "open_items": Described("One row per customer's item.", {"item_id": "It's the item.", "not_there": "x"}, ("item_id",)),
    "run": RUN,
}


def comments(path: Path) -> dict[str, str]:
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.execute("select tags['storage_version'] from duckdb_databases() where path is not null").fetchall() == [
            ("v1.4.0+",)
        ]
        said = con.execute(
            "select table_name, comment from duckdb_tables() where comment is not null union all "
            "select concat_ws('.', table_name, column_name), comment from duckdb_columns() where comment is not null"
        ).fetchall()
    return dict(said)


def test_every_mart_is_described_with_each_column_and_a_key(manifest: dict[str, Any]) -> None:
    marts = described.marts()

    assert {n["name"] for n in manifest["nodes"].values() if n["resource_type"] == "model" and n["schema"] == "marts"} < set(
        marts
    )
    assert [
        name for name, mart in marts.items() if not (mart.text.startswith("One row") and mart.key and all(mart.columns.values()))
    ] == []
    assert marts["open_items"].key == ("item_id",)
    assert marts["kpi_monthly"].key == ("month", "scope", "coalesce(scope_value, '')", "kpi")
    assert marts["kpi_monthly"].text.endswith(" Key: month, scope, scope_value, kpi.")
    assert marts["open_items"].text.endswith(" Key: item_id.")


def test_dbt_writes_a_file_that_older_tools_read_too() -> None:
    profile = yaml.safe_load((DBT_PROJECT / "profiles.yml").read_text("utf-8"))
    (marts,) = profile["arrears"]["outputs"]["run"]["attach"]

    assert marts["options"] == {"storage_version": READ_FROM}


def test_the_published_file_says_what_its_tables_and_columns_are_again_and_after_somebody_was_forgotten(tmp_path: Path) -> None:
    built = Warehouse(tmp_path / "warehouse" / "2025-06-02.r1")
    built.create()
    con = duckdb.connect()
    con.execute(f"attach '{built.marts}' as marts (storage_version '{READ_FROM}')")
    con.execute(
        "create schema marts.marts; create table marts.marts.open_items as select 'I-1' as item_id, 'Ada Lovelace' as contact"
    )
    con.close()
    built.release()

    for _ in range(2):
        published = publish(built.marts, tmp_path / "published", MONDAY, {"run_id": "r1"}, described=WORDS)
        said = comments(published / "arrears.duckdb")
        assert said == {
            "open_items": "One row per customer's item.",
            "open_items.item_id": "It's the item.",
            "run": "One row: the run that everything beside it is of.",
            "run.as_of": "The morning.",
            "run.run_id": "The run that built it, as Dagster and the logs name it.",
        }
    assert forgetting.Scrub(["Ada Lovelace"]).file(published / "arrears.duckdb") == "rewritten"
    assert comments(published / "arrears.duckdb") == said
