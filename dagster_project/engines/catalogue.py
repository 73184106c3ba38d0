"""Which engine a run's settings name.

Belongs here: choosing. Does not belong here: what an engine is asked (`__init__.py`), how either answers.
"""

from __future__ import annotations

from dagster_project.engines import DUCKDB, Engine
from dagster_project.settings import Settings


def engine_of(settings: Settings) -> Engine:
    """The engine that the environment names."""
    if settings.engine == "duckdb":
        return DUCKDB
    from dagster_project.engines.spark import Spark  # and with it what takes seconds

    return Spark(
        home=settings.home,
        master=settings.spark_master,
        driver_memory=settings.spark_driver_memory,
        conf=settings.spark_conf,
        shared=settings.spark_warehouse,
    )
