"""What a night needs and what takes seconds to be there, begun before it is asked for.

Belongs here: starting the expectations' worker, the demo's server and dbt's import beside whatever the caller does meanwhile, and
ending them. Does not belong here: what any of them does.

The command line begins before it imports Dagster; a run that Dagster starts begins when its resources are made.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from dagster_project import dbt_build
from dagster_project.demo import Demo
from dagster_project.engines import DUCKDB, Engine
from dagster_project.engines.catalogue import engine_of
from dagster_project.quality import Worker
from dagster_project.settings import Settings


@dataclass
class Warmup:
    """One night's. `told` says that the night's ending was told to whoever is to know of it: once is enough."""

    expectations: Worker = field(default_factory=lambda: Worker())
    demo: Demo | None = None
    engine: Engine = DUCKDB
    project: Future[tuple[str, Any]] | None = None
    told: bool = False

    @classmethod
    def begin(cls, settings: Settings, as_of: date) -> Warmup:
        """Start the processes; returns at once."""
        warmup = cls(engine=engine_of(settings))
        if "demo" in (settings.source, settings.bureau_name, settings.rates_name):
            warmup.demo = Demo(as_of)
        warmup.expectations.start()
        return warmup

    def read_project(self) -> None:
        """Begin to import dbt and to read the prepared project. Once: harmless to call again.

        Raises:
            DbtError: the project was not prepared for the engine yet, and does not parse.
        """
        if self.project is None:
            dbt_build.prepare(self.engine)
            self.project = dbt_build.read_early(self.engine)

    def end(self) -> None:
        """End the processes. Harmless where they have ended."""
        self.expectations.stop()
        if self.demo:
            self.demo.stop()
