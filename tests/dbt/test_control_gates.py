"""The control account and the policy rows that let a difference pass: the night's own test, over rows made here."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow as pa
import pytest

from tests import compiled

STATES = ("tied", "untied", "unverified")


@pytest.mark.parametrize(
    ("effects", "stopped"),
    [
        ({"subledger_untied": "hold_back", "unverified_control_balance": "warn"}, {"untied"}),
        ({"subledger_untied": "warn", "unverified_control_balance": "warn"}, set()),
        ({"subledger_untied": "warn", "unverified_control_balance": "hold_back"}, {"unverified"}),
        ({}, {"untied", "unverified"}),
    ],
    ids=["as shipped", "both pass", "only verified books", "no row, no passage"],
)
def test_what_does_not_tie_passes_only_where_policy_says_so(
    effects: dict[str, str], stopped: set[str], mart: Callable[..., pa.Table]
) -> None:
    (test,) = [node for node in compiled.compiled() if node.name == "control_account_ties"]
    gates = [
        {"gate": gate, "effect": effect, "policy": "*", "valid_from": "2000-01-01", "valid_to": None}
        for gate, effect in effects.items()
    ]
    made = {
        "published.marts.control_reconciliation": mart(
            "control_reconciliation", *({"company_id": state, "state": state} for state in STATES)
        ),
        "published.marts.control_differences": mart("control_differences"),
        "arrears.policy.worklist_gates": pa.Table.from_pylist(
            gates, pa.schema([(name, pa.string()) for name in ("gate", "effect", "policy", "valid_from", "valid_to")])
        ),
    }
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as published; attach ':memory:' as arrears")
        for name, rows in made.items():
            con.register("given", rows)
            con.execute(f"create schema if not exists {name.rpartition('.')[0]}")
            dates = (
                "replace (cast(valid_from as date) as valid_from, cast(valid_to as date) as valid_to)" if "gates" in name else ""
            )
            con.execute(f"create table {name} as select * {dates} from given")
        assert {row[0] for row in con.execute(test.sql).fetchall()} == stopped
