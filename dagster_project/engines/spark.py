"""Spark: the models are built in Parquet tables of the run's own, by a session that this process drives; the marts come home.

Belongs here: the session and what it must be set to, the sources as Spark sees them, what dbt-spark is taught, the way home. Does not
belong here: importing pyspark for whoever does not use it (nothing here is imported but when a night on Spark asks for it), SQL.

    warehouse/<as_of>.<run>/spark/<schema>/<table>/   what the run built; or <ARREARS_SPARK_WAREHOUSE>/<home>/<as_of>.<run>/…
    spark/<process>.<random>/                         what a session spills and shuffles on this machine
    logs/spark.<process>.log                          what its other half has to say

The catalogue is the session's own and in memory: nobody else sees a run's tables, and of a killed one nothing is left but files.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from dagster_project.contract import LANDING_COLUMNS, SQL_TYPES, TABLES, Dataset
from dagster_project.engines import EngineError
from dagster_project.landing import Load
from dagster_project.landing.read import files_of, only
from dagster_project.paths import ROOT
from dagster_project.warehouse import MARTS, Warehouse, bring_in, nobody_works_in
from dagster_project.words import shown

log = logging.getLogger("arrears.spark")

MUST: Final[Mapping[str, str]] = {
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.sources.default": "parquet",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
}
"""What a morning's figures hang on, whatever else is configured: an amount that is too large is an error and not a null."""

LOCAL: Final[Mapping[str, str]] = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 2),
}
"""On this machine alone, unless the configuration says otherwise: nothing listens to others, and a book is not cut into 200 parts."""

_ASKED: Final = re.compile(r'/[*].{,200}"node_id": "\w+[.]\w+[.](\w+)')
_JAVA: Final = "spark.driver.extraJavaOptions"
LOG4J: Final = Path(__file__).with_name("log4j2.properties")

REFERENCE: Final = "reference"
"""The schema of the sources that no dataset has."""

_starting = threading.Lock()
_session: Any = None


