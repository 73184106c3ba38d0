"""What one row of each model is, as its YAML declares it (`config.meta.grain`), held against the tables of a built morning.

Belongs here: finding what stands in a table twice. Does not belong here: building one; tests that build a morning anyway ask for this.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import duckdb

from dagster_project import dbt_build


@cache
def declared() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every model with a grain that stands somewhere, as an ephemeral one does not: its relation and the columns that name a row of it."""
    nodes = json.loads(dbt_build.MANIFEST.read_text("utf-8"))["nodes"].values()
    return {
        node["name"]: (f'"{node["database"]}"."{node["schema"]}"."{node["name"]}"', tuple(node["config"]["meta"]["grain"]))
        for node in nodes
        if node["resource_type"] == "model"
        and node["config"]["materialized"] != "ephemeral"
        and node["config"]["meta"].get("grain")
    }


def doubled(con: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], int]:
    """Models with how many of their keys stand there more than once, a null being a value as any other; and how many models were asked.

    `con`: a morning's private file as `arrears`, its marts attached as `published`. Models that were not built are passed over.
    """
    tables = "select database_name, schema_name, table_name from duckdb_tables()"
    views = "select database_name, schema_name, view_name from duckdb_views()"
    there = {'"{}"."{}"."{}"'.format(*row) for row in con.execute(f"{tables} union {views}").fetchall()}
    asked = [
        f"select '{name}', count(*) from (select 1 from {relation} group by {', '.join(key)} having count(*) > 1) as repeated"
        for name, (relation, key) in declared().items()
        if relation in there
    ]
    return {name: count for name, count in con.execute(" union all ".join(asked)).fetchall() if count}, len(asked)


def doubled_in(private: Path, marts: Path | None = None) -> tuple[dict[str, int], int]:
    """The same of a morning's files, at rest."""
    with duckdb.connect() as con:
        con.execute(f"attach '{private}' as arrears (read_only)")
        if marts:
            con.execute(f"attach '{marts}' as published (read_only)")
        con.execute("use arrears")
        return doubled(con)
