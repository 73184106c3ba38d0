"""The dbt project as dbt compiled it: one list of statements for every morning, and a night's build from it.

Belongs here: having dbt compile the project once for each state of its files, putting a morning's date in, and running all of it in a
run's private folder. Does not belong here: what becomes of a morning that something objects to (`building.py`).

Rendering, contexts, macros and events cost dbt more than the statements cost DuckDB, and come to the same every night but for the date.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from datetime import date
from graphlib import TopologicalSorter
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from dagster_project import dbt_build
from dagster_project.dbt_build import NodeResult
from dagster_project.paths import DBT_PROJECT
from dagster_project.warehouse import MARTS, Warehouse

if TYPE_CHECKING:
    import duckdb

progress = logging.getLogger("arrears.progress")

STAND_IN: Final = date(2001, 2, 3)
"""The morning the project is compiled for; its one macro for the date is what a run replaces."""
NO_CURRENCY: Final = "XTS"
"""The reporting currency it is compiled for, by ISO 4217 one for tests, which is replaced as well."""

Compiled = tuple[Any, list[Any]]
"""dbt's project, and its nodes with their statements."""


class Objection(Exception):
    """Something about the morning is not as it has to be. The message says what, for the log: dbt says it for people."""


@dataclass(frozen=True)
class Node:
    """A seed, model or test. `sql` asks for its rows, of a seed as a file; `blocking` is said of tests. `layer` is as `NodeResult` has it,
    `contract` the columns and types a mart promises, in their order."""

    name: str
    kind: str
    relation: str
    sql: str
    blocking: bool = False
    parents: tuple[str, ...] = ()
    unique_id: str = ""
    layer: str = ""
    contract: tuple[tuple[str, str], ...] = ()


def compiled(policy: str = "net_terms", reporting_currency: str = "", given: Compiled | None = None) -> Sequence[Node]:
    """The project's nodes in the order in which they can be run; compiled again where a file of the project changed. `given`:
    what `dbt_compiled` gave for the policy, for whoever has it already.

    Raises:
        DbtError: the project does not parse or compile.
    """
    asked, compiled_for = (f"nullif('{currency}', '')" for currency in (reporting_currency, NO_CURRENCY))
    return [replace(node, sql=node.sql.replace(compiled_for, asked)) for node in _kept(policy, given)]


def needed_for(nodes: Sequence[Node], *names: str) -> list[Node]:
    """Those models, all they are made from, and the tests that ask for nothing else."""
    wanted = set(names)
    for node in reversed(nodes):
        if node.name in wanted:
            wanted.update(node.parents)
    return [node for node in nodes if (node.name in wanted if node.kind != "test" else wanted.issuperset(node.parents))]


def _kept(policy: str, given: Compiled | None) -> Sequence[Node]:
    return [
        _read(node)
        for node in kept(
            f"nightly.{policy}", Path(__file__), lambda: [asdict(node) for node in _nodes(*(given or dbt_compiled(policy)))]
        )
    ]


def kept(name: str, maker: Path, made: Callable[[], Any]) -> Any:
    """What `made` gives, which JSON can hold, from a file of that name; made again where the project or its `maker` changed.

    Raises:
        DbtError: the project does not parse or compile.
    """
    dbt_build.prepare()
    state, file = dbt_build.state_prepared() + maker.read_text("utf-8"), dbt_build.TARGET / f"{name}.json"
    with FileLock(f"{file}.lock"):
        if file.exists() and (stored := json.loads(file.read_text("utf-8"))).get("state") == state:
            return stored["made"]
        new = made()
        file.write_text(json.dumps({"state": state, "made": new}), "utf-8")
        return new


def _read(node: dict[str, Any]) -> Node:
    columns = tuple((name, kind) for name, kind in node["contract"])
    return Node(**{**node, "parents": tuple(node["parents"]), "contract": columns})


