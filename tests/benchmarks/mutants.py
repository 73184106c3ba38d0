"""Predicates of the deciding models altered one at a time, and whether anybody notices.

Run by hand: `make mutants MODELS="int_dunning_holds int_promises" MUTANTS=20 SEED=1`; without MODELS the deciding ones. A mutant is put to
the cases beside its model, then to the fixture ledger (the golden columns, the blocking tests, the grains) and to random books (the
reference, the tests, the grains), and is killed by the first that objects. What survives gets a case that kills it, or a line in
`mutants.toml` with its reason.

Belongs here: altering compiled SQL and asking the judges. Does not belong here: what is right (the cases, the golden files, the reference).
Conditions that macros write for policy rows are left alone: they are the same in every model and have tests of their own. A part
that dbt writes into a model (ephemeral) is altered there and put to the cases beside the part. The cases are
run here as dbt runs them but without dbt; one that does not hold for the model as it stands judges nothing and is named.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]

from dagster_project import dbt_build  # noqa: E402
from dagster_project.duck import connect  # noqa: E402
from tests import compiled  # noqa: E402
from tests.compiled import Node, at  # noqa: E402
from tests.e2e.test_golden import COLUMNS, GOLDEN  # noqa: E402
from tests.grains import declared  # noqa: E402
from tests.reference import books, proof  # noqa: E402
from tests.reference.ledger import Ledger  # noqa: E402
from tests.reference.test_random_books import MORNINGS  # noqa: E402

LISTED = Path(__file__).with_suffix(".toml")
LEDGER, AS_OF = ROOT / "tests" / "fixtures" / "ledger", date(2025, 6, 30)
POLICY, CURRENCY = "net_terms", "EUR"
PART = "__dbt__cte__"
"""What dbt calls a part that is written into a model (ephemeral)."""
MEMORY, SECONDS = "3GB", 120
"""What one judge may take for a mutant: a join that lost its condition takes whatever there is. More is an objection."""
FOLDERS = ("dunning", "risk")
DECIDING = (
    *("int_reference_matches", "int_named_documents", "int_possible_payments", "int_source_allocations", "int_allocations"),
    *("int_instalment_allocations", "int_item_allocations", "int_item_movements", "int_item_balances", "int_items_snapshot"),
    *("int_item_disputes", "int_disputed_items", "int_refund_pieces", "int_promises", "int_promised_items", "int_cash_applied"),
    *("int_paid_months", "int_passing_cash", "int_payment_windows", "int_payment_months", "int_payment_behaviour"),
)
"""Beside everything in FOLDERS: what a balance is, and what was said of it."""


# --- altering a statement ---------------------------------------------------------------------------------------------

OTHER = {exp.LT: exp.LTE, exp.LTE: exp.LT, exp.GT: exp.GTE, exp.GTE: exp.GT, exp.EQ: exp.NEQ, exp.NEQ: exp.EQ}
OTHER |= {exp.And: exp.Or, exp.Or: exp.And, exp.Min: exp.Max, exp.Max: exp.Min}


class Mutants:
    """A model's single alterations in the order of the text. `names` says what becomes of what, as `mutants.toml` lists it; the same again
    has a number. `part`: the part of it that is altered, instead of the rest."""

    def __init__(self, sql: str, part: str | None = None):
        self.tree = sqlglot.parse_one(sql, read="duckdb")
        self.alterations = [(node, altered) for node, altered in _alterations(self.tree) if _part_around(node) == part]
        self.names: list[str] = []
        seen: Counter[str] = Counter()
        for node, altered in self.alterations:
            name = f"{_said(node)} -> {_said(altered)}"
            seen[name] += 1
            self.names.append(name + (f" #{seen[name]}" if seen[name] > 1 else ""))

    def sql(self, place: int) -> str:
        """The whole model with one alteration."""
        node, altered = self.alterations[place]
        node.replace(altered)
        try:
            return self.tree.sql("duckdb")
        finally:
            altered.replace(node)


def same(sql: str) -> str:
    """The statement through the same parser, with nothing altered."""
    return sqlglot.parse_one(sql, read="duckdb").sql("duckdb")


def _said(node: exp.Expression) -> str:
    text = " ".join(node.sql("duckdb", comments=False).split())
    return text if len(text) <= 160 else f"{text[:120]} … {text[-39:]}"


def _alterations(tree: exp.Expression) -> list[tuple[exp.Expression, exp.Expression]]:
    return [
        (node, altered)
        for node in tree.walk(bfs=False)
        if isinstance(node, (*OTHER, exp.Is, exp.In, exp.Coalesce, exp.Ordered)) and not _is_not_its_own(node)
        for altered in _altered(node)
    ]


def _altered(node: exp.Expression) -> Iterator[exp.Expression]:
    if isinstance(node, exp.EQ) and isinstance(node.find_ancestor(exp.Join, exp.Select), exp.Join) and not node.find(exp.Literal):
        return  # keys of a join: nobody would overlook the other way round
    if type(node) in OTHER:
        other = OTHER[type(node)](**{name: part.copy() for name, part in node.args.items() if isinstance(part, exp.Expression)})
        yield exp.Paren(this=other) if isinstance(other, exp.Or) else other
    if isinstance(node, exp.And):  # a condition less
        yield node.left.copy()
        yield node.right.copy()
    elif isinstance(node, exp.Is | exp.In):  # a second `not` takes the first away
        yield exp.Paren(this=exp.Not(this=node.copy()))
    elif isinstance(node, exp.Ordered):
        yield exp.Ordered(this=node.this.copy(), desc=not node.args.get("desc"), nulls_first=node.args.get("nulls_first"))
    elif isinstance(node, exp.Coalesce):
        *others, last = [node.this, *node.expressions]
        default = _other_value(last)
        yield exp.Coalesce(
            this=others[0].copy(), expressions=[*(each.copy() for each in others[1:]), *([default] if default else [])]
        )


def _other_value(value: exp.Expression) -> exp.Expression | None:
    """Another default of the same type; none, where the default is no constant: then there is none."""
    if isinstance(value, exp.Boolean):
        return exp.Boolean(this=not value.this)
    if isinstance(value, exp.Literal):
        return exp.Literal.string(value.this + "~") if value.is_string else exp.Literal.number(int(float(value.this)) + 1)
    return None


def _part_around(node: exp.Expression) -> str | None:
    """The part it stands in, if it does."""
    part = node.find_ancestor(exp.CTE)
    while part and not part.alias.startswith(PART):
        part = part.find_ancestor(exp.CTE)
    return part.alias.removeprefix(PART) if part else None


def _is_not_its_own(node: exp.Expression) -> bool:
    """Whether it stands in what `policy_rows` and `policy_value` write, or chooses a width as `rounded_once` does."""
    if isinstance(node, exp.Coalesce) and isinstance(node.this, exp.Cast) and isinstance(node.this.this, exp.TryCast):
        return True
    if any(column.name == "policy_precedence" for column in node.find_all(exp.Column)):
        return not isinstance(node, exp.And | exp.Or)
    select = node.find_ancestor(exp.Select)
    while select:
        source = select.args.get("from_") or select.args.get("from")
        if source and source.this.alias in ("policy_rows", "policy_value"):
            return True
        select = select.find_ancestor(exp.Select)
    return False


# --- the judges -------------------------------------------------------------------------------------------------------


@dataclass
class Case:
    """A unit test beside a model, its given rows in tables."""

    name: str
    con: duckdb.DuckDBPyConnection
    as_of: str
    policy: str
    columns: Sequence[str]
    asked: Callable[[str], str]
    """What of a model's statement the case is put to: the model over given rows instead of its parts, or one part."""

    def objects(self, sql: str) -> bool:
        sql = self.asked(sql)
        sql = sql.replace(compiled.STAND_IN.isoformat(), self.as_of).replace(f"'{POLICY}'", f"'{self.policy}'")
        names = ", ".join(f'"{name}"' for name in self.columns)
        sides = (f"select {names} from ({sql}) as actual", f"select {names} from expected")
        try:
            return any(
                self.con.execute(f"select count(*) from ({one} except all {other})").fetchone() != (0,)
                for one, other in (sides, sides[::-1])
            )
        except duckdb.BinderException as unbound:
            raise NoSuchModel(str(unbound)) from None
        except duckdb.Error:
            return True


