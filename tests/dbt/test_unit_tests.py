"""The business cases that stand beside the models, in their YAML: each is a handful of rows and what must come of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project import dbt_build, morning
from dagster_project.dbt_build import QUIET
from dagster_project.engines.duckdb import close_adapters
from dagster_project.paths import DBT_PROJECT
from dagster_project.warehouse import Warehouse
from tests import cases
from tests.cases import Case, Tables

CANARIES = ("int_hold_reasons", "int_exchange_rates")
"""Whose cases dbt runs too, as it would run them all: rows by column, as CSV, as statements in the place of parts."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory, manifest: dict[str, Any]) -> Tables:
    return Tables(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def every(manifest: dict[str, Any]) -> list[Case]:
    return list(cases.declared())


def test_every_case_beside_a_model_comes_out_as_it_says(every: list[Case], tables: Tables, manifest: dict[str, Any]) -> None:
    problems = {case.name: problem for case in every if (problem := tables.problem(case))}

    assert not problems, "\n\n".join(f"{name}\n{problem}" for name, problem in problems.items())
    assert len(every) == len(manifest["unit_tests"]) > 150


def test_a_case_that_is_not_as_it_says_is_named_with_what_differs(every: list[Case], tables: Tables) -> None:
    case = next(case for case in every if case.name == "a_rate_holds_until_the_next_quote")
    first, *others = case.expected
    told = tables.problem(replace(case, expected=[{**first, "rate": "123.45"}, *others]))

    assert "expected, did not come: " in told and "123.45" in told
    assert "came, not expected: " in tables.problem(replace(case, expected=others))
    assert "did not come" in tables.problem(replace(case, expected=[*case.expected, first])), "the same row twice is two rows"
    with pytest.raises(AssertionError, match=f"{case.name} does not give "):
        tables.problem(replace(case, given={}))


def test_dbt_says_of_cases_what_is_said_without_it(every: list[Case], tables: Tables, tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "canaries")
    warehouse.create()
    try:
        morning.prepare(warehouse, tables.landing, date.fromisoformat(cases.MORNING), "now")
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("ARREARS_WAREHOUSE", str(warehouse.folder))
            dbt(tmp_path, "build", "--empty", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test",
                "--select", *(f"1+{name}" for name in CANARIES))  # fmt: skip
            results = dbt(tmp_path, "test", "--select", *(f"{name},test_type:unit" for name in CANARIES))
    finally:
        warehouse.release()

    asked = [case for case in every if case.model in CANARIES]
    assert {kind for case in asked for kind in map(type, case.given.values())} == {list, str}
    assert {result.node.name: str(result.status) for result in results} == {case.name: "pass" for case in asked}


def dbt(folder: Path, *arguments: str) -> list[Any]:
    from dbt.contracts.graph.manifest import Manifest

    prepared = Manifest.from_msgpack((dbt_build.TARGET / "partial_parse.msgpack").read_bytes())  # type: ignore[attr-defined]
    places = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target-path", str(folder / "dbt")]
    variables = ["--vars", dbt_build.vars_of(date.fromisoformat(cases.MORNING), cases.POLICY, "")]
    try:
        ended = dbt_build._runner(prepared).invoke([*arguments, *places, *variables, "--log-path", str(folder / "dbt"), *QUIET])
    finally:
        close_adapters()
    assert ended.result is not None, ended.exception
    return list(ended.result)


def test_the_models_that_decide_something_have_cases(manifest: dict[str, Any]) -> None:
    had = Counter(case["model"] for case in manifest["unit_tests"].values())
    deciding = {
        *("int_exchange_rates", "int_item_balances", "int_items_snapshot", "control_reconciliation", "roll_forward"),
        *("int_payment_months", "int_payment_windows", "int_payment_behaviour", "int_risk_scores", "int_risk_tiers"),
        *("int_dunning_steps_due", "int_dunning_holds", "int_dunning_actions", "dunning_worklist", "kpi_monthly"),
        *(
            "int_bureau_scores",
            "int_credit_score_changes",
            "int_review_reasons",
            "credit_reviews_due",
            "int_credit_limit_use",
            "customer_data_issues",
        ),
    }

    assert deciding - set(had) == set()