def dbt_compiled(policy: str) -> Compiled:
    """The project for the morning and the currency that a run replaces.

    Raises:
        DbtError: the project does not compile.
    """
    return dbt_build.compile_all(dbt_build.vars_of(STAND_IN, policy, NO_CURRENCY), dbt_build.TARGET / f"compiled.{policy}")


def _nodes(parsed: Any, found: Sequence[Any]) -> list[Node]:
    nodes = {node.unique_id: node for node in found if node.resource_type in ("seed", "model", "test")}
    ordered: dict[str, Node] = {}

    def parents_of(node: Any) -> list[str]:
        """What it reads; of an ephemeral model, which stands within it, what that one reads."""
        found = []
        for parent in node.depends_on.nodes if node.resource_type != "seed" else ():
            inner = parsed.nodes.get(parent)
            within = inner is not None and inner.resource_type == "model" and inner.config.materialized == "ephemeral"
            found += parents_of(inner) if within else [parent] if parent in nodes else []
        return list(dict.fromkeys(found))

    def visit(unique_id: str) -> None:
        node = nodes[unique_id]
        if unique_id in ordered:
            return
        for parent in parents_of(node):
            visit(parent)
        ordered[unique_id] = _node(node, [nodes[parent].name for parent in parents_of(node)])

    for unique_id in sorted(nodes, key=lambda each: (each.startswith("test."), each)):
        visit(unique_id)
    assert not [name for name, node in ordered.items() if NO_CURRENCY in node.sql.replace(f"nullif('{NO_CURRENCY}', '')", "")]
    return list(ordered.values())


def _node(node: Any, parents: Sequence[str]) -> Node:
    relation = f'"{node.database}"."{node.schema}"."{node.name}"'
    if node.resource_type == "seed":
        types = ", ".join(f"'{column}': '{kind}'" for column, kind in node.config.column_types.items())
        path = DBT_PROJECT / node.original_file_path
        asks = f"select * from read_csv('{path}', header = true, columns = {{{types}}}, nullstr = '')"
        return Node(node.name, "table", relation, asks, unique_id=node.unique_id, layer="seed")
    if node.resource_type == "model":
        contract = tuple((column.name, column.data_type) for column in node.columns.values()) if node.contract.enforced else ()
        said = {"unique_id": node.unique_id, "layer": node.fqn[1], "contract": contract}
        return Node(node.name, node.config.materialized, relation, node.compiled_code, parents=tuple(parents), **said)
    blocking = str(node.config.severity).lower() == "error"
    return Node(node.name, "test", "", node.compiled_code, blocking, tuple(parents), node.unique_id, "test")


def at(node: Node, as_of: date) -> str:
    """What a node asks on a morning."""
    return node.sql.replace(STAND_IN.isoformat(), as_of.isoformat())


def build(
    warehouse: Warehouse,
    as_of: date,
    policy: str,
    reporting_currency: str,
    *,
    threads: int,
    memory_limit: str,
    only: str = "",
    through: bool = False,
) -> list[NodeResult]:
    """Build everything into a run's private folder and ask every test, or `only` a model and what it is made from: what `dbt_build.build`
    does on a morning without objections. `through`: what blocking tests find is among the results, and no objection.

    Raises:
        Objection: a statement failed, a blocking test found rows, or a mart is not as its contract has it. What is there is of no use.
        DbtError: the project does not parse or compile.
    """
    import duckdb

    nodes = compiled(policy, reporting_currency)
    nodes = needed_for(nodes, only) if only else nodes
    try:
        with warehouse.building(memory_limit) as con:
            for schema in sorted({node.relation.rpartition(".")[0] for node in nodes if node.relation}):
                con.execute(f"create schema if not exists {schema}")
            results = _run(con, nodes, as_of, threads, through)
            _hold_to_contracts(con, nodes)
            con.execute("checkpoint published; pragma disable_checkpoint_on_shutdown")  # as `engines.duckdb.force_marts`
    except duckdb.Error as broken:
        raise Objection(" ".join([*getattr(broken, "__notes__", ()), str(broken)])) from broken
    return results


