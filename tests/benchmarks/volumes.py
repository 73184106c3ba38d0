"""What a night costs on books of many sizes: per stage seconds, CPU, memory and rows a second, beside a floor written by hand.

Run by hand (`make bench SIZES=100000,1000000`), on Linux: memory and CPU are read from `/proc`. Each size is a new book
(`ledgers.sql`) of so many invoices, with a customer for every fifty of them or as many as stand behind a colon (`1000000:200000`),
a whole first night on it as the command line runs it, and the floor (`floor/`) over the same files, once before the night and once
after it. The totals that both have must tie to the cent. On a busy machine seconds say little: look how far the two floors are apart,
and compare the ratio to their mean.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from ties import AS_OF, TIES  # noqa: E402

HEADING = re.compile(r"^(\S.*\S)  \(\d+\.\d s\)$")
BEFORE = "Starting"
MARTS = "Building the marts"
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Stage:
    """What a part of a process tree's life cost. Memory in bytes: of the process started, and of its largest child."""

    name: str
    seconds: float = 0.0
    cpu: float = 0.0
    main: int = 0
    child: int = 0


@dataclass
class Watch:
    """Looks at a process and its children ten times a second, and puts what they used to the stage that is on."""

    process: subprocess.Popen[str]
    stages: list[Stage] = field(default_factory=lambda: [Stage(BEFORE)])
    said: list[str] = field(default_factory=list)

    def listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if heading := HEADING.match(line.rstrip()):
                self.stages.append(Stage(heading[1]))

    def until_end(self) -> None:
        listener = threading.Thread(target=self.listen)
        listener.start()
        last, spent = time.monotonic(), 0.0
        while self.process.poll() is None:
            time.sleep(0.1)
            stage, now = self.stages[-1], time.monotonic()
            used = usage(self.process.pid)
            total = sum(cpu for cpu, _ in used.values())
            stage.seconds, last = stage.seconds + now - last, now
            stage.cpu, spent = stage.cpu + max(total - spent, 0), max(total, spent)
            stage.main = max(stage.main, used.get(self.process.pid, (0, 0))[1])
            stage.child = max([stage.child, *(memory for pid, (_, memory) in used.items() if pid != self.process.pid)])
        listener.join()


def usage(root: int) -> dict[int, tuple[float, int]]:
    """CPU seconds (with those of children that ended) and resident bytes of a process and all below it."""
    parents, used = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pid = int(folder.name)
        parents[pid] = int(fields[1])
        used[pid] = (sum(map(int, fields[11:15])) / TICK, int(fields[21]) * PAGE)
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {pid: used[pid] for pid in family & used.keys()}


def watched(command: list[str], environment: dict[str, str]) -> Watch:
    watch = Watch(
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    )
    watch.until_end()
    if watch.process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n" + "\n".join(watch.said))
    return watch


def differences(marts: Path, floor: Path) -> list[str]:
    """The totals on which the marts and the floor disagree."""
    import duckdb

    con = duckdb.connect()
    con.execute(f"attach '{marts}' as built (read_only); attach '{floor}' as floor (read_only)")
    found = []
    for name, (of_marts, of_floor) in TIES.items():
        rows = []
        for catalog, query in (("built", of_marts), ("floor", of_floor)):
            con.execute(f"use {catalog}")
            rows.append(set(con.execute(query).fetchall()))
        if not rows[0] or rows[0] != rows[1]:
            examples = f"marts {sorted(rows[0] - rows[1], key=str)[:2]}, floor {sorted(rows[1] - rows[0], key=str)[:2]}"
            found.append(f"{name}: {len(rows[0] ^ rows[1])} rows differ, such as {examples}")
    con.close()
    return found


def measure(size: int, customers: int, scratch: Path, memory_limit: str) -> None:
    """One size, `customers` of 0 for the usual number: the book, the night, the floor, the ties; prints its table."""
    import ledgers

    from dagster_project.contract import DATASETS
    from dagster_project.landing import Landing

    began = time.monotonic()
    files, home, floor_file = scratch / "files", scratch / "home", scratch / "floor.duckdb"
    counts = ledgers.write(files, size, AS_OF, memory_limit, customers)
    records = sum(counts.values())
    book = sum(path.stat().st_size for path in files.glob("*.parquet")) / 1e6
    print(
        f"\n{size:,} invoices: {records:,} records, {counts['allocations']:,} allocations, {counts['customers']:,} customers, "
        f"{book:,.0f} MB of Parquet, made in {time.monotonic() - began:.0f} s\n",
        flush=True,
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ARREARS_", "DAGSTER_"))} | {
        "DO_NOT_TRACK": "1",
        "ARREARS_HOME": str(home),
        "ARREARS_SOURCE": "files",
        "ARREARS_BUREAU": "files",
        "ARREARS_FILES_DIR": str(files),
        "ARREARS_REPORTING_CURRENCY": "EUR",
    }

    def floor(when: str) -> Stage:
        floor_file.unlink(missing_ok=True)
        python = [sys.executable, str(Path(__file__).with_name("floor.py"))]
        built = watched([*python, str(files), str(floor_file), AS_OF.isoformat(), memory_limit], environment)
        return replace(built.stages[0], name=f"the floor, {when}")

    # Policy binds from the first morning landed: as if there had been one long ago, since the floor knows no other.
    Landing(home / "landing", home / "quarantine").land(DATASETS["disputes"], None, date(2000, 1, 1))
    before = floor("before")
    night = watched([sys.executable, "-m", "dagster_project", "run", "--date", AS_OF.isoformat()], environment)
    after = floor("after")
    if disagreeing := differences(home / "published" / "arrears.duckdb", floor_file):
        sys.exit("the floor and the marts disagree:\n" + "\n".join(disagreeing))
    print(f"  {'stage':<22}{'seconds':>9}{'CPU s':>9}{'MB':>8}{'child MB':>10}{'records/s':>12}")
    whole = Stage(
        "the whole night",
        sum(stage.seconds for stage in night.stages),
        sum(stage.cpu for stage in night.stages),
        max(stage.main for stage in night.stages),
        max(stage.child for stage in night.stages),
    )
    for stage in (*night.stages, whole, before, after):
        speed = f"{records / stage.seconds:,.0f}" if stage.name != BEFORE and stage.seconds else ""
        print(
            f"  {stage.name:<22}{stage.seconds:>9.1f}{stage.cpu:>9.1f}{stage.main / 1e6:>8,.0f}{stage.child / 1e6:>10,.0f}{speed:>12}"
        )
    marts = next(stage for stage in night.stages if stage.name == MARTS)
    for part in (marts, whole):
        wall, cpu = (
            2 * mine / both for mine, both in ((part.seconds, before.seconds + after.seconds), (part.cpu, before.cpu + after.cpu))
        )
        print(f"  {part.name} / the floor: {wall:.2f} wall, {cpu:.2f} CPU")
    print(f"  {len(TIES)} totals tie")
    for line in night.said:
        if re.match(r"  (staging|seed|intermediate|marts|test) .* nodes: ", line):
            print(f"  {line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", default="100000", help="numbers of invoices, each perhaps :customers, with commas between them"
    )
    parser.add_argument("--memory-limit", default="1500MB", help="what DuckDB may use for the book and for the floor")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}; a first night as of {AS_OF}, from Parquet files")
    for size in options.sizes.split(","):
        invoices, _, customers = size.partition(":")
        scratch = Path(tempfile.mkdtemp(prefix="arrears-volumes-"))
        try:
            measure(int(invoices), int(customers or 0), scratch, options.memory_limit)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
