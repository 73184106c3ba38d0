"""Every model, seed and test has something to say to Spark as well: dbt compiles it for it, with neither a Java nor pyspark there.

What DuckDB read of the project is taken once more, with Spark's own macros beside it: reading it anew would take twice as long, and comes
to the same.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import date
from types import ModuleType
from typing import Any

import pytest

from dagster_project import dbt_build
from dagster_project.engines.spark import Spark


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every model and test as it is compiled for Spark, by unique id."""
    from dbt.adapters.factory import register_adapter, reset_adapters
    from dbt.cli import requires
    from dbt.mp_context import get_mp_context
    from dbt.parser.manifest import ManifestLoader

    folder, begin = tmp_path_factory.mktemp("spark"), requires.setup_manifest
    dbt_build.prepare()
    _, project = dbt_build._read(dbt_build.DUCKDB)
    for node in [*project.nodes.values(), *project.sources.values()]:
        node.database = None  # Spark has none

    def with_its_macros(context: Any, **how: Any) -> None:
        register_adapter(context.obj["runtime_config"], get_mp_context())
        for name, macro in ManifestLoader.load_macros(context.obj["runtime_config"], lambda _: None).macros.items():
            project.macros.setdefault(name, macro)
        begin(context, **how)

    variables = dbt_build.vars_of(date(2025, 6, 30), "net_terms", "EUR")
    arguments = ["compile", "--vars", variables, *dbt_build._places(folder, Spark(folder))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyspark", ModuleType("pyspark"))  # asked after when the profile is read, and for nothing else
        patch.setattr(requires, "setup_manifest", with_its_macros)
        ended = dbt_build._runner(project).invoke([*arguments, "--no-populate-cache", "--no-introspect"])
        reset_adapters()
    assert ended.success, ended.exception
    return {result.node.unique_id: result.node for result in ended.result}


def test_every_model_and_every_test_compiles_for_spark(nodes: dict[str, Any]) -> None:
    declared = json.loads(dbt_build.MANIFEST.read_text("utf-8"))["nodes"].values()

    assert set(nodes) == {node["unique_id"] for node in declared if node["config"]["materialized"] != "ephemeral"}
    assert all(node.compiled_code for node in nodes.values() if node.resource_type != "seed")


def test_nothing_that_is_compiled_for_spark_is_in_words_of_duckdb(nodes: dict[str, Any]) -> None:
    words = re.compile(r"\b(read_csv|varchar|date_diff|string_agg|strftime|published)\b|::|//")
    said = {name: re.sub(r"'[^']*'|--[^\n]*|/[*].*?[*]/", "", node.compiled_code or "") for name, node in nodes.items()}

    assert {name: found[0] for name, sql in said.items() if (found := words.search(sql))} == {}


def test_what_the_engines_say_differently_is_what_sparks_macros_say(nodes: dict[str, Any]) -> None:
    said = {node.name: node.compiled_code or "" for node in nodes.values()}

    assert "within group (order by" in said["int_dunning_holds"]
    assert "add_months(cast(" in said["int_roll_rates"]