class NoSuchModel(Exception):
    """The altered statement is none."""


def cases_of(model: str, nodes: dict[str, Node], typed: duckdb.DuckDBPyConnection) -> Iterator[Case]:
    """The cases that stand beside a model or a part of one. `typed`: a built morning, which knows the types of all tables."""
    whole = nodes[holder_of(model, nodes)].sql
    part = model if model not in nodes else None
    columns_out = _described(typed, _asked(whole, part, ()))
    for case in _cases():
        if case["model"] != model:
            continue
        con = connect(threads="1", memory_limit=MEMORY)
        con.execute("attach ':memory:' as arrears; attach ':memory:' as published; set timezone = 'UTC'; use arrears")
        parts = []
        for given in case["given"]:
            name = given["input"].split("'")[1]
            if name not in nodes:  # a part of the model, written into it
                parts.append(PART + name)
                _fill(con, parts[-1], _described(typed, _asked(whole, name, ())), given["rows"])
                continue
            con.execute(f"create schema if not exists {nodes[name].relation.rpartition('.')[0]}")
            _fill(con, nodes[name].relation, _columns(typed, nodes[name]), given["rows"])
        variables = (case["overrides"] or {}).get("vars", {})
        rows = case["expect"]["rows"]
        _fill(con, "expected", columns_out, rows)
        columns = list(rows[0]) if rows else list(columns_out)
        asked = partial(_asked, part=part, given=parts) if part or parts else str
        yield Case(case["name"], con, str(variables.get("as_of", AS_OF)), variables.get("policy", POLICY), columns, asked)


