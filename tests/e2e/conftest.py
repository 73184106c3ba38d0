"""The homes that several tests look at; what they cost is paid once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from filelock import FileLock
from nights import AS_OF, House

from dagster_project import dbt_build, warmup
from dagster_project.quality import Worker
from dagster_project.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def nobodys_environment() -> Iterator[None]:
    """Neither the shell nor a `.env` of whoever runs the tests decides anything."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARREARS_", "DAGSTER_"))}
    with mock.patch.dict(os.environ, kept, clear=True), mock.patch.dict(Settings.model_config, {"env_file": None}):
        with FileLock(Path(tempfile.gettempdir()) / "arrears-tests-prepare.lock"):  # the tests may run in several processes
            dbt_build.prepare()
        yield


class KeptWorker(Worker):
    """A worker that outlives the night it was started for: what it imports costs as much as a small night."""

    def stop(self) -> None:
        if set(self._asked) != set(self._verdicts):  # answers nobody waited for would be taken for the next night's
            super().stop()
        self._asked.clear()
        self._verdicts.clear()


@pytest.fixture(scope="session", autouse=True)
def one_worker_for_all_nights() -> Iterator[None]:
    worker = KeptWorker()
    with mock.patch.object(warmup, "Worker", return_value=worker):
        yield
    Worker.stop(worker)


@pytest.fixture(scope="session")
def first_morning(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> House:
    """The ledger's first morning, run once for all the processes that test. Nobody writes here: take a `copy`."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "first"
    house = House(folder / "home")
    with FileLock(f"{folder}.lock"):
        if not house.home.exists():
            night = House(folder / "being-run").run(AS_OF)
            assert night.success, night.reasons
            (folder / "being-run").rename(house.home)
    return house


@pytest.fixture
def next_morning(first_morning: House, tmp_path: Path) -> House:
    """A copy of the first morning, for one test to go on from."""
    return first_morning.copy(tmp_path / "home")
