"""How the end-to-end tests run a night: in this process, from the command line, or in a process that is there to be killed.

Belongs here: a home with its settings, the ways to run a morning in it, and looking at what came out by its public names. Does not
belong here: what should have come out (the tests).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb

from dagster_project import __main__ as command_line
from dagster_project import building, morning, warmup
from dagster_project.contract import DATASETS
from dagster_project.delivery import deliver
from dagster_project.demo import Demo
from dagster_project.landing import Landing
from dagster_project.night import Night, run_night
from dagster_project.outgoing import MARTS
from dagster_project.outgoing.page import pages_from
from dagster_project.paths import ROOT
from dagster_project.pull import pull
from dagster_project.seals import key_in
from dagster_project.settings import Settings
from dagster_project.sources.catalogue import Sources
from dagster_project.warehouse import Warehouse, publish, read
from tests.spark.expectations import Expectations

LEDGER = ROOT / "tests" / "fixtures" / "ledger"
AS_OF = date(2025, 6, 30)
NEXT_DAY = date(2025, 7, 1)

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Said:
    """What a command line left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class House:
    """One ARREARS_HOME and the environment that goes with it. `variables` are settings by field name."""

    home: Path
    variables: dict[str, str] = field(
        default_factory=lambda: {"source": "files", "files_dir": str(LEDGER), "reporting_currency": "EUR"}
    )

    def with_(self, **variables: str | Path) -> House:
        return House(self.home, {**self.variables, **{name: str(value) for name, value in variables.items()}})

    def copy(self, to: Path) -> House:
        """The same house somewhere else, as if it had always been there."""
        shutil.copytree(self.home, to, symlinks=True)
        return House(to, self.variables)

    @property
    def settings(self) -> Settings:
        with _alone(self.environment):
            return Settings(_env_file=None)  # type: ignore[call-arg]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARREARS_", "DAGSTER_"))}
        return {
            **kept,
            "ARREARS_HOME": str(self.home),
            **{f"ARREARS_{name.upper()}": value for name, value in self.variables.items()},
        }

    # --- running -------------------------------------------------------------------------------------------------------

    def run(self, as_of: date, *, full: bool = False, refresh: bool = False, known: str = "then") -> Night:
        """A night in this process: what is imported stays imported."""
        with _alone(self.environment):
            return run_night(self.settings, as_of, full=full, refresh=refresh, known=known, threads=2)  # type: ignore[arg-type]

    def parts(self, as_of: date, demo: Demo | None = None) -> None:
        """What a night lands, builds, publishes and delivers, without the night around it: no Dagster, no expectations, no mail."""
        settings = self.settings
        landing, warehouse = Landing.of(settings), Warehouse(settings.warehouse / f"{as_of}.parts")
        with _alone(self.environment), closing(Sources(settings, as_of, demo)) as sources:
            for dataset in DATASETS.values():
                pull(dataset, sources, landing, as_of, settings.policy)
        warehouse.create()
        try:
            results = building.build(
                warehouse,
                partial(morning.prepare, warehouse, landing, as_of, "then", settings.source, settings.bureau_name),
                as_of,
                settings.policy,
                settings.reporting_currency,
                threads=2,
                memory_limit=settings.memory_limit,
            )
            assert not [result for result in results if result.broken]
            run = {"run_id": "parts", "policy": settings.policy, "source": settings.source}
            published = publish(warehouse.marts, settings.published, as_of, run)
            newest = {name: landing.loads(dataset, as_of)[-1].manifest for name, dataset in DATASETS.items()}
            deliver(
                settings.worklists,
                landing,
                read(warehouse.parquet, MARTS),
                as_of=as_of,
                policy=settings.policy,
                run={},
                rejected={name: load.quarantined for name, load in newest.items() if load.quarantined},
                key=key_in(settings.home),
                pages=pages_from(self.worklist(as_of), published, settings.reports, as_of),
            )
        finally:
            warehouse.release()

    def command(self, *arguments: str) -> Said:
        """The command line in this process: exit code and what a person sees."""
        out, err = io.StringIO(), io.StringIO()
        with _alone(self.environment), redirect_stdout(out), redirect_stderr(err):
            try:
                code = command_line.main(list(arguments))
            except SystemExit as stopped:  # argparse
                code = int(stopped.code or 0)
        return Said(code, out.getvalue(), err.getvalue())

    def process(self, *arguments: str) -> Said:
        """The command line as `make run` starts it."""
        done = subprocess.run(
            [sys.executable, "-m", "dagster_project", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def killed(self, as_of: date, when: Callable[[str], bool], after: float = 0.0, *, worker: bool = True) -> bool:
        """A night in a process that gets SIGKILL `after` seconds after it said a line for which `when` holds, with the expectations'
        `worker` beside it or without.

        Returns whether it was still alive then.
        """
        told, tells = multiprocessing.Pipe(duplex=False)
        child = processes().Process(target=_talking_night, args=(tells, self.environment, self.settings, as_of, worker))
        child.start()
        tells.close()
        try:
            while not when(told.recv()):
                pass
            child.join(after)
        except EOFError:
            pass
        child.kill()
        child.join()
        return child.exitcode == -signal.SIGKILL

    # --- looking -------------------------------------------------------------------------------------------------------

    @property
    def published(self) -> Path:
        return self.home / "published"

    def worklist(self, as_of: date) -> Path:
        return self.home / "worklists" / as_of.isoformat()

    def marts(self, at: Path | None = None) -> dict[str, Rows]:
        """Every row of every published mart but `run`, in a stable order."""
        with opened((at or self.published) / "arrears.duckdb") as con:
            names = [
                name for (name,) in con.execute("select table_name from duckdb_tables() where database_name = 'marts'").fetchall()
            ]
            return {
                name: con.execute(f'select * from "{name}" order by all').fetchall() for name in sorted(names) if name != "run"
            }

    def ask(self, sql: str, at: Path | None = None) -> Rows:
        with opened((at or self.published) / "arrears.duckdb") as con:
            return con.execute(sql).fetchall()

    def loads(self, dataset: str) -> list[dict[str, Any]]:
        """The manifests of a dataset's loads, oldest first."""
        found = [json.loads(path.read_text("utf-8")) for path in (self.home / "landing" / dataset).glob("*/manifest.json")]
        return sorted(found, key=lambda manifest: manifest["loaded_at"])

    def issued(self) -> Rows:
        """The steps that were remembered as sent."""
        files = [str(path) for path in (self.home / "landing" / "issued_steps").glob("*/rows.parquet")]
        if not files:
            return []
        return duckdb.execute("select worklist_date, item_id, step from read_parquet(?) order by all", [files]).fetchall()

    def outside(self) -> dict[str, str]:
        """Everything people and BI tools can open, by public name, as hashes."""
        names = (
            "published/arrears.duckdb",
            "published/parquet/*",
            "published/history/*/*",
            "published/history/*/parquet/*",
            "worklists/*/*",
            "worklists/*/drafts/**/*",
        )
        paths = (path for name in names for path in self.home.glob(name) if path.is_file())
        shown = {path.relative_to(self.home): path for path in paths}
        return {str(name): sha256(path) for name, path in shown.items() if not any(part.startswith(".") for part in name.parts)}


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A file of marts as a BI tool opens it."""
    con = duckdb.connect()
    try:
        con.execute(f"attach '{path}' as marts (read_only); use marts.marts")
        yield con
    finally:
        con.close()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lists(folder: Path) -> dict[str, str]:
    """The files of a morning's worklist that must be the same every time, as hashes; for the drafts their own list of hashes."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".eml", ".txt")]
    return {str(path.relative_to(folder)): sha256(path) for path in paths if path.name != "manifest.json"}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ledger(to: Path, keep: Sequence[str] = (), **appended: str) -> Path:
    """A copy of the ledger: of `keep` alone where named, with lines put after the end of datasets."""
    to.mkdir(parents=True)
    for path in LEDGER.glob("*.csv"):
        if not keep or path.stem in keep:
            (to / path.name).write_text(path.read_text("utf-8") + appended.get(path.stem, ""), "utf-8")
    return to


@contextmanager
def _alone(environment: dict[str, str]) -> Iterator[None]:
    """Nothing that a night changes in this process outlives it: the environment, loggers, warning filters."""
    logger = logging.getLogger("arrears")
    with mock.patch.dict(os.environ, environment, clear=True), warnings.catch_warnings():
        try:
            yield
        finally:
            logger.handlers.clear()
            logger.propagate = True


# --- processes that are there to be killed -----------------------------------------------------------------------------


def processes() -> Any:
    """Processes that start with the pipeline already imported, so that a kill costs no more than what it kills."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nights"])
    return context


class _Tell(logging.Handler):
    def __init__(self, listener: Connection):
        super().__init__()
        self.listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        self.listener.send(record.getMessage())


def _talking_night(listener: Connection, environment: dict[str, str], settings: Settings, as_of: date, worker: bool) -> None:
    if not worker:
        warmup.Worker = Expectations  # type: ignore[assignment,misc]
    os.environ.clear()
    os.environ.update(environment)
    logger = logging.getLogger("arrears")
    logger.setLevel(logging.INFO)
    logger.addHandler(_Tell(listener))
    run_night(settings, as_of, full=False, refresh=False, known="then", threads=2)
    listener.close()
