"""Build some marts by the models' SQL alone, in a process of its own: what `volumes.py` holds against the floor, which builds the same.

`models.py HOME OUT AS_OF MEMORY_LIMIT MART…` reads what a home has landed. Belongs here: nothing but that. Left out are dbt, the tests and
the marts that nobody named.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT)]

from dagster_project import morning  # noqa: E402
from dagster_project.duck import connect  # noqa: E402
from dagster_project.landing import Landing  # noqa: E402
from dagster_project.warehouse import Warehouse  # noqa: E402
from tests.compiled import at, compiled, needed_for  # noqa: E402


def main(home: Path, out: Path, as_of: date, memory_limit: str, marts: list[str]) -> None:
    warehouse = Warehouse(out)
    warehouse.create()
    morning.prepare(warehouse, Landing(home / "landing", home / "quarantine"), as_of, "then", "files", "files")
    warehouse.release()
    nodes = [node for node in needed_for(compiled("net_terms", "EUR"), *marts) if node.kind != "test"]
    # As dbt's profile has it.
    with connect(str(warehouse.private), memory_limit=memory_limit, fsync_mode="none", checkpoint_threshold="1GB") as con:
        con.execute(f"attach '{warehouse.marts}' as published; set timezone = 'UTC'; set preserve_insertion_order = false")
        for schema in sorted({node.relation.rpartition(".")[0] for node in nodes}):
            con.execute(f"create schema if not exists {schema}")
        for node in nodes:
            con.execute(f"create {node.kind} {node.relation} as {at(node, as_of)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]), sys.argv[4], sys.argv[5:])