@dataclass(frozen=True)
class Spark:
    """See `Engine`. `home`: where this machine's sessions spill and log; `master`: as spark-submit takes it, "" for what it was given, else
    this machine; `conf`: a file as spark-defaults.conf; `shared`: the folder or URL that every executor reaches, "" for the run's own."""

    home: Path
    master: str = ""
    driver_memory: str = "4g"
    conf: Path | None = None
    shared: str = ""

    target = "spark"
    versions = ("dbt-spark", "pyspark")

    def warm(self) -> None:
        self.session()

    def session(self) -> Any:
        """The session of this process, started where there is none: a process has one.

        Raises:
            EngineError: it does not start.
        """
        global _session
        with _starting:
            if _session is None:
                atexit.register(stop)
                _session = self._started()
                _teach_dbt(_session)
        return _session

    def _started(self) -> Any:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

        told = self.told()
        builder = SparkSession.builder.appName("arrears")
        for name, value in told.items():
            builder = builder.config(name, value)
        try:
            session = builder.getOrCreate()
        except (PySparkException, OSError, RuntimeError) as broken:
            raise EngineError(
                f"Spark did not start ({_shortly(broken)}): is Java 17 or 21 the one that is found, and the master there?"
            ) from broken
        except Exception as broken:
            if type(broken).__name__ == "Py4JJavaError":  # what the other side says, which has no class of its own here
                raise EngineError(f"Spark did not start: {_shortly(broken)}") from broken
            raise
        for name, value in MUST.items():
            if session.conf.get(name) != value:
                other = session.conf.get(name)
                raise EngineError(
                    f"this process has a session of Spark already, in which {name} is {other}: start the night alone"
                )
        return session

    def told(self) -> dict[str, str]:
        """What a session is configured with.

        Raises:
            EngineError: the configuration file cannot be read, or contradicts what a morning's figures hang on.
        """
        own = _properties(self.conf) if self.conf else {}
        if clash := sorted(name for name, value in MUST.items() if own.get(name, value) != value):
            raise EngineError(
                f"{self.conf}: {clash[0]} must be {MUST[clash[0]]}, which a morning's figures hang on: leave it out"
            )
        master = self.master or own.get("spark.master") or ("" if "PYSPARK_GATEWAY_PORT" in os.environ else "local[*]")
        scratch = self._scratch()
        told = {
            "spark.driver.memory": self.driver_memory,
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.warehouse.dir": f"file://{scratch.absolute() / 'default'}",  # of no table; else in whatever folder this is
        }
        if master.startswith("local"):
            told |= {**LOCAL, "spark.local.dir": str(scratch)}
        java = {_JAVA: " ".join([self._logging(), own.get(_JAVA, "")]).strip()}
        return {**told, **own, **java, **({"spark.master": master} if master else {}), **MUST}

    def _logging(self) -> str:
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        log_file = self.home / "logs" / f"spark.{os.getpid()}.log"
        return f'"-Dlog4j2.configurationFile={LOG4J}" "-Darrears.log={log_file}"'

    def _scratch(self) -> Path:
        """A folder for what this process spills; those of processes that were killed go."""
        for left in (self.home / "spark").glob("*.*"):
            if nobody_works_in(left):
                shutil.rmtree(left, ignore_errors=True)
        mine = self.home / "spark" / f"{os.getpid()}.{secrets.token_hex(3)}"
        mine.mkdir(parents=True)
        _held.append(FileLock(mine / "in-use.lock", thread_local=False))
        _held[-1].acquire()
        return mine

    # --- the verbs ---------------------------------------------------------------------------------------------------

    def show(self, warehouse: Warehouse, known: Mapping[str, Sequence[Load]]) -> None:
        session, room = self.session(), self._room(warehouse.folder)
        _forget(session)
        self._tidy(warehouse)
        for schema in (*sorted({dataset.group for dataset in TABLES.values()}), REFERENCE):
            _create(session, schema, room)
        for name, dataset in TABLES.items():
            for statement in _shown(dataset, files_of(known[name]), only(known[name])):
                session.sql(statement)
        with warehouse.prepared() as con:
            tables = con.execute("select table_name from duckdb_tables() where schema_name = ?", [REFERENCE]).fetchall()
            for (name,) in tables:
                rows = con.sql(f'select * from {REFERENCE}."{name}"').to_arrow_table()
                session.createDataFrame(rows).coalesce(1).write.saveAsTable(f"{REFERENCE}.{name}")

    @contextmanager
    def at_work(self, folder: Path, schemas: Sequence[str], *, threads: int, memory_limit: str) -> Iterator[None]:
        from dbt.adapters.factory import reset_adapters

        os.environ["ARREARS_THREADS"] = str(threads)
        session, room = self.session(), self._room(folder)
        for schema in schemas:
            _create(session, schema, room)
        try:
            yield
        finally:
            reset_adapters()

    def cause(self, stopped: BaseException | None) -> BaseException | None:
        return stopped

    def bring_home(self, folder: Path, columns: Mapping[str, Mapping[str, str]], memory_limit: str) -> None:
        session, built = self.session(), {}
        for row in session.sql(f"show tables in {MARTS}").collect():
            built[row.tableName] = self._brought(f"{self._room(folder)}/{MARTS}/{row.tableName}", folder / "home")
        bring_in(Warehouse(folder).marts, {name: (files, columns[name]) for name, files in built.items()}, memory_limit)
        shutil.rmtree(folder / "home", ignore_errors=True)

    def found(self, warehouse: Warehouse, query: str, limit: int) -> list[dict[str, Any]]:
        return [row.asDict() for row in self.session().sql(query).limit(limit).collect()]

    def leave(self, warehouse: Warehouse) -> None:
        """A room that lies with others goes with the run; one in the run's own folder is kept as long as that is."""
        if self.shared and _session is not None:
            room = self._room(warehouse.folder)
            try:
                _forget(_session)
                _delete(_session, room)
            except Exception as away:  # its other half died: the next night on Spark removes it
                log.warning("%s was not removed: %s", room, _shortly(away))

    # --- where things lie --------------------------------------------------------------------------------------------

    def _room(self, folder: Path) -> str:
        """The URL of a run's tables."""
        if not self.shared:
            return _plain(f"file://{folder.absolute() / 'spark'}")
        return _plain(f"{self._of_this_home(folder)}/{folder.name}")

    def _of_this_home(self, folder: Path) -> str:
        home = hashlib.sha256(str(folder.parent.absolute()).encode()).hexdigest()[:8]
        shared = self.shared if "://" in self.shared else f"file://{ROOT / self.shared}"
        return f"{shared.rstrip('/')}/{home}"

    def _tidy(self, warehouse: Warehouse) -> None:
        """Remove the rooms of runs that were killed: nobody else could."""
        if not self.shared:
            return _delete(self.session(), self._room(warehouse.folder))
        for name in _names(self.session(), self._of_this_home(warehouse.folder)):
            local = warehouse.folder.parent / name
            if local == warehouse.folder or not local.exists() or nobody_works_in(local):
                _delete(self.session(), self._room(local))
        return None

    def _brought(self, room: str, to: Path) -> Path:
        """A folder of this machine that has a table's files."""
        if room.startswith("file://"):
            return Path(room.removeprefix("file://"))
        to.mkdir(exist_ok=True)
        files, path, hadoop = _files(self.session(), room)
        files.copyToLocalFile(False, path, hadoop.Path(f"file://{to / path.getName()}"), True)
        return to / str(path.getName())


_held: list[FileLock] = []


def stop() -> None:
    """End this process's session, where it has one, and what it spilled."""
    global _session
    with _starting:
        if _session is not None:
            with suppress(Exception):  # its other half may have died, and then nothing is left to end
                _session.stop()
            _session = None
            _made.clear()
        while _held:
            lock = _held.pop()
            lock.release()
            shutil.rmtree(Path(lock.lock_file).parent, ignore_errors=True)


