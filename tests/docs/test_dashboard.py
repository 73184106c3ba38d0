"""The dashboard of deploy/superset holds together, and every table, column and key figure it names is published."""

from __future__ import annotations

import csv
import re
from typing import Any, Final

import yaml

from dagster_project.described import marts
from dagster_project.paths import ROOT, SEEDS

FOLDER: Final = ROOT / "deploy" / "superset"


def _read(part: str) -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text("utf-8")) for path in sorted((FOLDER / part).rglob("*.yaml"))]


def _parts_of(params: dict[str, Any]) -> set[str]:
    """The columns and saved metrics that a chart asks its dataset for."""
    lists = ("metrics", "groupby", "all_columns")
    alone = ("metric", "x_axis", "x_axis_sort", "timeseries_limit_metric")
    named = {name for key in lists for name in params.get(key, [])} | {params[key] for key in alone if params.get(key)}
    return named | {one["subject"] for one in params["adhoc_filters"]} if "adhoc_filters" in params else named


def test_every_dataset_is_a_mart_with_the_columns_it_names(manifest: dict[str, Any]) -> None:
    published = marts()
    datasets = _read("datasets")

    assert datasets
    for dataset in datasets:
        table = dataset["table_name"]
        assert (dataset["schema"], table in published) == ("arrears", True), table
        words = {
            word for one in dataset["metrics"] for word in re.findall(r"\b[a-z_0-9]+\b", re.sub("'[^']*'", "", one["expression"]))
        }
        named = {one["column_name"] for one in dataset["columns"]} | words
        assert named - published[table].columns.keys() == set(), table


def test_every_key_figure_named_is_one_of_the_policy() -> None:
    shown = set(re.findall(r"kpi = '([a-z_0-9]+)'", (FOLDER / "datasets" / "Arrears" / "metrics.yaml").read_text("utf-8")))

    assert shown
    with (SEEDS / "kpi_definitions.csv").open(encoding="utf-8", newline="") as file:
        assert shown - {row["kpi"] for row in csv.DictReader(file)} == set()


def test_charts_ask_their_datasets_for_what_these_have_and_all_stand_on_the_dashboard() -> None:
    has = {
        dataset["uuid"]: {one["column_name"] for one in dataset["columns"]} | {one["metric_name"] for one in dataset["metrics"]}
        for dataset in _read("datasets")
    }
    charts = _read("charts")
    (dashboard,) = _read("dashboards")

    for chart in charts:
        assert _parts_of(chart["params"]) - has[chart["dataset_uuid"]] == set(), chart["slice_name"]
    placed = {
        part["meta"]["uuid"] for part in dashboard["position"].values() if isinstance(part, dict) and part["type"] == "CHART"
    }
    assert placed == {chart["uuid"] for chart in charts}


def test_the_connection_has_no_password() -> None:
    (database,) = _read("databases")

    assert re.fullmatch(r"postgresql\+psycopg2://[a-z_]+@localhost:5432/bi", database["sqlalchemy_uri"])
