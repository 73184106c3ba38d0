"""What a night on Spark costs on an invented book, and what it shuffles: minutes, CPU, memory of the driver's Java, bytes by stage.

Run by hand: `tests/benchmarks/on_spark.py INVOICES [--heap 4g] [--conf FILE]`, on Linux, with Spark installed (`make setup SPARK=1`). The
book is that of `volumes.py`, the night one of the command line, the totals are held against the floor's. `--conf`: settings beside those
of the event log, as ARREARS_SPARK_CONF takes them. Belongs here: one measured night. Does not belong here: nights on DuckDB (`volumes.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import ledgers  # noqa: E402
import shuffle  # noqa: E402
from ties import AS_OF, TIES  # noqa: E402
from volumes import MARTS, begun, cells, differences, watched  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("invoices", type=int)
    parser.add_argument("--heap", default="4g", help="the driver's, as ARREARS_SPARK_DRIVER_MEMORY takes it")
    parser.add_argument("--conf", type=Path, help="more settings")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="arrears-on-spark-") as folder:
        measure(Path(folder), told.invoices, told.heap, told.conf)


def measure(folder: Path, invoices: int, heap: str, conf: Path | None) -> None:
    files, floor, events = folder / "files", folder / "floor.duckdb", folder / "events"
    counts = ledgers.write(files, invoices, AS_OF)
    print(f"{invoices:,} invoices, {sum(counts.values()):,} records, load {os.getloadavg()[0]:.1f}", flush=True)
    events.mkdir()
    settings = folder / "spark.conf"
    log = ("enabled true", f"dir file://{events}", "compress false", "rolling.enabled false")
    settings.write_text("".join(f"spark.eventLog.{line}\n" for line in log) + (conf.read_text("utf-8") if conf else ""), "utf-8")
    home = folder / "home"
    environment = begun(home, files) | {
        "ARREARS_ENGINE": "spark",
        "ARREARS_SPARK_DRIVER_MEMORY": heap,
        "ARREARS_SPARK_CONF": str(settings),
    }
    began = time.monotonic()
    night = watched([sys.executable, "-m", "dagster_project", "run", "--date", AS_OF.isoformat()], environment)
    print(f"the whole night: {(time.monotonic() - began) / 60:.1f} minutes")
    print(f"{'':<40}{'s':>10}{'CPU s':>10}{'MB':>10}{'Java MB':>10}")
    for stage in night.stages:
        print(f"{stage.name:<40}{''.join(cell.rjust(10) for cell in cells(stage))}{stage.child / 1e6:>10,.0f}")
    assert MARTS in {stage.name for stage in night.stages}
    (written,) = events.iterdir()
    print(*shuffle.read(written).lines(invoices), sep="\n", flush=True)
    watched(
        [sys.executable, str(Path(__file__).with_name("floor.py")), str(files), str(floor), str(AS_OF), "1500MB"], environment
    )
    marts = home / "published" / "arrears.duckdb"
    untied = differences(marts, f"attach '{floor}' as other (read_only)", TIES)
    print(*(f"does not tie: {line}" for line in untied) if untied else [f"{len(TIES)} totals tie"], sep="\n")
    if untied:
        sys.exit(1)


if __name__ == "__main__":
    main()
