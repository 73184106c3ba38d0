"""What a build on Spark moved and took, out of its event log.

Run by hand: `tests/benchmarks/shuffle.py LOG [INVOICES]`, where the night's ARREARS_SPARK_CONF names a file with

    spark.eventLog.enabled true
    spark.eventLog.dir file:///some/folder
    spark.eventLog.compress false
    spark.eventLog.rolling.enabled false

With INVOICES, bytes are said per invoice as well: what a larger book is computed from (`docs/spark.md`).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path


def read(log: Path) -> Counter[str]:
    """Sums over all tasks of an application: bytes, milliseconds, counts; `peak` is the largest task's execution memory."""
    told: Counter[str] = Counter()
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            kind = event["Event"]
            if kind in ("SparkListenerJobStart", "SparkListenerStageCompleted"):
                told[kind.removeprefix("SparkListener")] += 1
            elif kind in ("SparkListenerApplicationStart", "SparkListenerApplicationEnd"):
                told["milliseconds"] += event["Timestamp"] * (1 if kind.endswith("End") else -1)
            elif kind == "SparkListenerTaskEnd" and (task := event.get("Task Metrics")):
                written, got = task["Shuffle Write Metrics"], task["Shuffle Read Metrics"]
                told["tasks"] += 1
                told["run"] += task["Executor Run Time"]
                told["collected"] += task["JVM GC Time"]
                told["read"] += task["Input Metrics"]["Bytes Read"]
                told["shuffled"] += written["Shuffle Bytes Written"]
                told["fetched"] += got["Remote Bytes Read"] + got["Local Bytes Read"]
                told["spilled"] += task["Disk Bytes Spilled"]
                told["built"] += task["Output Metrics"]["Bytes Written"]
                told["peak"] = max(told["peak"], task.get("Peak Execution Memory", 0))
    return told


def main(log: str, invoices: str = "0") -> None:
    told = read(Path(log))
    print(
        f"{told['JobStart']:,} jobs, {told['StageCompleted']:,} stages, {told['tasks']:,} tasks in {told['milliseconds'] / 1000:,.0f} s"
    )
    print(f"tasks ran for {told['run'] / 1000:,.0f} s, {told['collected'] / 1000:,.0f} s of it garbage collection")
    for name, words in (
        ("read", "read of tables"),
        ("shuffled", "shuffled"),
        ("spilled", "spilled to disk"),
        ("built", "written as tables"),
    ):
        each = f", {told[name] / int(invoices):,.0f} bytes an invoice" if int(invoices) else ""
        print(f"{words}: {told[name] / 1e6:,.1f} MB{each}")
    print(f"the largest task took {told['peak'] / 1e6:,.1f} MB of execution memory")


if __name__ == "__main__":
    main(*sys.argv[1:])
