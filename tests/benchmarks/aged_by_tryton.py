"""Tryton's own aged balance beside ours, on the same documents: what each costs, and whether every customer's balance is the same.

Run by hand (`make bench`) on Linux, beside a running, seeded server on this machine: `ARREARS_TRYTON_LAB` names its folder, as the live
tests have it (`seeded.json`, `trytond.conf`, `server.pid`). Without it this says so and measures nothing. Tryton is asked for today and for
the 24 month ends before it, over HTTP; its CPU seconds and memory are the server's. Ours are pulling the same ledger over HTTP, landing it,
and the models of `aging_history` alone, which holds those 25 dates.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from volumes import Stage, cells, ratio, usage  # noqa: E402

from dagster_project.contract import DATASETS  # noqa: E402
from dagster_project.landing import Landing  # noqa: E402
from dagster_project.sources.tryton import TrytonSource  # noqa: E402
from tests.compiled import build, compiled, needed_for  # noqa: E402


class Meter:
    """Seconds, CPU seconds and resident bytes of a process while a `with` lasts."""

    def __init__(self, name: str, pid: int):
        self.stage, self.pid = Stage(name), pid

    def __enter__(self) -> Stage:
        self.began, self.before = time.monotonic(), usage(self.pid)[self.pid][0]
        return self.stage

    def __exit__(self, *_: object) -> None:
        cpu, memory = usage(self.pid)[self.pid]
        self.stage.seconds, self.stage.cpu, self.stage.main = time.monotonic() - self.began, cpu - self.before, memory


def main(lab: Path) -> None:
    seeded = json.loads((lab / "seeded.json").read_text("utf-8"))
    port = re.search(r"listen\s*=\s*\S*?:(\d+)", (lab / "trytond.conf").read_text("utf-8"))
    assert port
    today, server = date.fromisoformat(seeded["as_of"]), int((lab / "server.pid").read_text("utf-8"))
    source = TrytonSource(f"http://127.0.0.1:{port[1]}/{seeded['db']}", seeded["key"])
    nodes = needed_for(compiled("net_terms", ""), "aging_history", "int_items_snapshot")

    with tempfile.TemporaryDirectory() as scratch:
        landing = Landing(Path(scratch) / "landing", Path(scratch) / "quarantine")
        with Meter("pulling and landing", os.getpid()) as landed:
            for dataset in DATASETS.values():
                landing.land(dataset, source.fetch(dataset, None), today)
        with Meter("aging of 25 dates by the models alone", os.getpid()) as ours:
            built = build(nodes, landing, today, Path(scratch) / "marts", test=False, source="tryton")
        rows = built.con.execute(
            "select snapshot_date, customer_id, sum(open_amount_base) from arrears.intermediate.int_items_snapshot group by all"
        ).fetchall()
        built.con.close()
    balances: dict[date, dict[str, Decimal]] = defaultdict(dict)
    for day, customer, balance in rows:
        balances[day][customer] = Decimal(balance)

    def asked(day: date) -> dict[str, Decimal]:
        return {said.customer_id: said.balance for said in source.aged(day) if said.balance}

    with Meter("Tryton's aged balance of today", server) as one:
        asked(today)
    with Meter(f"Tryton's aged balance of {len(balances)} dates", server) as all_dates:
        theirs = {day: asked(day) for day in balances}

    # Tryton rounds each foreign document and payment to the company's currency by itself, we what is open of it.
    own, foreign = source.company["currency"]["code"], defaultdict(list)
    for line in source.lines:
        if line.currency != own:
            foreign[str(line.party)].append(line.on)
    differ = [
        f"{day} customer {customer}: we say {balances[day].get(customer)}, Tryton {theirs[day].get(customer)}"
        for day in sorted(balances)
        for customer in sorted(balances[day].keys() | theirs[day].keys())
        if abs(balances[day].get(customer, Decimal(0)) - theirs[day].get(customer, Decimal(0)))
        > Decimal("0.01") * sum(on <= day for on in foreign[customer])
    ]
    print(f"\n{len(source.documents):,} documents, {len(source.lines):,} lines, {len(theirs[today])} customers in Tryton\n")
    print("| beside Tryton | s | CPU s | MB |\n|---|---:|---:|---:|")
    for stage in (landed, ours, one, all_dates):
        print(f"| {stage.name} | {' | '.join(cells(stage))} |")
    print(f"| ours, pulled and landed / Tryton's | {' | '.join(ratio(together(landed, ours), all_dates))} |")
    print(f"| ours alone / Tryton's | {' | '.join(ratio(ours, all_dates))} |")
    if differ:
        sys.exit("what does not tie:\n" + "\n".join(differ))
    print(f"\n  the balance of every customer on {len(balances)} dates ties")


def together(*stages: Stage) -> Stage:
    return Stage(
        "", sum(stage.seconds for stage in stages), sum(stage.cpu for stage in stages), max(stage.main for stage in stages)
    )


if __name__ == "__main__":
    if folder := os.environ.get("ARREARS_TRYTON_LAB"):
        main(Path(folder))
    else:
        print("\nTryton's aged balance: not measured, ARREARS_TRYTON_LAB names no folder of a running, seeded server")
