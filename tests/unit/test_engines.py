"""The engines: which one a night runs on, what is said where one is not there, and what can be known of Spark without starting it."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project import settings as environment
from dagster_project.contract import DATASETS, TABLES
from dagster_project.engines import DUCKDB, EngineError, spark
from dagster_project.engines.catalogue import engine_of
from dagster_project.engines.installed import lacking
from dagster_project.engines.spark import MUST, Spark
from dagster_project.landing import Landing
from dagster_project.landing.read import files_of, only
from dagster_project.paths import ROOT
from dagster_project.settings import Settings, SettingsError
from dagster_project.sources import Delivery, page_schema
from dagster_project.warehouse import bring_in, marts_of


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As if the extra were there, and a Java, whose home it is."""
    (tmp_path / "java" / "bin").mkdir(parents=True)
    (tmp_path / "java" / "bin" / "java").touch()
    monkeypatch.setattr("dagster_project.engines.installed._there", lambda name: True)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    return tmp_path / "java"


# --- which one -----------------------------------------------------------------------------------------------------------


def test_a_night_runs_on_duckdb_unless_somebody_says_otherwise(make_settings: Callable[..., Settings], installed: Path) -> None:
    assert engine_of(make_settings()) is DUCKDB
    assert isinstance(engine_of(make_settings(engine="spark")), Spark)


def test_nobody_but_the_engine_of_that_name_knows_spark() -> None:
    readers = {}
    for path in sorted((ROOT / "dagster_project").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        if found := {name for name in names if name.startswith(("pyspark", "dbt.adapters.spark"))}:
            readers[str(path.relative_to(ROOT / "dagster_project"))] = found

    assert set(readers) == {"engines/spark.py"}
    tree = ast.parse((ROOT / "dagster_project" / "engines" / "spark.py").read_text("utf-8"))
    eager = [node for node in tree.body if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("pyspark", "dbt."))]
    assert eager == [], "not even that one before it is asked for a session"


@pytest.mark.parametrize(
    ("missing", "java", "says"),
    [
        (("pyspark", "dbt.adapters.spark"), True, "pyspark and dbt.adapters.spark are not installed: make setup SPARK=1"),
        (("pyspark",), True, "pyspark is not installed: make setup SPARK=1"),
        ((), False, "there is no java: install Java 17 or 21"),
    ],
)
def test_what_is_missing_is_one_line_that_says_what_to_do(
    missing: tuple[str, ...], java: bool, says: str, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster_project.engines.installed._there", lambda name: name not in missing)
    if not java:
        monkeypatch.delenv("JAVA_HOME")
        monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("ARREARS_ENGINE", "spark")

    with pytest.raises(SettingsError) as told:
        environment.load()

    assert says in str(told.value)
    assert str(told.value).startswith("ARREARS_ENGINE: a night on Spark cannot run here")
    assert len(str(told.value).splitlines()) == 1


def test_a_java_home_without_a_java_is_named(installed: Path) -> None:
    (installed / "bin" / "java").unlink()

    assert str(installed) in str(lacking())


# --- what a session is told ------------------------------------------------------------------------------------------------


def test_on_this_machine_nothing_listens_to_others_and_what_is_spilled_lies_in_the_home(tmp_path: Path) -> None:
    told = Spark(tmp_path).told()

    assert (told["spark.master"], told["spark.driver.host"], told["spark.ui.enabled"]) == ("local[*]", "127.0.0.1", "false")
    assert Path(told["spark.local.dir"]).parent == tmp_path / "spark"
    assert told["spark.sql.warehouse.dir"].startswith(f"file://{told['spark.local.dir']}/"), "not where the night was started"
    assert dict(told.items() & MUST.items()) == MUST
    spark.stop()
    assert list((tmp_path / "spark").iterdir()) == [], "and goes with the session"


def test_elsewhere_the_cluster_says_how_and_the_file_what(tmp_path: Path) -> None:
    conf = tmp_path / "spark.conf"
    conf.write_text(
        "# ours\nspark.executor.memory  8g\nspark.executor.cores=4\n\nspark.ui.enabled = true\nspark.driver.extraJavaOptions -Xss8m\n",
        "utf-8",
    )
    told = Spark(tmp_path, master="spark://host:7077", conf=conf).told()

    assert told["spark.master"] == "spark://host:7077"
    assert told["spark.driver.extraJavaOptions"].endswith(f'"-Darrears.log={tmp_path}/logs/spark.{os.getpid()}.log" -Xss8m')
    assert "spark.driver.host" not in told
    assert "spark.local.dir" not in told
    assert told["spark.sql.warehouse.dir"].startswith(f"file://{tmp_path}/spark/")
    assert (told["spark.executor.memory"], told["spark.executor.cores"], told["spark.ui.enabled"]) == ("8g", "4", "true")


def test_under_spark_submit_the_master_is_the_one_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1234")

    assert "spark.master" not in Spark(tmp_path).told()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("spark.sql.ansi.enabled false", "spark.sql.ansi.enabled must be true"),
        ("spark.sql.session.timeZone Europe/Berlin", "spark.sql.session.timeZone must be UTC"),
        ("executor.memory 8g", "line 1: write spark.name value"),
        ("spark.executor.memory", "line 1: write spark.name value"),
    ],
)
def test_a_configuration_that_would_change_figures_or_means_nothing_is_refused(line: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "spark.conf").write_text(f"{line}\n", "utf-8")

    with pytest.raises(EngineError, match=says):
        Spark(tmp_path, conf=tmp_path / "spark.conf").told()


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"ARREARS_SPARK_CONF: .*none cannot be read"):
        Spark(tmp_path, conf=tmp_path / "none").told()


