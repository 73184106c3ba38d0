"""dbt, called in this process: what it is told, and when it has to read its project again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper
from filelock import FileLock

from dagster_project import dbt_build
from dagster_project.dbt_build import NodeResult, build_args, is_prepared, vars_of
from dagster_project.engines import DUCKDB
from dagster_project.engines.duckdb import DuckDB
from dagster_project.paths import DBT_PROJECT
from dagster_project.warehouse import Warehouse

MORNING = date(2025, 6, 30)


def test_a_run_tells_dbt_the_morning_the_pack_and_the_currency() -> None:
    told = {"as_of": "2025-06-30", "policy": "net_terms", "reporting_currency": "EUR"}

    assert json.loads(vars_of(MORNING, "net_terms", "EUR")) == told
    assert json.loads(vars_of(MORNING, 'my "own" pack', ""))["policy"] == 'my "own" pack'


def test_the_variables_of_a_run_are_those_the_project_declares() -> None:
    import yaml

    declared = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]

    of_a_run = {
        name for name, value in declared.items() if isinstance(value, str)
    }  # the others say how policy is read, every night
    assert set(json.loads(vars_of(MORNING, "net_terms", ""))) == of_a_run


def test_the_night_builds_everything_but_the_unit_tests(tmp_path: Path) -> None:
    args = build_args("{}", tmp_path)

    assert args[0] == "build"
    assert args[args.index("--exclude-resource-type") + 1] == "unit_test"
    assert args[args.index("--target-path") + 1] == str(tmp_path), "what dbt writes stays in the run's own folder"
    assert "--no-version-check" in args, "nobody is asked whether there is a newer dbt"
    assert "--select" not in args
    some = build_args("{}", tmp_path, ["open_items", "tag:x"])
    assert some[some.index("--select") :][:3] == ["--select", "open_items", "tag:x"]


@pytest.mark.parametrize(
    ("status", "broken"),
    [
        ("error", True),
        ("fail", True),
        ("runtime error", True),
        ("pass", False),
        ("success", False),
        ("warn", False),
        ("skipped", False),
    ],
)
def test_a_node_is_broken_where_it_failed_and_not_where_it_warns(status: str, broken: bool) -> None:
    assert NodeResult("test.arrears.x", "x", "test", status, "", 0.0, 1).broken is broken


def use(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is built be of this project."""
    target = project / "target"
    for name, value in {
        "DBT_PROJECT": project,
        "TARGET": target,
        "MANIFEST": target / "manifest.json",
    }.items():
        monkeypatch.setattr(dbt_build, name, value)


