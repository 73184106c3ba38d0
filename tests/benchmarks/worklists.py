"""What a long morning's list costs to write: 50,000 customers on the call list with three items each, and 30,000 items held.

Run by hand: `python tests/benchmarks/worklists.py`. The export runs in a process of its own, from Parquet as a night does, and so does
the baseline: xlsxwriter writing the call list's cells, nothing else, cell by cell. Figures are of this machine on this day; the ratio
of the CPU seconds, children counted, is what to compare. Memory is each process's at its highest, imports included.

Two slow cores, Python 3.11, pyarrow 26: 50,000 customers (230,000 rows on the lists) 13.9 s and 20.4 CPU s, 339 MB, of which 104 are
there before, and 299 in the process that writes the workbooks; 12,500 customers (57,500 rows) 6.3 s and 10.9 CPU s, 227 and 189 MB. The
baseline's 18.8 CPU s and 435 MB write one sheet of the first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

MEASURED = """
import json, resource, sys, time
from datetime import date
from pathlib import Path
folder = Path(sys.argv[1])
{imports}
def used():
    return resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
def seconds(uses):
    return sum(use.ru_utime + use.ru_stime for use in uses)
began, before = time.monotonic(), used()
{work}
wall, after = time.monotonic() - began, used()
print(json.dumps(dict(wall=wall, cpu=seconds(after) - seconds(before), idle=before[0].ru_maxrss / 1024,
                      mb=after[0].ru_maxrss / 1024, child=after[1].ru_maxrss / 1024)))
"""

INVENTED = (
    "sys.path[:0] = ['.', 'tests/unit']\nimport pyarrow.parquet as pq\nfrom test_worklists import marts",
    "count = int(sys.argv[2])\n"
    "for name, table in marts(customers=count, held=count * 3 // 5).items():\n"
    "    pq.write_table(table, folder / f'{name}.parquet')",
)
"""In a process of its own as well: a process counts as its own highest use what its parent had used."""

EXPORT = (
    "from dagster_project.warehouse import read\nfrom dagster_project.outgoing import MARTS, export",
    "export(folder / 'out', read(folder, MARTS), as_of=date(2026, 11, 20), policy='net_terms', run={})",
)
BASELINE = (
    "import pyarrow.parquet as pq\nimport xlsxwriter",
    "rows = pq.read_table(folder / 'dunning_worklist.parquet')\n"
    "with xlsxwriter.Workbook(folder / 'bare.xlsx', {'constant_memory': True}) as book:\n"
    "    sheet = book.add_worksheet()\n"
    "    for number, row in enumerate(rows.to_pylist()):\n"
    "        sheet.write_row(number, 0, [None if cell is None else str(cell) for cell in row.values()])",
)


def measured(imports: str, work: str, folder: Path, *more: object) -> dict[str, float]:
    script = MEASURED.format(imports=imports, work=work)
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), *map(str, more)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=50_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        measured(*INVENTED, folder, options.customers)
        bare, whole = measured(*BASELINE, folder), measured(*EXPORT, folder)
        size = sum(path.stat().st_size for path in (folder / "out").rglob("*")) / 1e6
    print(f"{'':12}{'s':>8}{'CPU s':>8}{'MB':>8}{'MB before':>12}{'child MB':>10}")
    for name, cost in (("baseline", bare), ("the export", whole)):
        print(f"{name:12}{cost['wall']:8.1f}{cost['cpu']:8.1f}{cost['mb']:8.0f}{cost['idle']:12.0f}{cost['child']:10.0f}")
    print(
        f"\n{options.customers:,} customers, {size:,.0f} MB written; {whole['cpu'] / bare['cpu']:.2f} times the CPU of the baseline"
    )


if __name__ == "__main__":
    main()
