"""The business cases that stand beside the models, in their YAML: each is a handful of rows and what must come of them."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project import dbt_build, morning
from dagster_project.contract import DATASETS
from dagster_project.dbt_build import QUIET
from dagster_project.engines.duckdb import close_adapters
from dagster_project.landing import Landing
from dagster_project.paths import DBT_PROJECT
from dagster_project.sources import Delivery
from dagster_project.warehouse import Warehouse

MORNING = date(2025, 6, 30)


@pytest.fixture(scope="module")
def outcomes(manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What came of each case, over a warehouse in which every table is there and empty: the cases bring their own rows."""
    folder = tmp_path_factory.mktemp("cases")
    landing = Landing(folder / "landing", folder / "quarantine")
    for dataset in DATASETS.values():
        if dataset.required:
            landing.land(dataset, Delivery(iter(()), full=True, origin="nothing"), MORNING)
    warehouse = Warehouse(folder / f"{MORNING}.cases")
    warehouse.create()
    try:
        morning.prepare(warehouse, landing, MORNING, "then")
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("ARREARS_WAREHOUSE", str(warehouse.folder))
            dbt(warehouse.folder, "build", "--empty", "--resource-type", "seed", "--resource-type", "model")
            results = dbt(warehouse.folder, "test", "--select", "test_type:unit")
    finally:
        warehouse.release()
    return {result.node.name: (str(result.status), result.message or "") for result in results}


def dbt(folder: Path, *arguments: str) -> list[Any]:
    from dbt.contracts.graph.manifest import Manifest

    prepared = Manifest.from_msgpack((dbt_build.TARGET / "partial_parse.msgpack").read_bytes())  # type: ignore[attr-defined]
    places = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target-path", str(folder / "dbt")]
    variables = ["--vars", dbt_build.vars_of(MORNING, "net_terms", "")]
    try:
        ended = dbt_build._runner(prepared).invoke([*arguments, *places, *variables, "--log-path", str(folder / "dbt"), *QUIET])
    finally:
        close_adapters()
    assert ended.result is not None, ended.exception
    return list(ended.result)


def test_every_case_beside_a_model_comes_out_as_it_says(outcomes: dict[str, tuple[str, str]], manifest: dict[str, Any]) -> None:
    failed = {name: message for name, (status, message) in outcomes.items() if status != "pass"}

    assert not failed, "\n\n".join(f"{name}\n{message}" for name, message in failed.items())
    assert set(outcomes) == {case["name"] for case in manifest["unit_tests"].values()}


def test_the_models_that_decide_something_have_cases(manifest: dict[str, Any]) -> None:
    cases = Counter(case["model"] for case in manifest["unit_tests"].values())
    deciding = {
        *("int_exchange_rates", "int_item_balances", "int_items_snapshot", "control_reconciliation", "roll_forward"),
        *("int_payment_months", "int_payment_windows", "int_payment_behaviour", "int_risk_scores", "int_risk_tiers"),
        *("int_dunning_steps_due", "int_dunning_holds", "dunning_worklist", "kpi_monthly"),
        *(
            "int_bureau_scores",
            "int_credit_score_changes",
            "int_review_reasons",
            "credit_reviews_due",
            "int_credit_limit_use",
            "customer_data_issues",
        ),
    }

    assert deciding - set(cases) == set()
