"""dbt, called in this process.

Belongs here: the arguments of a build, the prepared manifest, and dbt's results as plain rows. Does not belong here: rules (they
are the models), Dagster.

The manifest is prepared once for each state of the `dbt/` folder and handed to dbt ready made: parsing costs seconds, and a date
in `--vars` would make dbt parse again every morning.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from dagster_project.duck import MEMORY_LIMIT
from dagster_project.engines import DUCKDB, Engine
from dagster_project.engines.duckdb import close_adapters
from dagster_project.paths import DBT_PROJECT

log = logging.getLogger("arrears.dbt")
progress = logging.getLogger("arrears.progress")

TARGET = DBT_PROJECT / "target"
MANIFEST = TARGET / "manifest.json"
"""The project as it is read for DuckDB: whoever asks what there is, and not how it is built, reads this one."""

QUIET = ("--quiet", "--log-level", "none", "--log-level-file", "none", "--no-use-colors", "--no-version-check")


THREADS = min(os.cpu_count() or 2, 4)
"""How many nodes are built at a time, where nobody says."""


class DbtError(Exception):
    """dbt could not run at all: the project does not parse, or a node could not be compiled."""


@dataclass(frozen=True)
class NodeResult:
    """What came of one node. `layer` is the models' folder, or `seed` or `test`; `failures` counts the rows a test returned, `query`
    is how it asked for them."""

    unique_id: str
    name: str
    layer: str
    status: str
    message: str
    seconds: float
    failures: int
    query: str = ""

    @property
    def broken(self) -> bool:
        return self.status in ("error", "fail", "runtime error")


def vars_of(as_of: date, policy: str, reporting_currency: str) -> str:
    """The run's variables as dbt takes them: the one clock, the policy pack, the reporting currency."""
    return json.dumps({"as_of": as_of.isoformat(), "policy": policy, "reporting_currency": reporting_currency})


