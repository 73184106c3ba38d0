"""A standalone master with two workers, as processes of this machine: a build goes on when an executor is killed in the middle of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from nights import AS_OF, House

from tests.post_office import free_port
from tests.spark.conftest import on_spark, ran
from tests.spark.test_refused import below, driven, heard, rows, rows_out

MASTER, WORKER = "org.apache.spark.deploy.master.Master", "org.apache.spark.deploy.worker.Worker"


@dataclass(frozen=True)
class Cluster:
    url: str
    workers: tuple[int, ...]

    def executors(self) -> list[int]:
        return [child for worker in self.workers for child in below(worker)]


@contextmanager
def _process(folder: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    import pyspark

    home = Path(pyspark.__file__).parent
    environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m", "SPARK_NO_DAEMONIZE": "1"}
    with (folder / f"{name}.log").open("w") as log:
        command = [str(home / "bin" / "spark-class"), *arguments]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder, port = tmp_path_factory.mktemp("cluster"), free_port()
    url, here = f"spark://127.0.0.1:{port}", ("--host", "127.0.0.1", "--webui-port", "0")
    with ExitStack() as stack:
        stack.enter_context(_process(folder, "master", MASTER, *here, "--port", str(port)))
        workers = [
            stack.enter_context(
                _process(folder, name, WORKER, *here, "--cores", "1", "--memory", "1g", "--work-dir", str(folder / name), url)
            )
            for name in ("first", "second")
        ]
        _until(lambda: (folder / "master.log").read_text("utf-8").count("Registering worker") == 2)
        yield Cluster(url, tuple(worker.pid for worker in workers))


def _until(holds: object, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.2)


def test_a_build_outlives_an_executor_that_is_killed_in_the_middle(cluster: Cluster, tmp_path: Path) -> None:
    conf = tmp_path / "spark.conf"
    conf.write_text(
        "spark.driver.host 127.0.0.1\nspark.ui.enabled false\nspark.executor.memory=700m\nspark.sql.shuffle.partitions 4\n",
        "utf-8",
    )
    house = ran(House(tmp_path / "home"), AS_OF)
    (tmp_path / "runs").mkdir()
    there = on_spark(house, spark_master=cluster.url, spark_conf=conf, spark_driver_memory="1g")
    with driven(there, "part", AS_OF.isoformat(), str(tmp_path / "runs" / "one"), "open_items") as process:
        assert heard(process, "models 12 of")
        before = cluster.executors()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        assert heard(process, "built")

    assert rows(tmp_path / "runs" / "one" / "marts.duckdb") == rows_out(house, AS_OF)
