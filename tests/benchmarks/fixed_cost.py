"""What a night costs before there is any data to speak of: the demo's book, with everything set up.

Run by hand (`make bench`). Prints the parts of a night and its ratio to a bare `dbt build` of the same project over the same landed
rows, both as processes of their own, in turn. Figures are of this machine on this day; the ratio is what to compare.
"""

from __future__ import annotations

import argparse
import compileall
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STAGE = re.compile(r"^(\S.*\S)  \((\d+\.\d) s\)$", re.MULTILINE)


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Wall and CPU seconds (children included) of a command, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, done.stdout


def bare_build(warehouse: Path, as_of: date, environment: dict[str, str]) -> tuple[float, float]:
    """A plain `dbt build` in a copy of the folder that the night prepared: the same sources, nothing built yet."""
    from dagster_project import dbt_build, morning, settings
    from dagster_project.landing import Landing
    from dagster_project.warehouse import Warehouse

    chosen = settings.Settings(home=Path(environment["ARREARS_HOME"]))
    folder = Warehouse(warehouse)
    folder.create()
    morning.prepare(folder, Landing(chosen.landing, chosen.quarantine), as_of, "then")
    folder.release()
    arguments = dbt_build.build_args(dbt_build.vars_of(as_of, chosen.policy, chosen.reporting_currency), dbt_build.TARGET)
    dbt = str(Path(sys.executable).with_name("dbt"))
    wall, cpu, _ = timed([dbt, *arguments], {**environment, "ARREARS_WAREHOUSE": str(warehouse)})
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="counted nights, after one that warms up")
    runs = parser.parse_args().runs
    sys.path.insert(0, str(ROOT))
    compileall.compile_dir(ROOT / "dagster_project", quiet=1)  # as `make setup` left it, before somebody changed something
    as_of = date.today()
    home = Path(tempfile.mkdtemp(prefix="arrears-bench-"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ARREARS_")} | {"DO_NOT_TRACK": "1"}
    nights, builds, stages = [], [], []
    try:
        for number in range(runs + 1):
            fresh = {**environment, "ARREARS_HOME": str(home / str(number))}
            wall, cpu, said = timed([sys.executable, "-m", "dagster_project", "run", "--date", as_of.isoformat()], fresh)
            build_wall, build_cpu = bare_build(home / f"bare-{number}", as_of, fresh)
            if number == 0:
                continue
            nights.append((wall, cpu))
            builds.append((build_wall, build_cpu))
            stages.append([(name, float(second)) for name, second in STAGE.findall(said)])
            print(
                f"night {wall:5.1f} s wall {cpu:5.1f} s CPU   bare dbt build {build_wall:5.1f} s wall {build_cpu:5.1f} s CPU",
                flush=True,
            )
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(f"\n{os.cpu_count()} cores, Python {sys.version.split()[0]}, median of {runs}, a home of its own each\n")
    ends = [row[1:] for row in stages]
    print(f"  {'until landing starts':<24} {statistics.median(row[0][1] for row in stages):6.1f} s")
    for position, (name, _) in enumerate(stages[0]):
        spans = [
            (ends[n][position][1] if position < len(row) - 1 else nights[n][0]) - row[position][1] for n, row in enumerate(stages)
        ]
        print(f"  {name:<24} {statistics.median(spans):6.1f} s")
    wall, cpu = (statistics.median(row[i] for row in nights) for i in (0, 1))
    ratio = statistics.median(n[0] / b[0] for n, b in zip(nights, builds, strict=True))
    ratio_cpu = statistics.median(n[1] / b[1] for n, b in zip(nights, builds, strict=True))
    print(f"  {'the whole night':<24} {wall:6.1f} s   {cpu:.1f} s CPU, the demo's servers and the expectations included")
    print(f"\n  night / bare dbt build   {ratio:6.2f} wall   {ratio_cpu:.2f} CPU")


if __name__ == "__main__":
    main()
