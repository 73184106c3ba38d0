"""What a build on Spark moved and took, out of its event log.

Run by hand: `tests/benchmarks/shuffle.py LOG [INVOICES]`, where the night's ARREARS_SPARK_CONF names a file with

    spark.eventLog.enabled true
    spark.eventLog.dir file:///some/folder
    spark.eventLog.compress false
    spark.eventLog.rolling.enabled false

With INVOICES, bytes are said per invoice as well: what a larger book is computed from (`docs/sizes.md`). `on_spark.py` makes a book, builds
it with such a file and reads the log by itself.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST = 15
"""How many stages are said one by one."""


@dataclass
class Moved:
    """Sums over all tasks: bytes, milliseconds, counts; `peak` is the largest task's execution memory. `stages`: the same by stage, and
    what each is for: the model or test, where the night says so."""

    all: Counter[str] = field(default_factory=Counter)
    stages: dict[int, Counter[str]] = field(default_factory=dict)
    of: dict[int, str] = field(default_factory=dict)

    def lines(self, invoices: int = 0) -> Iterator[str]:
        told = self.all
        seconds = told["milliseconds"] / 1000
        yield f"{told['jobs']:,} jobs, {len(self.stages):,} stages, {told['tasks']:,} tasks in {seconds:,.0f} s"
        yield f"tasks ran for {told['run'] / 1000:,.0f} s, {told['collected'] / 1000:,.0f} s of it garbage collection"
        for name, words in (
            ("read", "read of tables"),
            ("shuffled", "shuffled, written"),
            ("fetched", "shuffled, read"),
            ("spilled", "spilled to disk"),
            ("built", "written as tables"),
        ):
            each = f", {told[name] / invoices:,.0f} bytes an invoice" if invoices else ""
            yield f"{words}: {told[name] / 1e6:,.1f} MB{each}"
        yield f"the largest task took {told['peak'] / 1e6:,.1f} MB of execution memory"
        yield f"the {LARGEST} stages that shuffled most, MB written and read, seconds of tasks:"
        most = sorted(self.stages.items(), key=lambda stage: -(stage[1]["shuffled"] + stage[1]["fetched"]))
        for number, stage in most[:LARGEST]:
            moved = f"{stage['shuffled'] / 1e6:>10,.1f}{stage['fetched'] / 1e6:>10,.1f}{stage['run'] / 1000:>8,.0f}"
            yield f"  {self.of.get(number, ''):<36}{moved}"


def read(log: Path) -> Moved:
    moved = Moved()
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            kind = event["Event"]
            if kind == "SparkListenerJobStart":
                moved.all["jobs"] += 1
                what = (event.get("Properties") or {}).get("spark.job.description", "")
                moved.of.update(dict.fromkeys(event["Stage IDs"], what))
            elif kind in ("SparkListenerApplicationStart", "SparkListenerApplicationEnd"):
                moved.all["milliseconds"] += event["Timestamp"] * (1 if kind.endswith("End") else -1)
            elif kind == "SparkListenerTaskEnd" and (task := event.get("Task Metrics")):
                took = _took(task)
                peak = max(moved.all["peak"], took.pop("peak"))
                moved.stages.setdefault(event["Stage ID"], Counter()).update(took)
                moved.all.update(took)
                moved.all["peak"] = peak
    return moved


def _took(task: dict[str, Any]) -> Counter[str]:
    written, got = task["Shuffle Write Metrics"], task["Shuffle Read Metrics"]
    return Counter(
        {
            "tasks": 1,
            "run": task["Executor Run Time"],
            "collected": task["JVM GC Time"],
            "read": task["Input Metrics"]["Bytes Read"],
            "shuffled": written["Shuffle Bytes Written"],
            "fetched": got["Remote Bytes Read"] + got["Local Bytes Read"],
            "spilled": task["Disk Bytes Spilled"],
            "built": task["Output Metrics"]["Bytes Written"],
            "peak": task.get("Peak Execution Memory", 0),
        }
    )


def main(log: str, invoices: str = "0") -> None:
    print(*read(Path(log)).lines(int(invoices)), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