def holder_of(model: str, nodes: dict[str, Node]) -> str:
    """The model itself, or the first that a part is written into."""
    return model if model in nodes else next(name for name, node in nodes.items() if f"{PART}{model} as (" in node.sql)


@cache
def _cases() -> list[dict[str, Any]]:
    """All of them, read once: whoever edits a model meanwhile changes the manifest."""
    return list(json.loads(dbt_build.MANIFEST.read_text("utf-8"))["unit_tests"].values())


def _columns(con: duckdb.DuckDBPyConnection, node: Node) -> dict[str, str]:
    return _described(con, f"select * from {node.relation}")


def _described(con: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    return {row[0]: str(row[1]) for row in con.execute(f"describe {sql}").fetchall()}


def _asked(sql: str, part: str | None, given: Sequence[str]) -> str:
    """A model's statement, or that of one of its parts, without the parts that are given as tables."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    parts = [each for each in tree.ctes if each.alias.startswith(PART)]
    if part:
        kept = [each.sql("duckdb") for each in parts if each.alias not in given]
        return f"with {', '.join(kept)} select * from {PART}{part}"
    for each in parts:
        if each.alias in given:
            each.pop()
    return tree.sql("duckdb")


def _fill(con: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str], rows: Any) -> None:
    con.execute(f"create table {table} ({', '.join(' '.join(column) for column in columns.items())})")
    if isinstance(rows, str):
        con.execute(f"insert into {table} by name ({rows})")
        return
    for row in rows:
        values = [None if value == "" and columns[name] != "VARCHAR" else value for name, value in row.items()]
        marks = ", ".join(f"cast(? as {columns[name]})" for name in row)
        con.execute(f"insert into {table} ({', '.join(row)}) values ({marks})", values)


@dataclass
class Morning:
    """A book, built, in which one model after the other is replaced. `objects` names what the suite would see in the marts that changed."""

    name: str
    nodes: Sequence[Node]
    con: duckdb.DuckDBPyConnection
    as_of: date
    objects: Callable[[duckdb.DuckDBPyConnection, set[str]], str | None]
    grains: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=declared)

    def judge(self, model: str, sql: str) -> tuple[str | None, set[str]]:
        """Who objects, if anybody does, and the models that came out otherwise."""
        changed: set[str] = set()
        too_long = Timer(SECONDS, self.con.interrupt)
        too_long.start()
        try:
            for node in self.nodes:
                if node.kind != "test" and (node.name == model or changed.intersection(node.parents)):
                    asked = sql.replace(compiled.STAND_IN.isoformat(), self.as_of.isoformat()) if node.name == model else None
                    if self._differs(node, asked or at(node, self.as_of)):
                        changed.add(node.name)
                if node.name == model and not changed:
                    break
            return self._objection(changed), changed
        except duckdb.BinderException as unbound:
            raise NoSuchModel(str(unbound)) from None
        except duckdb.Error as broken:
            return f"broke: {str(broken).splitlines()[0][:80]}", changed
        finally:
            too_long.cancel()
            for node in self.nodes:
                if node.name in changed:
                    self.con.execute(f"drop table {node.relation}; create table {node.relation} as from kept.{node.name}")

    def _differs(self, node: Node, sql: str) -> bool:
        """Whether a model comes out otherwise; if so its new rows take the place of the old, which are kept."""
        self.con.execute(f"create or replace temp table tried as {sql}")
        old, new = f"from {node.relation}", "from tried"
        if all(
            self.con.execute(f"select 1 from ({a} except all {b}) limit 1").fetchone() is None
            for a, b in ((old, new), (new, old))
        ):
            return False
        self.con.execute(f"create schema if not exists kept; create table if not exists kept.{node.name} as from {node.relation}")
        self.con.execute(f"create or replace table {node.relation} as from tried")
        return True

    def _objection(self, changed: set[str]) -> str | None:
        for name in changed & self.grains.keys():
            relation, key = self.grains[name]
            if self.con.execute(f"select 1 from {relation} group by {', '.join(key)} having count(*) > 1 limit 1").fetchone():
                return f"the grain of {name}"
        for node in self.nodes:
            asks = node.kind == "test" and node.blocking and changed.intersection(node.parents)
            if asks and self.con.execute(f"select 1 from ({at(node, self.as_of)}) as found limit 1").fetchone():
                return f"the test {node.name}"
        return self.objects(self.con, changed)


def fixture_morning(nodes: Sequence[Node], folder: Path) -> Morning:
    """The ledger whose golden files were worked out by hand."""
    desk = proof.Desk(folder)
    desk.land_files(LEDGER, AS_OF)
    con = compiled.build(nodes, desk.landing, AS_OF, known="now", source="files", test=False).con
    con.execute(f"set memory_limit = '{MEMORY}'")

    def golden(mart: str) -> list[tuple[Any, ...]]:
        names = COLUMNS[mart].split()
        return con.execute(
            f"select {', '.join(f'cast({name} as varchar)' for name in names)} from published.marts.{mart} order by all"
        ).fetchall()

    kept = {}
    for mart in COLUMNS:
        with (GOLDEN / f"{mart}.csv").open(newline="", encoding="utf-8") as file:
            kept[mart] = [tuple(value or None for value in row) for row in list(csv.reader(file))[1:]]
        if kept[mart] != [tuple(value or None for value in row) for row in golden(mart)]:
            print(f"{mart} is not as its golden file says: it judges by what it is now", flush=True)
        kept[mart] = golden(mart)

    def objects(_: duckdb.DuckDBPyConnection, changed: set[str]) -> str | None:
        return next((f"golden {mart}" for mart in COLUMNS if mart in changed and golden(mart) != kept[mart]), None)

    return Morning("fixture", nodes, con, AS_OF, objects)


def random_morning(nodes: Sequence[Node], folder: Path, count: int) -> Morning:
    """So many random books, and what the reference says of them."""
    setting = MORNINGS[0]
    apart = [books.prefixed(book, f"b{place:03}-", setting) for place, (book, _) in enumerate(books.generate(setting, count))]
    whole = books.merged([{"companies": books.companies(setting), "exchange_rates": books.rates(setting)}, *apart])
    ledger = Ledger(whole, setting.as_of, setting.reporting_currency)
    whole["control_balances"] = [
        {"company_id": company, "as_of": setting.as_of, "balance": balance}
        for company, balance in ledger.subledger(setting.as_of).items()
    ]
    landing = proof.Desk(folder)
    landing.land(whole, setting.as_of)
    nodes = compiled.needed_for(nodes, *proof.MARTS)
    con = compiled.build(nodes, landing.landing, setting.as_of, known="now", test=False).con
    con.execute(f"set memory_limit = '{MEMORY}'")
    rows = {mart: len(con.sql(f"from published.marts.{mart}")) for mart in proof.MARTS}

    def objects(con: duckdb.DuckDBPyConnection, changed: set[str]) -> str | None:
        if not changed.intersection(proof.MARTS):
            return None
        if many := [mart for mart in proof.MARTS if len(con.sql(f"from published.marts.{mart}")) > 10 * rows[mart] + 1000]:
            return f"the reference: rows too many in {many[0]}"
        marts = {mart: con.sql(f"select * from published.marts.{mart}").to_arrow_table().to_pylist() for mart in proof.MARTS}
        try:
            return next((f"the reference on {found.mart}.{found.column}" for found in proof.differences(ledger, marts)), None)
        except AssertionError:
            return "the reference: rows too many"

    assert objects(con, set(proof.MARTS)) is None, "the reference objects to the models as they stand"
    return Morning("random books", nodes, con, setting.as_of, objects)


# --- a run ------------------------------------------------------------------------------------------------------------


def judged(
    model: str, altered: Mutants, drawn: Sequence[int], nodes: dict[str, Node], mornings: Sequence[Morning], why: dict[str, str]
) -> Counter[str]:
    """Ask every judge about a model's mutants, cheapest first; print who survives."""
    said: Counter[str] = Counter()
    cases = list(cases_of(model, nodes, mornings[0].con))
    holder = holder_of(model, nodes)
    as_it_is = same(nodes[holder].sql)
    for case in [case for case in cases if case.objects(as_it_is)]:
        print(f"  {case.name} does not hold here for the model as it is: it judges nothing", flush=True)
        cases.remove(case)
    reached = [morning for morning in mornings if any(node.name == holder for node in morning.nodes)]
    if any(morning.judge(holder, as_it_is)[1] for morning in reached):
        print("  the parser does not give this model back as it is: nothing is judged", flush=True)
        return said
    for place in drawn:
        name, sql = altered.names[place], altered.sql(place)
        try:
            killer = next((case.name for case in cases if case.objects(sql)), None)
            changed: set[str] = set()
            for morning in [] if killer else reached:
                killer, found = morning.judge(holder, sql)
                changed |= found
                if killer:
                    break
        except NoSuchModel:
            said["no statement"] += 1
            continue
        said["tried"] += 1
        if killer:
            said["killed"] += 1
            said["by its cases"] += killer in {case.name for case in cases}
            if name in why:
                print(f"  listed, and killed by {killer}: {name}", flush=True)
        elif name in why:
            said["listed"] += 1
        else:
            said["survived"] += 1
            print(f"  survived ({_where(changed)}): {name}", flush=True)
    return said


def _where(changed: set[str]) -> str:
    return f"changes {', '.join(sorted(changed)[:4])}{' …' if len(changed) > 4 else ''}" if changed else "changes no row"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="models to alter; without any, the deciding ones")
    parser.add_argument("--mutants", type=int, default=0, metavar="N", help="at most so many a model, drawn by --seed; 0 for all")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--books", type=int, default=40, help="random books the reference is asked about; 0 for none")
    given = parser.parse_args()
    every = compiled.compiled(POLICY, CURRENCY)
    _cases()
    nodes = {node.name: node for node in every if node.kind != "test"}
    folders = json.loads(dbt_build.MANIFEST.read_text("utf-8"))["nodes"].values()
    deciding = [
        *DECIDING,
        *sorted(
            node["name"]
            for node in folders
            if node["resource_type"] == "model" and node["fqn"][2:3] and node["fqn"][2] in FOLDERS
        ),
    ]
    listed = tomllib.loads(LISTED.read_text("utf-8"))
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        mornings = [fixture_morning(every, Path(folder) / "fixture")]
        mornings += [random_morning(every, Path(folder) / "books", given.books)] if given.books else []
        for model in given.models or deciding:
            altered = Mutants(nodes[holder_of(model, nodes)].sql, None if model in nodes else model)
            count = len(altered.names)
            drawn = sorted(Random(f"{given.seed} {model}").sample(range(count), min(given.mutants or count, count)))
            print(f"{model}: {len(drawn)} of {count}", flush=True)
            said = judged(model, altered, drawn, nodes, mornings, listed.get(model, {}))
            print(f"  {', '.join(f'{count} {word}' for word, count in said.items())}", flush=True)
            total += said
    print(f"\n{', '.join(f'{count} {word}' for word, count in total.items())}")
    return 1 if total["survived"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