def _teach_dbt(session: Any) -> None:
    """Have dbt-spark ask this session, and nothing else of it.

    Its own cursor sets the session anew at every statement, ANSI off among it, so that an amount too large would be a null; and what it is
    told to cancel it goes on with.
    """
    from dbt.adapters.spark import session as method
    from dbt_common.exceptions import DbtRuntimeError
    from pyspark.errors import PySparkException

    class Cursor(method.Cursor):  # type: ignore[misc]
        def execute(self, sql: str, *parameters: Any) -> None:
            if asked := _ASKED.match(sql):  # as dbt writes it at the top: what a job is for, in Spark's pages and event log
                session.sparkContext.setJobDescription(asked[1])
            try:
                self._df = session.sql(sql % parameters if parameters else sql)
            except PySparkException as refused:
                raise DbtRuntimeError(_shortly(refused)) from refused

    logging.getLogger("SQLQueryContextLogger").disabled = True  # which would show a trace of what is told in words
    method.Cursor = Cursor
    method.SessionConnectionWrapper.cancel = lambda _: session.sparkContext.cancelAllJobs()


def _shortly(broken: BaseException) -> str:
    """What Spark says, without the plan and the trace behind it."""
    said = str(broken).strip()
    return "\n".join(said.splitlines()[:12])


def _properties(path: Path) -> dict[str, str]:
    """A file as spark-defaults.conf: a name and a value a line, with blanks or a = between."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as unreadable:
        raise EngineError(f"ARREARS_SPARK_CONF: {path} cannot be read: {unreadable}") from None
    told = {}
    for number, line in enumerate((line.strip() for line in lines), 1):
        if not line or line.startswith("#"):
            continue
        name, _, value = line.replace("=", " ", 1).partition(" ") if "=" in line.split()[0] else line.partition(" ")
        if not name.startswith("spark.") or not value.strip(" =\t"):
            raise EngineError(f"ARREARS_SPARK_CONF: {path}, line {number}: write spark.name value, as in spark-defaults.conf")
        told[name] = value.strip(" =\t")
    return told


_made: set[str] = set()


def _create(session: Any, schema: str, room: str) -> None:
    session.sql(f"create schema if not exists `{schema}` location '{_literal(f'{room}/{schema}')}'")
    _made.add(schema)


def _forget(session: Any) -> None:
    """Take an earlier run of this process out of the catalogue, and its tables with it."""
    while _made:
        session.sql(f"drop schema if exists `{_made.pop()}` cascade")


def _shown(dataset: Dataset, files: Sequence[str], condition: str) -> list[str]:
    """SQL for the rows of landed files as a table, with every column of today's contract: where it is said which there are, no file is
    looked at for them, and one that an older load lacks is null."""
    every = (*dataset.columns, *LANDING_COLUMNS)
    declared = ", ".join(f"`{column.name}` {SQL_TYPES[column.type]}" for column in every)
    table = f"`{dataset.group}`.`{dataset.name}`"
    if not files:
        return [f"create table {table} ({declared}) using parquet"]
    options = f"options (path '{_literal(_pattern(files))}')"
    if not condition:
        return [f"create table {table} ({declared}) using parquet {options}"]
    landed, names = f"`{dataset.group}`.`{dataset.name}_landed`", ", ".join(f"`{column.name}`" for column in every)
    return [
        f"create table {landed} ({declared}) using parquet {options}",
        f"create view {table} as select {names} from {landed}{condition}",
    ]


def _pattern(files: Sequence[str]) -> str:
    """One name for several files of this machine or of a file system that is mounted on it, as Hadoop reads it."""
    names = [_plain(name).removeprefix("/") for name in files]
    return "file:///" + (names[0] if len(names) == 1 else "{" + ",".join(names) + "}")


def _plain(name: str) -> str:
    """A path or URL in which nothing means several.

    Raises:
        EngineError: something does.
    """
    if found := sorted(set(name) & set("[]{}*?,\\")):
        raise EngineError(
            f"{shown(name, 200)}: Spark takes {found[0]} in the name of a folder for a pattern: name it another way"
        )
    return name


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


# --- files, wherever they lie: as Spark itself opens them, with its credentials


def _files(session: Any, room: str) -> tuple[Any, Any, Any]:
    hadoop = session.sparkContext._jvm.org.apache.hadoop.fs
    path = hadoop.Path(room)
    return path.getFileSystem(session.sparkContext._jsc.hadoopConfiguration()), path, hadoop


def _delete(session: Any, room: str) -> None:
    files, path, _ = _files(session, room)
    files.delete(path, True)


def _names(session: Any, room: str) -> list[str]:
    files, path, _ = _files(session, room)
    return [str(status.getPath().getName()) for status in files.listStatus(path)] if files.exists(path) else []
