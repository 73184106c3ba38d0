"""What a night costs on books of many sizes: per stage seconds, CPU, memory, beside a floor written by hand and a script in pandas.

Run by hand (`make bench SIZES=100000,1000000:200000`), on Linux: memory and CPU are read from `/proc`. Each size is a new book
(`ledgers.sql`) of so many invoices, with a customer for every fifty of them or as many as stand behind a colon (`1000000:200000`),
a whole first night on it as the command line runs it, and over the same files the floor (`floor/`), once before the night and once
after it, and what one might write in pandas instead (`by_pandas.py`). What the floor builds is then built once more by the models alone
(`models.py`): no dbt, no tests, nothing else. The totals that two of them have must tie to the cent; where some do not, both figures are
said, and this ends with 1 when every book is measured. On a busy machine seconds say little: look how far the two floors are apart, and
compare the ratios of CPU seconds, which every row has. The last lines are README's table.
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
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from itertools import zip_longest
from operator import eq
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from ties import AS_OF, PANDAS, TIES  # noqa: E402

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


def differences(marts: Path, attach: str, ties: Mapping[str, tuple[str, str]]) -> list[str]:
    """The totals on which the marts and what `attach` puts into a catalog `other` disagree, each with figures of both."""
    import duckdb

    con = duckdb.connect()
    con.execute(f"attach '{marts}' as built (read_only)")
    con.execute(attach)
    found = []
    for name, queries in ties.items():
        columns: list[str] = []
        sides = []
        for catalog, query in zip(("built", "other"), queries, strict=True):
            con.execute(f"use {catalog}")
            told = con.execute(query)
            columns = columns or [column[0] for column in told.description]
            sides.append(set(told.fetchall()))
        ours, theirs = sides[0] - sides[1], sides[1] - sides[0]
        if ours or theirs or not sides[0]:
            found.append(f"{name}: {len(ours)} rows of {len(sides[0])} beside {len(theirs)} of {len(sides[1])}")
            found += [f"    {said(row, theirs, columns)}" for row in sorted(ours, key=str)[:3]]
            found += [f"    only there: {row}" for row in sorted(theirs, key=str)[: 0 if ours else 3]]
    con.close()
    return found


def said(row: tuple[Any, ...], others: Set[tuple[Any, ...]], columns: Sequence[str]) -> str:
    """A row of the marts and, beside it, what differs in the row of the others that is most like it."""
    like = max(sorted(others, key=str), key=lambda other: sum(map(eq, row, other)), default=())
    parts = [
        f"{column} {mine}" if mine == yours else f"{column} {mine} beside {yours}"
        for column, mine, yours in zip_longest(columns, row, like, fillvalue="nothing")
    ]
    return ", ".join(parts)


@dataclass
class Measured:
    """A book with what was measured on it: the night's stages, the whole, what stands beside it, and what does not tie."""

    name: str
    stages: list[Stage]
    floors: list[Stage]
    alone: Stage
    pandas: Stage
    untied: list[str]

    @property
    def whole(self) -> Stage:
        return Stage(
            "the whole night",
            sum(stage.seconds for stage in self.stages),
            sum(stage.cpu for stage in self.stages),
            max(stage.main for stage in self.stages),
            max(stage.child for stage in self.stages),
        )

    @property
    def floor(self) -> Stage:
        first, last = self.floors
        return Stage("", (first.seconds + last.seconds) / 2, (first.cpu + last.cpu) / 2, max(first.main, last.main))

    def rows(self) -> dict[str, tuple[str, ...]]:
        """The lines of the table: by what is measured, seconds, CPU seconds, MB, and the CPU seconds over the floor's."""
        made = {stage.name: self.cells(stage) for stage in (*self.stages, self.whole)}
        both = [", ".join(f"{getattr(floor, what):.1f}" for floor in self.floors) for what in ("seconds", "cpu")]
        made["the floor, before and after"] = (*both, f"{self.floor.main / 1e6:,.0f}", "1.0")
        made["what the floor builds, by the models alone"] = self.cells(self.alone)
        made["aging, DSO and days beyond terms in pandas"] = self.cells(self.pandas)
        return made

    def cells(self, stage: Stage) -> tuple[str, ...]:
        return *cells(stage), f"{stage.cpu / self.floor.cpu:.1f}"


def cells(stage: Stage) -> tuple[str, str, str]:
    return f"{stage.seconds:.1f}", f"{stage.cpu:.1f}", f"{stage.main / 1e6:,.0f}"


def ratio(stage: Stage, other: Stage) -> tuple[str, str, str]:
    return (
        f"**{stage.seconds / other.seconds:.1f}**",
        f"**{stage.cpu / other.cpu:.1f}**",
        f"**{max(stage.main, stage.child) / other.main:.1f}**",
    )


