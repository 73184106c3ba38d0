"""What dbt compiled, as a night runs it, for as many mornings as a test has time for: in memory, in part, over other policy rows, and with
every test asked whatever the others say.

What is left out are contracts, which the tests that run whole nights see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dagster_project import compiled as nightly
from dagster_project import morning
from dagster_project.compiled import NO_CURRENCY, Node, at, kept, needed_for
from dagster_project.compiled import STAND_IN as STAND_IN
from dagster_project.duck import connect
from dagster_project.landing import Known, Landing
from dagster_project.paths import SEEDS
from dagster_project.warehouse import Warehouse

PART = "__dbt__cte__"
"""What dbt calls a part that is written into a model (ephemeral)."""


class BlockingTestFailed(AssertionError):
    """A test that would have kept the morning in the house found rows. The message has each with its first rows."""


@cache
def compiled(policy: str = "net_terms", reporting_currency: str = "") -> Sequence[Node]:
    """The project's nodes as nights run them."""
    apart(policy)  # dbt compiles once for both
    return nightly.compiled(policy, reporting_currency)


@cache
def apart(policy: str = "net_terms") -> dict[str, str]:
    """Each model by its name as it is without its parts, which it reads as tables by the names that dbt gives them; parts are models here.
    No reporting currency is set."""
    return dict(kept(f"apart.{policy}", Path(__file__), lambda: _apart(policy)))


def _apart(policy: str) -> dict[str, str]:
    given = nightly.dbt_compiled(policy)
    nightly.compiled(policy, given=given)
    parsed, found = given
    nodes = parsed.nodes | {node.unique_id: node for node in found}
    return {
        node.name: (node._pre_injected_sql or node.compiled_code).replace(f"'{NO_CURRENCY}'", "''")
        for node in nodes.values()
        if node.resource_type == "model"
    }


def over(
    nodes: Sequence[Node], as_of: date, names: Sequence[str], given: Mapping[str, pa.Table] | None = None, seeds: Path = SEEDS
) -> duckdb.DuckDBPyConnection:
    """Those models and what they are made from, in memory: `given` tables stand where a model or seed of their name would."""
    given = given or {}
    wanted = set(names)
    for node in reversed(nodes):
        if node.name in wanted and node.name not in given:
            wanted.update(node.parents)
    con = connect(threads="1")
    con.execute("attach ':memory:' as arrears; attach ':memory:' as published; set timezone = 'UTC'; use arrears")
    for node in nodes:
        if node.name in wanted and node.kind != "test":
            con.execute(f"create schema if not exists {node.relation.rpartition('.')[0]}")
            if node.name in given:
                con.register("given_rows", given[node.name])
                con.execute(f"create table {node.relation} as from given_rows")
            else:
                _create(con, node, as_of, seeds, node.kind)
    return con


def again(con: duckdb.DuckDBPyConnection, nodes: Sequence[Node], as_of: date, seeds: Path) -> None:
    """Of tables that `over` made of the seeds that ship, make those anew that other seeds make otherwise."""
    other = {path.stem for path in seeds.glob("*.csv") if path.read_bytes() != (SEEDS / path.name).read_bytes()}
    for node in nodes:
        if node.kind != "test" and (node.name in other or other.intersection(node.parents)):
            other.add(node.name)
            con.execute(f"drop {node.kind} {node.relation}")
            _create(con, node, as_of, seeds, node.kind)


def _sql(node: Node, as_of: date, seeds: Path) -> str:
    sql = at(node, as_of)
    return sql.replace(f"read_csv('{SEEDS}/", f"read_csv('{seeds}/") if not node.parents else sql


class InMemory(Warehouse):
    """A morning's files that are none: opening, growing and closing them takes longer than what a small book puts into them."""

    def __init__(self, con: duckdb.DuckDBPyConnection):
        super().__init__(Path())
        self.con = con

    @contextmanager
    def prepared(self) -> Iterator[duckdb.DuckDBPyConnection]:
        yield self.con

    def says_issued(self, loads: Iterable[str]) -> None:
        """Nobody asks."""


