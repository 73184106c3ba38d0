"""A night on Spark that does not come to its end: nothing is published, and what is left is nobody's."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pytest
from nights import AS_OF, LEDGER, NEXT_DAY, House, ledger

from dagster_project.engines.spark import Spark
from dagster_project.paths import ROOT
from tests.spark.conftest import ON_SPARK, on_spark, ran


@contextmanager
def driven(house: House, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of `driven.py`, ended with the test."""
    command = [sys.executable, "-m", "tests.spark.driven", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=house.environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def heard(process: subprocess.Popen[str], words: str) -> bool:
    """Whether it came as far as to say so."""
    assert process.stdout
    return any(words in line for line in process.stdout)


def below(parent: int) -> list[int]:
    """The processes below one, whatever became of it."""
    told = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout.split()
    return [int(child) for child in told]


def gone(processes: list[int], within: float = 30.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not any(Path(f"/proc/{each}").exists() for each in processes):
            return True
        time.sleep(0.2)
    return False


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A morning that is out, by DuckDB."""
    house = House(tmp_path_factory.mktemp("first") / "home")
    return ran(house, AS_OF)


def test_a_driver_that_is_killed_in_the_middle_publishes_nothing_and_leaves_nobody_behind(first: House, tmp_path: Path) -> None:
    house = on_spark(first.copy(tmp_path / "home"))
    before = house.outside()
    with driven(house, "night", NEXT_DAY.isoformat()) as process:
        assert heard(process, "models 12 of")
        left = below(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert left and gone(left), "the other half of the driver ends with it"
    assert house.outside() == before
    (mine,) = (house.home / "spark").glob("*.*")
    Spark(house.home)._scratch()
    assert not mine.exists(), "what it spilled is removed by the next session"
    ran(House(house.home), NEXT_DAY)


def test_a_driver_that_is_told_to_end_says_so_and_cancels_what_runs(first: House, tmp_path: Path) -> None:
    house = on_spark(first.copy(tmp_path / "home"))
    before = house.outside()
    with driven(house, "night", NEXT_DAY.isoformat()) as process:
        assert heard(process, "models 5 of")
        left = below(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) != 0

    assert gone(left)
    outside = house.outside()
    assert outside.pop(f"worklists/{NEXT_DAY}/no-worklist.txt"), "which says why there is none"
    assert outside == before


def test_a_blocking_test_blocks_and_is_told_as_on_duckdb(first: House, tmp_path: Path) -> None:
    kept = [path.stem for path in LEDGER.glob("*.csv") if path.stem != "exchange_rates"]
    folder = ledger(tmp_path / "files", keep=kept)
    homes = [
        House(tmp_path / name, {"source": "files", "files_dir": str(folder), **more})
        for name, more in (("a", {}), ("b", ON_SPARK))
    ]
    by_duckdb, by_spark = (house.run(AS_OF) for house in homes)

    assert not by_spark.success
    assert by_spark.reasons == by_duckdb.reasons
    assert any("exchange_rates_are_there" in reason for reason in by_spark.reasons)
    assert not (homes[1].home / "published" / "parquet").exists()
    assert not list(homes[1].home.glob("warehouse/*/marts.duckdb")), "the marts stay where they are"


def test_two_mornings_side_by_side_know_nothing_of_each_other(first: House, tmp_path: Path) -> None:
    """Each builds a part of the book into one shared place: the older morning must not see the newer one's tables, nor tidy them away."""
    house = ran(first.copy(tmp_path / "home"), NEXT_DAY)
    house = on_spark(house, spark_warehouse=tmp_path / "shared", spark_driver_memory="1g")
    days = {AS_OF: tmp_path / "runs" / "older", NEXT_DAY: tmp_path / "runs" / "newer"}
    (tmp_path / "runs").mkdir()
    with (
        driven(house, "part", AS_OF.isoformat(), str(days[AS_OF]), "open_items") as one,
        driven(house, "part", NEXT_DAY.isoformat(), str(days[NEXT_DAY]), "open_items") as other,
    ):
        for process in (one, other):
            assert heard(process, "built")
            assert process.wait(60) == 0

    for day, folder in days.items():
        assert rows(folder / "marts.duckdb") == rows_out(house, day)
    assert not [path for path in (tmp_path / "shared").rglob("*") if path.is_file()], "and each took its own away"


def rows(marts: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        con.execute(f"attach '{marts}' as built (read_only)")
        return con.execute("select * from built.marts.open_items order by all").fetchall()


def rows_out(house: House, day: object) -> list[tuple[object, ...]]:
    """What DuckDB built of a morning."""
    (folder,) = [path.parent for path in house.home.glob(f"warehouse/{day}.*/finished")]
    return rows(folder / "marts.duckdb")


def test_what_a_killed_run_left_in_a_shared_place_goes_with_the_next_and_a_living_one_stays(first: House, tmp_path: Path) -> None:
    from dagster_project.warehouse import Warehouse

    engine = Spark(tmp_path, driver_memory="1g", shared=str(tmp_path / "shared"))
    runs = [Warehouse(tmp_path / "warehouse" / f"2025-06-30.{name}") for name in ("dead", "living", "mine")]
    for run in runs:
        run.create()
        room = Path(engine._room(run.folder).removeprefix("file://"))
        (room / "marts").mkdir(parents=True)
    runs[0].release()
    engine._tidy(runs[2])

    assert [Path(engine._room(run.folder).removeprefix("file://")).exists() for run in runs] == [False, True, False]
    for run in runs[1:]:
        run.release()


def test_nothing_of_spark_is_left_in_the_folder_it_was_started_in() -> None:
    assert not [name for name in ("spark-warehouse", "metastore_db", "derby.log") if (ROOT / name).exists()]


with suppress(ImportError):
    from pyspark import SparkContext

    def test_what_is_asked_of_the_other_side_is_still_there() -> None:
        """For `engines/spark.py`: files are removed and fetched as Spark itself opens them. Until pyspark has a way of its own."""
        assert "_jvm" in vars(SparkContext)
        assert "_jsc" in SparkContext._do_init.__code__.co_names