def begun(home: Path, files: Path) -> dict[str, str]:
    """The environment of nights on invented files in a new home. Policy binds there as if there had been a morning long ago: it does from
    the first one landed, and the floor knows no other."""
    from dagster_project.contract import DATASETS
    from dagster_project.landing import Landing

    Landing(home / "landing", home / "quarantine").land(DATASETS["disputes"], None, date(2000, 1, 1))
    return {name: value for name, value in os.environ.items() if not name.startswith(("ARREARS_", "DAGSTER_"))} | {
        "DO_NOT_TRACK": "1",
        "ARREARS_HOME": str(home),
        "ARREARS_SOURCE": "files",
        "ARREARS_BUREAU": "files",
        "ARREARS_FILES_DIR": str(files),
        "ARREARS_REPORTING_CURRENCY": "EUR",
    }


def measure(size: int, customers: int, scratch: Path, memory_limit: str) -> Measured:
    """One size, `customers` of 0 for the usual number: the book, the night, what stands beside it, the ties; says what it finds."""
    import ledgers

    began = time.monotonic()
    files, home, floor_file, answers = scratch / "files", scratch / "home", scratch / "floor.duckdb", scratch / "pandas"
    counts = ledgers.write(files, size, AS_OF, memory_limit, customers)
    records = sum(counts.values())
    book = sum(path.stat().st_size for path in files.glob("*.parquet")) / 1e6
    print(
        f"\n{size:,} invoices: {records:,} records, {counts['allocations']:,} allocations, {counts['customers']:,} customers, "
        f"{book:,.0f} MB of Parquet, made in {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}\n",
        flush=True,
    )
    environment = begun(home, files)

    def aside(script: str, *arguments: object) -> Stage:
        """A script beside this one, in a process of its own."""
        command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
        return watched(command, environment).stages[0]

    def floor() -> Stage:
        floor_file.unlink(missing_ok=True)
        return aside("floor.py", files, floor_file, AS_OF, memory_limit)

    before = floor()
    night = watched([sys.executable, "-m", "dagster_project", "run", "--date", AS_OF.isoformat()], environment)
    after = floor()
    answers.mkdir()
    in_pandas = aside("by_pandas.py", files, answers, AS_OF)
    alone = aside("models.py", home, scratch / "alone", AS_OF, memory_limit, *floor_marts(floor_file))
    marts = home / "published" / "arrears.duckdb"
    views = (f"create view other.main.{path.stem} as from '{path}';" for path in answers.glob("*.parquet"))
    untied = [
        *differences(marts, f"attach '{floor_file}' as other (read_only)", TIES),
        *differences(marts, f"attach ':memory:' as other; {' '.join(views)}", PANDAS),
    ]
    measured = Measured(
        f"{size:,} invoices" + (f", {customers:,} customers" if customers else ""),
        night.stages,
        [before, after],
        alone,
        in_pandas,
        untied,
    )
    for name, line in measured.rows().items():
        print(f"  {name:<44}{''.join(cell.rjust(14) for cell in line)}")
    print(f"  {'children of the night at their highest, MB':<44}{measured.whole.child / 1e6:>42,.0f}")
    print(f"  {records / measured.whole.seconds:,.0f} records a second")
    print(
        *(f"  does not tie: {line}" for line in untied) if untied else [f"  {len(TIES)} and {len(PANDAS)} totals tie"], sep="\n"
    )
    for line in night.said:
        if re.match(r"  (staging|seed|intermediate|marts|test) .* nodes: ", line):
            print(f"  {line}", flush=True)
    return measured


def floor_marts(floor_file: Path) -> list[str]:
    """The marts that the floor has a table of."""
    import duckdb

    with duckdb.connect(str(floor_file), read_only=True) as con:
        return [name for (name,) in con.execute("select table_name from duckdb_tables() order by 1").fetchall()]


def table(books: Sequence[Measured]) -> str:
    """README's table: a line for each thing measured, four columns for each book."""
    lines = [
        f"| stage | {' | '.join(f'{book.name}: s | CPU s | MB | / floor' for book in books)} |",
        f"|---|{'---:|' * 4 * len(books)}",
    ]
    rows = [book.rows() for book in books]
    lines += [f"| {name[0].lower()}{name[1:]} | {' | '.join(cell for row in rows for cell in row[name])} |" for name in rows[0]]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes",
        default="100000,1000000,1000000:200000",
        help="numbers of invoices, each perhaps :customers, with commas between them",
    )
    parser.add_argument("--memory-limit", default="1500MB", help="what DuckDB may use for the book and for the floor")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}; a first night as of {AS_OF}, from Parquet files")
    books = []
    for size in options.sizes.split(","):
        invoices, _, customers = size.partition(":")
        scratch = Path(tempfile.mkdtemp(prefix="arrears-volumes-"))
        try:
            books.append(measure(int(invoices), int(customers or 0), scratch, options.memory_limit))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    print(f"\n{table(books)}")
    if untied := [f"{book.name}: {line}" for book in books for line in book.untied]:
        sys.exit("\nwhat does not tie:\n" + "\n".join(untied))


if __name__ == "__main__":
    main()