# --- where a run's tables lie ----------------------------------------------------------------------------------------------


def test_each_run_has_a_room_of_its_own_and_each_home_a_corner(tmp_path: Path) -> None:
    private = Spark(tmp_path)
    assert private._room(tmp_path / "2025-06-30.abc") == f"file://{tmp_path}/2025-06-30.abc/spark"

    shared = Spark(tmp_path, shared="s3a://bucket/arrears/")
    rooms = {shared._room(tmp_path / home / "2025-06-30.abc") for home in ("one", "other")}
    assert len(rooms) == 2
    assert all(room.startswith("s3a://bucket/arrears/") and room.endswith("/2025-06-30.abc") for room in rooms)
    folder = Spark(tmp_path, shared=str(tmp_path / "everyone's"))
    assert folder._room(tmp_path / "2025-06-30.abc").startswith("file:///")


# --- the sources ------------------------------------------------------------------------------------------------------------


def test_landed_files_are_one_table_with_the_columns_of_the_contract() -> None:
    (sql,) = spark._shown(DATASETS["customers"], ["/landing/a/rows.parquet", "/landing/b's/rows.parquet"], "")

    assert sql.startswith("create table `erp`.`customers` (`customer_id` string, ")
    assert "`_loaded_at` timestamp, `_as_of` date, `_deleted` boolean) using parquet options (path " in sql
    assert sql.endswith("(path 'file:///{landing/a/rows.parquet,landing/b\\'s/rows.parquet}')")


def test_the_rows_of_loads_that_a_morning_does_not_know_are_left_out_of_a_pack() -> None:
    table, view = spark._shown(DATASETS["customers"], ["/landing/pack/rows.parquet"], " where _load_id in ('a')")

    assert table.startswith("create table `erp`.`customers_landed` (")
    assert view.startswith("create view `erp`.`customers` as select `customer_id`, ")
    assert view.endswith(" from `erp`.`customers_landed` where _load_id in ('a')")


def test_an_absent_dataset_has_no_rows_and_the_types_of_the_contract() -> None:
    (sql,) = spark._shown(TABLES["invoices"], [], "")

    assert "`amount` decimal(18,4)" in sql
    assert sql.endswith(") using parquet")


def test_of_a_landing_that_several_machines_see_it_is_the_copy_of_this_home_that_spark_reads(
    make_settings: Callable[..., Settings], installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    url, companies = (tmp_path / "store").as_uri(), DATASETS["companies"]
    rows = pa.Table.from_pylist([{"company_id": "A1", "name": "A", "currency": "EUR"}], page_schema(companies))
    elsewhere = Landing(tmp_path / "elsewhere" / "landing", tmp_path / "elsewhere" / "quarantine", url=url)
    elsewhere.land(companies, Delivery(iter([rows]), full=True, origin="test"), date(2025, 6, 30))
    settings = make_settings(engine="spark", landing_url=url, spark_warehouse=str(tmp_path / "tables"))
    here = Landing.of(settings)
    here.refresh()
    (load,) = here.loads(companies)
    (sql,) = spark._shown(companies, files_of([load]), only([load]))
    engine = engine_of(settings)

    assert load.rows and load.rows.is_relative_to(settings.home)
    assert f"(path 'file://{load.rows.absolute()}')" in sql
    assert isinstance(engine, Spark)
    assert engine._room(settings.home / "warehouse" / "2025-06-30.abc").startswith(f"file://{tmp_path}/tables/")


@pytest.mark.parametrize("name", ["a[1]", "{b}", "c*", "d,e"])
def test_a_folder_whose_name_is_a_pattern_to_spark_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="in the name of a folder for a pattern"):
        spark._pattern([f"/landing/{name}/rows.parquet"])
    with pytest.raises(EngineError, match="in the name of a folder for a pattern"):
        Spark(tmp_path, shared=f"/{name}")._room(tmp_path / "2025-06-30.abc")


# --- the way home -----------------------------------------------------------------------------------------------------------


def test_marts_come_home_with_the_types_of_the_contract(tmp_path: Path) -> None:
    columns = {"customer_id": "string", "amount": "decimal(18,4)", "days": "integer", "due": "date"}
    (tmp_path / "built").mkdir()
    for number, amount in enumerate(("1.25", "-3")):
        rows: dict[str, Any] = {"amount": pa.array([Decimal(amount)], pa.decimal128(28, 4)), "customer_id": [f"C{number}"]}
        pq.write_table(pa.table({**rows, "days": pa.array([1], pa.int64()), "due": pa.array([None], pa.date32())}),
                       tmp_path / "built" / f"part-{number}.parquet")  # fmt: skip
    (tmp_path / "empty").mkdir()
    bring_in(tmp_path / "marts.duckdb", {"of_two_parts": (tmp_path / "built", columns), "of_none": (tmp_path / "empty", columns)})

    with marts_of(tmp_path / "marts.duckdb") as con:
        described = con.execute("select column_name, data_type from duckdb_columns() where table_name = 'of_none'").fetchall()
        assert dict(described) == {"customer_id": "VARCHAR", "amount": "DECIMAL(18,4)", "days": "INTEGER", "due": "DATE"}
        found = con.execute("select * from of_two_parts order by all").fetchall()
    assert found == [("C0", Decimal("1.2500"), 1, None), ("C1", Decimal("-3.0000"), 1, None)]


def test_a_mart_that_does_not_fit_the_contract_does_not_come_home(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    pq.write_table(pa.table({"other": [1]}), tmp_path / "built" / "part.parquet")

    with pytest.raises(duckdb.Error, match="other"):
        bring_in(tmp_path / "marts.duckdb", {"mart": (tmp_path / "built", {"days": "integer"})})