class Built:
    """The files of a built morning, open for questions: `rows("open_items")`, or any SQL over both files through `con`. `failures` counts
    the rows that tests found, by test."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, nodes: Sequence[Node], as_of: date, seeds: Path, *, views: bool, test: bool
    ):
        self.con = con
        self.failures: dict[str, int] = {}
        self._nodes, self._as_of, self._seeds, self._views, self._test = nodes, as_of, seeds, views, test
        self._done: set[str] = set()

    def make(self, *names: str) -> Built:
        """Build those models or tests, all where none is named, with what they are made from, and ask the tests that ask for nothing else.

        Raises:
            BlockingTestFailed: what the night would have stopped at.
        """
        said = []
        for node in needed_for(self._nodes, *names) if names else self._nodes:
            if node.kind != "test" and node.name not in self._done:
                try:
                    _create(self.con, node, self._as_of, self._seeds, node.kind if self._views else "table")
                except duckdb.Error as broken:
                    broken.add_note(f"in {node.name}")
                    raise
                self._done.add(node.name)
        for node in self._nodes if self._test else ():
            if node.kind == "test" and node.name not in self._done and self._done.issuperset(node.parents):
                self._done.add(node.name)
                if (found := self.con.sql(at(node, self._as_of)).to_arrow_table()).num_rows:
                    self.failures[node.name] = found.num_rows
                    said += [f"{node.name}: {found.slice(0, 3).to_pylist()}"] if node.blocking else []
        if said:
            self.con.close()
            raise BlockingTestFailed("\n".join(said))
        return self

    def table(self, mart: str) -> pa.Table:
        if mart not in self._done:
            self.make(mart)
        return self.con.sql(f"select * from published.marts.{mart}").to_arrow_table()

    def rows(self, mart: str) -> list[dict[str, Any]]:
        return self.table(mart).to_pylist()


def build(
    nodes: Sequence[Node],
    landing: Landing,
    as_of: date,
    folder: Path | None = None,
    known: Known = "then",
    *,
    test: bool = True,
    timezone: str = "UTC",
    seeds: Path = SEEDS,
    source: str = "demo",
    bureau: str = "none",
    when_asked: bool = False,
) -> Built:
    """Run every node over what the landing knows: in memory, or in the files of a `folder` for whoever reads those. `timezone`: where the
    machine believes it stands; `seeds`: the folder of the policy rows; `source`: where the ledger is said to come from: policy bound the
    demo's company all along; `bureau`: where scores are said to come from; `when_asked`: nothing is built until somebody asks for it.

    Raises:
        BlockingTestFailed: what the night would have stopped at.
    """
    con = (
        _in_files(folder, landing, as_of, known, source, bureau) if folder else _in_memory(landing, as_of, known, source, bureau)
    )
    con.execute(f"set timezone = '{timezone}'")
    for schema in sorted({node.relation.rpartition(".")[0] for node in nodes if node.relation}):
        con.execute(f"create schema if not exists {schema}")
    built = Built(con, nodes, as_of, seeds, views=folder is not None, test=test)
    return built if when_asked else built.make()


def _in_files(folder: Path, landing: Landing, as_of: date, known: Known, source: str, bureau: str) -> duckdb.DuckDBPyConnection:
    warehouse = Warehouse(folder)
    warehouse.create()
    try:
        morning.prepare(warehouse, landing, as_of, known, source, bureau)
    finally:
        warehouse.release()
    con = connect(str(warehouse.private), fsync_mode="none")  # as dbt's profile has it
    con.execute(f"attach '{warehouse.marts}' as published")
    return con


def _in_memory(landing: Landing, as_of: date, known: Known, source: str, bureau: str) -> duckdb.DuckDBPyConnection:
    con = connect(threads="1")  # what a small book asks is planned in less time than threads take to meet
    con.execute("attach ':memory:' as arrears; attach ':memory:' as published; use arrears")
    morning.prepare(InMemory(con), landing, as_of, known, source, bureau)
    return con


def _create(con: duckdb.DuckDBPyConnection, node: Node, as_of: date, seeds: Path, kind: str) -> None:
    sql = _sql(node, as_of, seeds)
    if not node.parents and (file := re.search(r"read_csv\('([^']+)'", sql)):
        con.register("given_rows", _seed(sql, Path(file[1]).read_bytes()))
        sql = "select * from given_rows"
    con.execute(f"create {kind} {node.relation} as {sql}")


@cache
def _seed(sql: str, content: bytes) -> pa.Table:
    """The rows of a seed whose file holds `content`, read once."""
    return _reader().sql(sql).to_arrow_table()


@cache
def _reader() -> duckdb.DuckDBPyConnection:
    """One for all seeds: opening one takes longer than reading a seed."""
    return duckdb.connect()
