"""A build or a night in a process of its own, which says what it is at: there to be killed, or to run beside another.

python -m tests.spark.driven night 2025-06-30                  the whole night, with the environment's settings
python -m tests.spark.driven part 2025-06-30 FOLDER open_items   those models of what is landed and all under them, into a folder
"""

from __future__ import annotations

import logging
import sys
from datetime import date
from pathlib import Path


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), flush=True)


def main(what: str, day: str, *more: str) -> int:
    from dagster_project import dbt_build, engines, morning, settings, warmup
    from dagster_project.landing import Landing
    from dagster_project.night import run_night
    from dagster_project.warehouse import Warehouse
    from tests.spark.expectations import Expectations

    warmup.Worker = Expectations  # type: ignore[assignment,misc]
    logging.getLogger("arrears.progress").setLevel(logging.DEBUG)
    logging.getLogger("arrears.progress").addHandler(_Said())
    told, as_of = settings.load(), date.fromisoformat(day)
    if what == "night":
        night = run_night(told, as_of, full=False, refresh=False, known="then", threads=2)
        print("\n".join(night.reasons), flush=True)
        return 0 if night.success else 1
    folder, engine, models = Path(more[0]), engines.engine_of(told), more[1:]
    warehouse = Warehouse(folder)
    warehouse.create()
    landing = Landing.of(told)
    engine.show(warehouse, morning.prepare(warehouse, landing, as_of, "then", told.source, told.bureau_name))
    variables = dbt_build.vars_of(as_of, told.policy, told.reporting_currency)
    results = dbt_build.build(folder, variables, select=[f"+{model}" for model in models], engine=engine)
    engine.leave(warehouse)
    warehouse.release()
    broken = [f"{result.name}: {result.message}" for result in results if result.broken]
    print("\n".join(broken) or "built", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