@pytest.fixture
def project(manifest: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared project, to change at will."""
    copy = tmp_path / "dbt"
    shutil.copytree(DBT_PROJECT, copy, ignore=shutil.ignore_patterns("logs"))
    use(copy, monkeypatch)
    assert not is_prepared(), "dbt would read the seeds of the folder that it was parsed in"
    (copy / "target" / "prepared.sha256").write_text(dbt_build._state() + "\n", "utf-8")
    assert is_prepared()
    return copy


@pytest.mark.parametrize(
    "changed",
    ["models/staging/erp/stg_erp__customers.sql", "seeds/policy/aging_buckets.csv", "dbt_project.yml", "macros/as_of.sql"],
)
def test_a_change_anywhere_in_the_project_is_read_before_the_next_night(changed: str, project: Path) -> None:
    with (project / changed).open("a", encoding="utf-8") as file:
        file.write("\n")

    assert not is_prepared()


@pytest.mark.parametrize("gone", ["manifest.json", "partial_parse.msgpack", "prepared.sha256"])
def test_a_project_whose_manifest_is_not_whole_is_read_again(gone: str, project: Path) -> None:
    (project / "target" / gone).unlink()

    assert not is_prepared()


def test_a_file_more_or_less_is_a_change_and_what_dbt_writes_is_none(project: Path) -> None:
    (project / "target" / "more.json").write_text("{}")
    assert is_prepared()

    (project / "macros" / "more.sql").write_text("")
    assert not is_prepared()


def test_of_two_runs_at_once_one_reads_the_project_and_the_other_waits_for_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    monkeypatch.setattr(dbt_build, "_runner", lambda *_: read.append("again"))
    state = (project / "target" / "prepared.sha256").read_text("utf-8")
    with FileLock(project / "target" / "preparing.lock"):
        (project / "target" / "prepared.sha256").unlink()
        waiting = threading.Thread(target=dbt_build.prepare)
        waiting.start()
        waiting.join(timeout=0.3)
        assert waiting.is_alive()
        (project / "target" / "prepared.sha256").write_text(state, "utf-8")
    waiting.join(timeout=10)

    assert not waiting.is_alive()
    assert read == []


def test_a_project_that_does_not_parse_says_where(project: Path) -> None:
    (project / "models" / "staging" / "broken.sql").write_text("select {{ no_such_macro( }}")

    with pytest.raises(dbt_build.DbtError, match=r"does not parse[\s\S]*broken"):
        dbt_build.prepare()

    assert not is_prepared()


def test_a_manifest_read_early_is_read_again_where_the_project_was_prepared_since(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = tmp_path / "prepared.sha256"
    monkeypatch.setattr(dbt_build, "TARGET", tmp_path)
    for now, used, reads in (("first", "read early", 1), ("second", "read again", 2)):
        state.write_text(now, "utf-8")
        answers = [("first", "read early"), ("second", "read again")]
        monkeypatch.setattr(dbt_build, "_read", lambda _, answers=answers: answers.pop(0))

        assert dbt_build._project(dbt_build.read_early(), DUCKDB) == used
        assert len(answers) == 2 - reads


# A filter on a cross product on a join: 2,048 rows at once and then 20, so that the product is turned round.
STOPS_THE_ENGINE = """
    {{ config(contract={'enforced': false}, pre_hook=[
        "create table names as select cast(i as integer) as k, 'n' || i as name from range(50) t(i)",
        "create table facts as select cast(i % 50 as integer) as k, i as v from range(2068) t(i)",
        "create table days as select cast(i as integer) as d from range(24) t(i)",
    ]) }}
    select name, d, sum(v) as v from facts join names using (k) cross join days where (v * 7 + d * 13) % 97 = 5 group by all
"""


def test_a_filter_on_a_cross_product_does_not_stop_the_engine(project: Path, tmp_path: Path) -> None:
    results = built_alone(project, STOPS_THE_ENGINE, tmp_path)

    assert [(result.name, result.status) for result in results] == [("made_up", "success")], results[0].message


def test_an_engine_that_breaks_down_is_told_with_the_node_it_broke_down_at(project: Path, tmp_path: Path) -> None:
    profile = project / "profiles.yml"
    profile.write_text(profile.read_text("utf-8").replace('enable_caching_operators: "false"', ""), "utf-8")

    with pytest.raises(dbt_build.DbtError, match=r"stopped at model\.arrears\.made_up: [\s\S]*changed identity"):
        built_alone(project, STOPS_THE_ENGINE, tmp_path)  # else DuckDB does not need the setting any more


TAKES_LONG = "select sum(a.range * b.range % 7) as s from range(100000) a, range(100000) b"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two models that take long, read in a moment."""
    project = tmp_path / "small"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: arrears\nprofile: arrears\nmodels: {+materialized: table}\n", "utf-8")
    shutil.copy(DBT_PROJECT / "profiles.yml", project)
    for name in ("one", "other"):
        (project / "models" / f"{name}.sql").write_text(TAKES_LONG, "utf-8")
    use(project, monkeypatch)
    dbt_build.prepare()
    return project


class Elsewhere(DuckDB):
    """An engine whose marts have to be brought home; it builds as DuckDB does."""

    def __init__(self) -> None:
        self.brought: list[dict[str, dict[str, str]]] = []

    def bring_home(self, folder: Path, columns: Any, memory_limit: str) -> None:
        self.brought.append({name: dict(told) for name, told in columns.items()})


@pytest.mark.parametrize("rows", [0, 1])
def test_marts_come_home_once_nothing_blocks_them(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, engine = tmp_path / "small", Elsewhere()
    (project / "models" / "marts").mkdir(parents=True)
    (project / "tests").mkdir()
    (project / "dbt_project.yml").write_text("name: arrears\nprofile: arrears\n", "utf-8")
    shutil.copy(DBT_PROJECT / "profiles.yml", project)
    (project / "models" / "marts" / "m.sql").write_text("{{ config(materialized='table') }} select 1 as n", "utf-8")
    (project / "models" / "marts" / "m.yml").write_text("models: [{name: m, columns: [{name: n, data_type: integer}]}]", "utf-8")
    (project / "tests" / "t.sql").write_text(f"select * from {{{{ ref('m') }}}} where {rows} = 1", "utf-8")
    use(project, monkeypatch)
    (tmp_path / "run").mkdir()

    results = dbt_build.build(tmp_path / "run", "{}", engine=engine)

    assert any(result.broken for result in results) is bool(rows)
    assert engine.brought == ([] if rows else [{"m": {"n": "integer"}}])


def test_a_project_is_read_for_each_engine_by_itself(project: Path) -> None:
    other = Elsewhere()
    other.target = "other"

    assert is_prepared()
    assert not is_prepared(other), "other macros are called there"
    assert dbt_build._prepared(other) == project / "target" / "other"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_night_that_is_told_to_end_while_dbt_builds_ends_as_that_and_leaves_nothing_at_work(
    asked: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ToldToEnd(BaseException):
        """What Dagster raises is of such a kind."""

    def told(*_: Any) -> None:
        raise ToldToEnd

    asks, once = DuckDBCursorWrapper.execute, iter((threading.Timer(0.5, os.kill, (os.getpid(), asked)),))

    def executes(self: Any, sql: str, bindings: Any = None) -> Any:
        if "range(100000)" in sql and (timer := next(once, None)):
            timer.start()
        return asks(self, sql, bindings)

    monkeypatch.setattr(DuckDBCursorWrapper, "execute", executes)
    before, threads = signal.signal(asked, told), set(threading.enumerate())
    (tmp_path / "run").mkdir()
    try:
        with pytest.raises(ToldToEnd):
            dbt_build.build(tmp_path / "run", "{}")
    finally:
        signal.signal(asked, before)

    assert not [thread for thread in set(threading.enumerate()) - threads if "worker" in thread.name]


def test_what_stopped_dbt_is_not_hidden_by_what_then_could_not_be_closed() -> None:
    stopped = duckdb.Error("connection is busy with another call")
    stopped.__context__ = MemoryError("there is no room")

    assert str(DUCKDB.cause(stopped)) == "there is no room"


def built_alone(project: Path, query: str, tmp_path: Path) -> list[NodeResult]:
    (project / "models" / "marts" / "made_up.sql").write_text(query, "utf-8")
    warehouse = Warehouse(tmp_path / "run")
    warehouse.create()
    try:
        return dbt_build.build(warehouse.folder, vars_of(MORNING, "net_terms", ""), select=["made_up"])
    finally:
        warehouse.release()
