"""What a person is told of tests that object: causes, not what follows from them."""

from __future__ import annotations

from typing import Any

from dagster_project.dbt_build import NodeResult
from dagster_project.explained import MISSING, causes


def objecting(name: str) -> NodeResult:
    return NodeResult(f"test.arrears.{name}", name, "test", "fail", "Got 1 result", 1.0, 1)


PARENTS = {
    "test.arrears.exchange_rates_are_there": ["model.arrears.int_exchange_rates"],
    "test.arrears.dunning_worklist_complete": ["model.arrears.dunning_worklist"],
    "test.arrears.instalments_add_up": ["model.arrears.stg_erp__instalments"],
    "model.arrears.dunning_worklist": ["model.arrears.int_open_items"],
    "model.arrears.int_open_items": ["model.arrears.int_exchange_rates", "model.arrears.stg_erp__invoices"],
}


def test_what_fails_only_for_want_of_a_rate_is_not_told_beside_it() -> None:
    names = ("exchange_rates_are_there", "dunning_worklist_complete", "instalments_add_up")

    told = causes({"parent_map": PARENTS}, [objecting(name) for name in names])

    assert [result.name for result in told] == ["exchange_rates_are_there", "instalments_add_up"]


def test_without_a_missing_rate_everything_is_told() -> None:
    assert len(causes({"parent_map": PARENTS}, [objecting("dunning_worklist_complete")])) == 1


def test_tests_and_models_it_knows_are_there(manifest: dict[str, Any]) -> None:
    names = {node["name"] for node in manifest["nodes"].values()}

    assert {*MISSING, *MISSING.values()} <= names
