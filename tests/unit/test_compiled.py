"""A night's build from what dbt compiled: what comes of it, and all that it leaves to dbt."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from dagster_project import compiled, dbt_build
from dagster_project.compiled import Node, Objection
from dagster_project.dbt_build import NodeResult
from dagster_project.defs.transformation import dbt as transformation
from dagster_project.duck import connect
from dagster_project.engines import DUCKDB
from dagster_project.paths import DBT_PROJECT
from dagster_project.warehouse import UNFORCED, Warehouse, marts_of

MORNING = date(2025, 6, 30)


def node(name: str, sql: str, *parents: str, kind: str = "table", layer: str = "staging", **more: Any) -> Node:
    relation = "" if kind == "test" else f'"{"published" if layer == "marts" else "arrears"}"."{layer}"."{name}"'
    return Node(name, kind, relation, sql, parents=parents, unique_id=f"model.arrears.{name}", layer=layer, **more)


STAGED = node("staged", "select i as id, date '2001-02-03' as told_on from range(3) t(i)")
SEEN = node("seen", "select * from arrears.staging.staged where id > 0", "staged", kind="view", layer="intermediate")
MART = node(
    "shown",
    "select told_on, cast(id as decimal(18, 4)) as amount from arrears.intermediate.seen",
    "seen",
    layer="marts",
    contract=(("amount", "decimal(18,4)"), ("told_on", "date")),
)


def asked(name: str, sql: str, *parents: str, blocking: bool = True) -> Node:
    return node(name, sql, *parents, kind="test", layer="test", blocking=blocking)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    folder = Warehouse(tmp_path / "run")
    folder.create()
    yield folder
    folder.release()


Build = Callable[..., list[NodeResult]]


@pytest.fixture
def build(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Build:
    def built(*nodes: Node, **how: Any) -> list[NodeResult]:
        monkeypatch.setattr(compiled, "compiled", lambda *_: nodes)
        return compiled.build(warehouse, MORNING, "net_terms", "", threads=2, memory_limit="500MB", **how)

    return built


def test_everything_is_built_for_the_morning_and_every_test_asked(build: Build, warehouse: Warehouse) -> None:
    found = asked("odd_rows", "select * from arrears.staging.staged where id > 0", "staged", blocking=False)

    results = build(MART, SEEN, STAGED, asked("none", "select 1 where false"), found)

    said = {result.name: (result.layer, result.status, result.failures, result.message) for result in results}
    assert said == {
        "staged": ("staging", "success", 0, ""),
        "seen": ("intermediate", "success", 0, ""),
        "shown": ("marts", "success", 0, ""),
        "none": ("test", "pass", 0, ""),
        "odd_rows": ("test", "warn", 2, "Got 2 results, configured to warn if != 0"),
    }
    with marts_of(warehouse.marts) as con:
        rows = con.sql("select * from shown order by all")
        assert rows.columns == ["amount", "told_on"], "in the order of the contract"
        assert rows.fetchall() == [(1, MORNING), (2, MORNING)]
    (query,) = (result.query for result in results if result.name == "odd_rows")
    assert len(DUCKDB.found(warehouse, query, 5)) == 2


def test_a_morning_that_is_gone_through_is_built_whatever_its_tests_find(build: Build) -> None:
    results = build(STAGED, asked("none_is_left", "select * from arrears.staging.staged", "staged"), SEEN, MART, through=True)

    assert {result.name for result in results} == {"staged", "none_is_left", "seen", "shown"}
    (found,) = (result for result in results if result.broken)
    assert (found.name, found.failures, found.message) == ("none_is_left", 3, "Got 3 results, configured to fail if != 0")


def test_of_a_part_that_is_built_what_asks_for_more_is_left_out(build: Build) -> None:
    some, more = asked("some", "select 1 where false", "staged"), asked("more", "select 1 where false", "staged", "shown")

    assert {result.name for result in build(STAGED, SEEN, MART, some, more, only="seen")} == {"staged", "seen", "some"}


@pytest.mark.parametrize(
    ("faulty", "why"),
    [
        (asked("none_is_left", "select * from arrears.staging.staged", "staged"), r"none_is_left found 3 rows"),
        (node("broken", "select error('no policy for it')"), r"model\.arrears\.broken: .*no policy for it"),
        (node("mart", "select 1 as a", layer="marts", contract=(("a", "string"),)), r"mart mart is not as its contract"),
        (
            node("mart", "select 1 as a", layer="marts", contract=(("a", "integer"), ("b", "date"))),
            r'model\.arrears\.mart: .*"b"',
        ),
    ],
)
def test_whatever_is_not_as_it_has_to_be_is_left_to_dbt(faulty: Node, why: str, build: Build) -> None:
    with pytest.raises(Objection, match=why):
        build(STAGED, faulty)


TAKES_LONG = "select sum(a.range * b.range % 7) as s from range(100000) a, range(100000) b"


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_night_that_is_told_to_end_ends_and_leaves_nothing_at_work(
    told: signal.Signals, build: Build, warehouse: Warehouse
) -> None:
    class ToldToEnd(BaseException):
        """What Dagster raises is of such a kind."""

    def end(*_: Any) -> None:
        raise ToldToEnd

    before, threads = signal.signal(told, end), set(threading.enumerate())
    try:
        threading.Timer(0.5, os.kill, (os.getpid(), told)).start()
        with pytest.raises(ToldToEnd):
            build(node("one", TAKES_LONG), node("other", TAKES_LONG))
    finally:
        signal.signal(told, before)

    assert not {thread for thread in set(threading.enumerate()) - threads if "Pool" in thread.name}
    connect(str(warehouse.private)).close()  # nobody holds it


def test_it_opens_the_files_as_dbt_does() -> None:
    (target,) = (
        yaml.safe_load((DBT_PROJECT / "profiles.yml").read_text("utf-8"))["arrears"]["outputs"][name] for name in ["run"]
    )
    with connect() as con:
        (caching,) = con.execute("select current_setting('enable_caching_operators')").fetchall()[0]
    ours = {**UNFORCED, "enable_caching_operators": str(caching).lower()}

    dbts = {name: str(value).lower() for name, value in target["config_options"].items() if name != "memory_limit"}
    assert dbts == {name: value.lower() for name, value in ours.items()}


def test_a_morning_that_is_objected_to_is_built_by_dbt_from_the_start(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, results = [], [NodeResult("test.arrears.x", "x", "test", "fail", "Got 1 result", 0.0, 1)]

    def prepare(folder: Warehouse, *_: Any) -> dict[str, Any]:
        prepared.append(not folder.private.exists())
        folder.private.touch()
        return {}

    def objects(*_: Any, **__: Any) -> list[NodeResult]:
        raise Objection("x found 1 rows")

    monkeypatch.setattr(transformation.morning, "prepare", prepare)
    monkeypatch.setattr(compiled, "build", objects)
    monkeypatch.setattr(dbt_build, "build", lambda *_, **__: results)
    settings = SimpleNamespace(memory_limit="1GB", policy="net_terms", reporting_currency="", source="files", bureau_name="none")
    night = SimpleNamespace(engine=DUCKDB, project=None)

    assert transformation._built(settings, None, warehouse, night, MORNING, "then", 2) is results  # type: ignore[arg-type]
    assert prepared == [True, True], "over files that the first try left nothing in"