def build_args(variables: str, target: Path, select: Sequence[str] = (), engine: Engine = DUCKDB) -> list[str]:
    """The arguments of the nightly build: everything but unit tests, which belong to the test command, and exposures, which build
    nothing. Of a part (`select`, in dbt's words), those tests that need no more than the part."""
    return [
        *("build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "exposure"),
        *("--vars", variables, "--no-write-json", *_places(target, engine)),
        *(["--select", *select, "--indirect-selection", "buildable"] if select else []),
    ]


def _places(target: Path, engine: Engine) -> list[str]:
    args = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target", engine.target]
    return [*args, "--target-path", str(target), "--log-path", str(target), *QUIET]


def _prepared(engine: Engine) -> Path:
    """Where the project lies as it was read for an engine: other macros are called for another one."""
    return TARGET if engine is DUCKDB else TARGET / engine.target


def _parsed(engine: Engine) -> Path:
    return _prepared(engine) / "partial_parse.msgpack"


def _read_at(engine: Engine) -> Path:
    return _prepared(engine) / "prepared.sha256"


def is_prepared(engine: Engine = DUCKDB) -> bool:
    files = [_prepared(engine) / "manifest.json", _parsed(engine), _read_at(engine)]
    return all(path.exists() for path in files) and _read_at(engine).read_text("utf-8").strip() == _state(engine)


def prepare(engine: Engine = DUCKDB) -> None:
    """Parse the project where the prepared manifest is missing or older than its files.

    Raises:
        DbtError: the project does not parse; the message is dbt's.
    """
    if is_prepared(engine):
        return
    target = _prepared(engine)
    target.mkdir(parents=True, exist_ok=True)
    with FileLock(target / "preparing.lock"):
        if is_prepared(engine):  # by another run, while this one waited
            return
        state = _state(engine)  # before the parse: what is edited meanwhile is parsed next time
        _parsed(engine).unlink(missing_ok=True)  # dbt's partial parse keeps unit tests that were renamed
        outcome = _runner().invoke(["parse", *_places(target, engine)])
        if not outcome.success:
            raise DbtError(f"the dbt project does not parse: {outcome.exception}")
        _read_at(engine).write_text(state + "\n", "utf-8")


def state_prepared(engine: Engine = DUCKDB) -> str:
    """Which state of the project is the prepared one."""
    return _read_at(engine).read_text("utf-8").strip()


def compile_all(variables: str, scratch: Path) -> tuple[Any, list[Any]]:
    """The prepared project for DuckDB, and every node of it with the statement that dbt would send for it.

    Raises:
        DbtError: a node could not be compiled.
    """
    scratch.mkdir(exist_ok=True)
    _, project = _read(DUCKDB)
    arguments = ["compile", "--vars", variables, "--no-populate-cache", "--no-write-json", *_places(scratch, DUCKDB)]
    try:
        ended = _runner(project).invoke(arguments)
    finally:
        close_adapters()
    if ended.result is None or not ended.success:
        raise DbtError(f"the dbt project does not compile: {ended.exception}")
    return project, [result.node for result in ended.result]


def manifest() -> Mapping[str, Any]:
    """What dbt writes of the prepared project. For whoever reads it: it is one for all of them."""
    return _manifest(MANIFEST, MANIFEST.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _manifest(path: Path, changed: int) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def asked_for() -> frozenset[tuple[str, str]]:
    """The policy rows that models and tests ask for by name, as (table, name): their macros write it into the manifest."""
    nodes = manifest()["nodes"].values()
    told = (key.split("/", 2) for node in nodes for key in node["config"].get("meta", {}) if key.startswith("policy/"))
    return frozenset((table, name) for _, table, name in told)


def build(
    folder: Path,
    variables: str,
    threads: int = 2,
    select: Sequence[str] = (),
    memory_limit: str = MEMORY_LIMIT,
    early: Future[tuple[str, Any]] | None = None,
    *,
    engine: Engine = DUCKDB,
) -> list[NodeResult]:
    """Build everything, or what `select` names, into a run's private folder and test it; `early` is the project read early. Nothing is
    built on what a test objects to.

    Raises:
        DbtError: dbt stopped before it could run the nodes, or the engine broke down at one, which is named.
        EngineError: the engine could not be started.
    """
    prepare(engine)
    project = _project(early, engine)
    listener = _Listener(project)
    tables = [node for node in project.nodes.values() if node.resource_type in ("model", "seed")]
    schemas = sorted({node.schema for node in tables})
    with engine.at_work(folder, schemas, threads=threads, memory_limit=memory_limit), _asked_to_end_by_dbt():
        outcome = _runner(project, [listener]).invoke(build_args(variables, folder / "dbt", select, engine))
    results = getattr(outcome.result, "results", None)
    if results is None:
        stopped = engine.cause(outcome.exception)
        raise DbtError(f"dbt stopped{f' at {listener.broken[0]}' if listener.broken else ''}: {stopped}")
    told = [_told(result) for result in results]
    if not any(result.broken for result in told):
        marts = {node.name: {c.name: c.data_type for c in node.columns.values()} for node in tables if node.fqn[1] == "marts"}
        engine.bring_home(folder, marts, memory_limit)
    return told


def _told(result: Any) -> NodeResult:
    node = result.node
    return NodeResult(
        unique_id=node.unique_id,
        name=node.name,
        layer=node.fqn[1] if node.resource_type == "model" else str(node.resource_type),
        status=str(result.status),
        message=result.message or "",
        seconds=result.execution_time,
        failures=result.failures or 0,
        query=getattr(node, "compiled_code", None) or "",
    )


@contextmanager
def _asked_to_end_by_dbt() -> Iterator[None]:
    """While dbt runs, let it end what it is at where this process is told to end; whoever else was to hear of that hears it then.

    Of all that can be raised dbt takes a KeyboardInterrupt alone for a reason to stop its queries and to wait for its threads. Whatever
    else is raised (Dagster raises its own) leaves them at work, on connections that nobody can close meanwhile, and that fault hides the
    other. Told again, it goes on ending.
    """
    told: list[int] = []

    def tell(number: int, frame: Any) -> None:
        told.append(number)
        if len(told) == 1:
            raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if ours else {}
    heard = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in heard:
            signal.signal(number, tell)
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
        if told:
            signal.raise_signal(told[0])


class _Listener:
    """Hears what dbt does: which nodes broke, how far it is, and what it has been at for longest."""

    def __init__(self, project: Any) -> None:
        self.broken: list[str] = []
        self.running: dict[str, float] = {}
        self.done: Counter[str] = Counter()
        nodes = project.nodes.values()  # but for those that stand within their readers and are never run
        self.all = Counter(str(node.resource_type) for node in nodes if node.config.materialized != "ephemeral")

    def __call__(self, event: Any) -> None:
        if event.info.name not in ("NodeStart", "NodeFinished"):
            return
        node = event.data.node_info
        if event.info.name == "NodeStart":
            self.running[node.unique_id] = time.monotonic()
        else:
            self.running.pop(node.unique_id, None)
            self.done[str(node.resource_type)] += 1
            if node.node_status == "error":
                self.broken.append(node.unique_id)
        if progress.isEnabledFor(logging.DEBUG):
            progress.debug("%s", self._told())

    def _told(self) -> str:
        parts = [f"{kind}s {self.done[kind]} of {self.all[kind]}" for kind in ("model", "test")]
        for name, began in sorted(self.running.items(), key=lambda at: at[1])[:1]:
            parts.append(f"{name.split('.')[2]} {time.monotonic() - began:.0f} s")
        return ", ".join(parts)


def read_early(engine: Engine = DUCKDB) -> Future[tuple[str, Any]]:
    """Import dbt and read the prepared manifest beside the caller, for a build to come: together they take seconds."""
    reader = ThreadPoolExecutor(1)
    project = reader.submit(_read, engine)
    reader.shutdown(wait=False)
    return project


def _project(early: Future[tuple[str, Any]] | None, engine: Engine) -> Any:
    """The prepared manifest: the one read early, unless the project was prepared anew since."""
    state, manifest = early.result() if early else _read(engine)
    return manifest if state == _read_at(engine).read_text("utf-8") else _read(engine)[1]


def _read(engine: Engine) -> tuple[str, Any]:
    import dbt.cli.main  # noqa: F401
    from dbt.contracts.graph.manifest import Manifest

    engine.warm()
    return _read_at(engine).read_text("utf-8"), Manifest.from_msgpack(_parsed(engine).read_bytes())  # type: ignore[attr-defined]


def _runner(manifest: Any = None, callbacks: Sequence[Callable[[Any], None]] = ()) -> Any:
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from dbt.cli.main import dbtRunner

    return dbtRunner(manifest=manifest, callbacks=list(callbacks))


def _state(engine: Engine = DUCKDB) -> str:
    """One hash over the dbt project's files, where they lie, and the versions that read them."""
    # dbt reads seeds from where the project was when it was parsed: a checkout that was moved or copied is parsed anew
    versions = " ".join(version(name) for name in ("dbt-core", *engine.versions))
    digest = hashlib.sha256(f"{versions} {DBT_PROJECT}".encode())
    for path in sorted(DBT_PROJECT.rglob("*")):
        inside = path.relative_to(DBT_PROJECT)
        if path.is_file() and inside.parts[0] not in ("target", "logs"):
            digest.update(f"{inside}\0".encode() + path.read_bytes())
    return digest.hexdigest()