def _run(con: duckdb.DuckDBPyConnection, nodes: Sequence[Node], as_of: date, threads: int, through: bool) -> list[NodeResult]:
    """Every node once what it reads is there, some at a time. The first that fails ends the others."""
    by_name, results, told = {node.name: node for node in nodes}, list[NodeResult](), _Progress(nodes)
    order = TopologicalSorter({node.name: node.parents for node in nodes})
    order.prepare()
    cursors, free = [con.cursor() for _ in range(threads)], SimpleQueue[Any]()
    for cursor in cursors:
        free.put(cursor)

    def done(node: Node) -> NodeResult:
        cursor = free.get()
        try:
            result = _done(cursor, node, as_of)
        finally:
            free.put(cursor)
        if result.broken and not through:
            raise Objection(f"{node.unique_id} found {result.failures:,} rows")
        return result

    with ThreadPoolExecutor(threads) as pool:
        running: dict[Future[NodeResult], str] = {}
        try:
            while order.is_active():
                for name in order.get_ready():
                    running[pool.submit(done, by_name[name])] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    order.done(name := running.pop(future))
                    results.append(future.result())
                    told(by_name[name])
        except BaseException:
            for future in running:
                future.cancel()
            for cursor in cursors:
                cursor.interrupt()
            raise
    return results


def _done(con: duckdb.DuckDBPyConnection, node: Node, as_of: date) -> NodeResult:
    began, sql, found = time.monotonic(), at(node, as_of), 0
    try:
        if node.kind == "test":
            ((found,),) = con.execute(f"select count(*) from (\n{sql}\n) as found").fetchall()
        else:
            rows = f"select {', '.join(name for name, _ in node.contract)} from (\n{sql}\n)" if node.contract else sql
            con.execute(f"create {node.kind} {node.relation} as {rows}")
    except Exception as broken:
        broken.add_note(f"{node.unique_id}:")
        raise
    objects = "fail" if node.blocking else "warn"
    status = "success" if node.kind != "test" else objects if found else "pass"
    message = f"Got {found} result{'s' if found > 1 else ''}, configured to {objects} if != 0" if found else ""
    return NodeResult(node.unique_id, node.name, node.layer, status, message, time.monotonic() - began, found, sql)


def _hold_to_contracts(con: duckdb.DuckDBPyConnection, nodes: Iterable[Node]) -> None:
    promised = {node.name: node.contract for node in nodes if node.contract}
    kinds = sorted({kind for columns in promised.values() for _, kind in columns})
    written = ", ".join(f"typeof(cast(null as {kind}))" for kind in kinds)
    as_stored = dict(zip(kinds, con.execute(f"select {written}").fetchall()[0] if kinds else (), strict=True))
    stored: dict[str, list[tuple[str, str]]] = {}
    for mart, column, kind in con.execute(
        "select table_name, column_name, data_type from duckdb_columns() where database_name = 'published' and schema_name = ? "
        "order by table_name, column_index",
        [MARTS],
    ).fetchall():
        stored.setdefault(mart, []).append((column, kind))
    for mart, columns in promised.items():
        if stored.get(mart) != [(column, as_stored[kind]) for column, kind in columns]:
            raise Objection(f"the mart {mart} is not as its contract has it")


class _Progress:
    """Says how far a build is, as dbt's own has it."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.all = Counter(_kind(node) for node in nodes)
        self.done: Counter[str] = Counter()

    def __call__(self, node: Node) -> None:
        self.done[_kind(node)] += 1
        if progress.isEnabledFor(logging.DEBUG):
            progress.debug("%s", ", ".join(f"{kind}s {self.done[kind]} of {self.all[kind]}" for kind in ("model", "test")))


def _kind(node: Node) -> str:
    return node.layer if node.layer in ("seed", "test") else "model"
