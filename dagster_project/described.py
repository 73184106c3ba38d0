"""What the marts are, in words: their meaning, their columns' meaning, and what names one row, as dbt's YAML has it.

Belongs here: reading that out of the prepared manifest. Does not belong here: saying anything the YAML does not, but for `run`, which
publishing makes; and where it is shown (`warehouse.py`, `outgoing/postgres.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dagster_project import dbt_build

GRAIN: Final = "one_row_per"
"""The generic test that holds a mart to its grain; every mart has one."""


@dataclass(frozen=True)
class Described:
    """A mart in words. `key`: what together names one row, none of it null: columns, or expressions over them."""

    text: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ()


RUN: Final = Described(
    "One row: the run that everything beside it is of.",
    {
        "as_of": "The morning.",
        "run_id": "The run that built it, as Dagster and the logs name it.",
        "policy": "The policy pack it was built by.",
        "source": "Where the ledger came from.",
        "published_at": "When it was published, UTC.",
        "versions": "What it was built with.",
        "policy_fingerprint": "A hash of the policy rows; another one means that a row changed.",
        "code_fingerprint": "A hash of the code that reads them.",
    },
    ("as_of",),
)


def marts() -> Mapping[str, Described]:
    """Every mart by name, and `run`."""
    nodes = dbt_build.manifest()["nodes"].values()
    keys = {
        node["attached_node"]: tuple(node["test_metadata"]["kwargs"]["columns"])
        for node in nodes
        if node["resource_type"] == "test" and (node.get("test_metadata") or {}).get("name") == GRAIN
    }
    told = {
        node["name"]: Described(
            f"{' '.join(node['description'].split())} Key: {', '.join(node['config']['meta']['grain'])}.",
            {column["name"]: " ".join(column["description"].split()) for column in node["columns"].values()},
            keys.get(node["unique_id"], ()),
        )
        for node in nodes
        if node["resource_type"] == "model" and node["fqn"][1] == "marts"
    }
    return {**told, "run": RUN}
