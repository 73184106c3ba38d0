"""What nights on Spark need: an extra and a Java, else each test is skipped with the reason; and one session for all of this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from nights import House, lists, sha256

from dagster_project import dbt_build
from dagster_project.engines import spark
from dagster_project.engines.catalogue import engine_of
from dagster_project.engines.installed import lacking
from dagster_project.settings import Settings
from tests.spark.expectations import Expectations


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if why := lacking():
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session", autouse=True)
def nobodys_environment() -> Iterator[None]:
    """Neither the shell nor a `.env` of whoever runs the tests decides anything; the session ends with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("ARREARS_", "DAGSTER_"))]:
            patch.delenv(name)
        patch.setitem(Settings.model_config, "env_file", None)
        patch.setattr("dagster_project.warmup.Worker", Expectations)
        dbt_build.prepare()
        yield
        spark.stop()


ON_SPARK = {"engine": "spark", "spark_driver_memory": "3g", "spark_conf": str(Path(__file__).with_name("spark.conf"))}


def on_spark(house: House, **more: str | Path) -> House:
    """The same house with its nights on Spark."""
    return house.with_(**{**ON_SPARK, **more})


@contextmanager
def compiled_to_java(house: House) -> Iterator[None]:
    """While a book is built of which more than the plan counts: expressions are compiled, as they are where nobody says otherwise."""
    conf = engine_of(house.settings).session().conf  # type: ignore[attr-defined]
    told = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
    before = {name: conf.get(name) for name in told}
    for name, value in told.items():
        conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            conf.set(name, value)


def ran(house: House, as_of: date) -> House:
    """A night that went well."""
    night = house.run(as_of)
    assert night.success, night.reasons
    return house


def shown(house: House, as_of: date) -> dict[str, str]:
    """What leaves the house of a morning, as hashes: each mart as Parquet (but the row of the run itself), each file of the worklist."""
    marts = {path.name: sha256(path) for path in (house.published / "parquet").glob("*.parquet") if path.stem != "run"}
    return {**marts, **lists(house.worklist(as_of))}
