"""The business cases that stand beside the models (dbt's unit tests), asked without dbt.

dbt takes half a second to put a case together, whatever is in it; the statement itself takes milliseconds. It is the same here: given rows
stand in the place of what the model reads, each column of the type that the table has, null where a row says nothing.

Belongs here: reading the cases from the prepared manifest, putting rows in place of tables, what differs. Does not belong here: which cases
there are (the YAML beside each model).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dagster_project import dbt_build
from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.sources import Delivery
from tests import compiled

MORNING, POLICY = "2025-06-30", "net_terms"
"""What a case stands on where it says nothing else, as `dbt_project.yml` has it."""

Rows = list[dict[str, Any]] | str
"""Rows of a table, by column, or a statement that asks for them."""


@dataclass(frozen=True)
class Case:
    """`given` by the name of the model or seed, for all that `model` reads."""

    name: str
    model: str
    as_of: str
    policy: str
    given: Mapping[str, Rows]
    expected: Rows


def declared() -> Iterator[Case]:
    """Every case of the project as it is prepared."""
    for case in json.loads(dbt_build.MANIFEST.read_text("utf-8"))["unit_tests"].values():
        told = dict((case["overrides"] or {}).get("vars", {}))
        as_of, policy = str(told.pop("as_of", MORNING)), str(told.pop("policy", POLICY))
        assert not told and not (case["overrides"] or {}).get("macros"), f"{case['name']} overrides what is not replaced here"
        given = {each["input"].split("'")[1]: each["rows"] for each in case["given"]}
        yield Case(case["name"], case["model"], as_of, policy, given, case["expect"]["rows"])


class Tables:
    """What the columns of every table are, read off a morning on which nothing is known, and the models that are put over given rows."""

    def __init__(self, folder: Path):
        self.landing = Landing(folder / "landing", folder / "quarantine")
        for dataset in DATASETS.values():
            if dataset.required:
                self.landing.land(dataset, Delivery(iter(()), full=True, origin="nothing"), compiled.STAND_IN)
        nodes = compiled.compiled(POLICY)
        self.relations = {node.name: node.relation for node in nodes if node.kind != "test"}
        self.models = compiled.apart(POLICY)
        self.con = compiled.build(nodes, self.landing, compiled.STAND_IN, test=False).con
        self.columns = {name: _columns(self.con, relation) for name, relation in self.relations.items()}

    def problem(self, case: Case, sql: str = "") -> str:
        """How a case comes out otherwise than it says; nothing where it does not. `sql` stands in the place of the model's own.

        Raises:
            AssertionError: the model reads what the case does not give.
        """
        sql = (sql or self.models[case.model]).replace(compiled.STAND_IN.isoformat(), case.as_of)
        sql = sql.replace(f"'{POLICY}'", f"'{case.policy}'")
        given = []
        for name, rows in case.given.items():
            part = compiled.PART + name
            if name in self.relations:
                sql = sql.replace(self.relations[name], part)
            given.append(f"{part} as ({rows if isinstance(rows, str) else _select(rows, self.columns[name])})")
        left = [name for name, relation in self.relations.items() if relation in sql]
        assert not left, f"{case.name} does not give {', '.join(left)}"
        try:
            self.con.execute(f"create or replace temp table actual as with {', '.join(given)} select * from ({sql})")
            columns = _columns(self.con, "actual")
            if isinstance(case.expected, str):
                names = list(_columns(self.con, f"({case.expected})"))
                asked = ", ".join(f'cast("{name}" as {columns[name]}) as "{name}"' for name in names)
                expected = f"select {asked} from ({case.expected}) as meant"
            else:
                names = list(case.expected[0]) if case.expected else list(columns)
                expected = _select(case.expected, columns)
            came, meant = self._rows("from actual", names), self._rows(expected, names)
        except duckdb.Error as broken:
            return str(broken)
        lines = [f"came, not expected: {row}" for row in (came - meant).elements()]
        lines += [f"expected, did not come: {row}" for row in (meant - came).elements()]
        return "\n".join([f"({', '.join(names)})", *lines]) if lines else ""

    def _rows(self, sql: str, names: Sequence[str]) -> Counter[str]:
        """The rows, as text, in no order; the same row twice is two rows."""
        listed = ", ".join(f'"{name}"' for name in names)
        return Counter(map(repr, self.con.execute(f"select {listed} from ({sql}) as asked").fetchall()))


def _columns(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    asked = f"select * from {relation}" if relation.startswith("(") else relation
    return {row[0]: row[1] for row in con.execute(f"describe {asked}").fetchall()}


def _select(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> str:
    """The rows as a statement: every column of the table, cast to its type."""
    unknown = {name for row in rows for name in row} - columns.keys()
    assert not unknown, f"no such column: {', '.join(sorted(unknown))}; there are {', '.join(columns)}"
    selects = [
        "select " + ", ".join(f'cast({_literal(row.get(name), kind)} as {kind}) as "{name}"' for name, kind in columns.items())
        for row in rows or [{}]
    ]
    return " union all ".join(selects) + ("" if rows else " limit 0")


def _literal(value: Any, kind: str) -> str:
    if isinstance(value, str) and (value or kind == "VARCHAR"):  # nothing is no date
        return "'" + value.replace("'", "''") + "'"
    return "null" if value in (None, "") else str(value)
