"""What a night costs after 1,100 nights, beside one over the same ledger that was loaded at once.

    .venv/bin/python tests/benchmarks/many_nights.py [--nights 1100] [--home FOLDER]

Two homes know the same invented ledger to the row: one from as many nightly loads of every dataset, put together as nights do it; the
other from a single load. Then both live through the same nights, each a process of its own, as nights are: landing a day's news, the check
of what is landed, and the whole build. What depends on the number of nights behind is the difference.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dagster_project.contract import DATASETS, LANDED  # noqa: E402
from dagster_project.landing import Landing  # noqa: E402
from dagster_project.sources import Delivery, page_schema  # noqa: E402
from tests import compiled  # noqa: E402

LAST = date(2026, 6, 30)
CUSTOMERS, A_DAY = 200, 10
AFTER_LOADS = 7
MEASURED = 5
WITHIN = 0.10

News = Mapping[str, list[dict[str, str]]]


def news(as_of: date, first: bool = False) -> News:
    """What a day brings: invoices, the payments of what fell due, their allocations. On the first, the customers as well."""
    chance = Random(f"news of {as_of}")
    invoices, payments, allocations = [], [], []
    for place in range(A_DAY):
        number, amount = f"{as_of:%Y%m%d}-{place}", f"{chance.randrange(50, 5_000)}.{chance.randrange(100):02}"
        customer = f"C{chance.randrange(CUSTOMERS):04}"
        invoices.append(
            {"invoice_id": f"I{number}", "invoice_number": f"I{number}", "customer_id": customer, "document_type": "invoice"}
            | {"invoice_date": str(as_of), "due_date": str(as_of + timedelta(days=30)), "currency": "EUR", "amount": amount}
        )
        if chance.random() < 0.9:
            payments.append(
                {
                    "payment_id": f"P{number}",
                    "customer_id": customer,
                    "payment_date": str(as_of),
                    "currency": "EUR",
                    "amount": amount,
                }
            )
            allocations.append(
                {"allocation_id": f"A{number}", "invoice_id": f"I{number}", "source_type": "payment", "source_id": f"P{number}"}
                | {"allocated_on": str(as_of), "amount": amount}
            )
    book = {"invoices": invoices, "payments": payments, "allocations": allocations}
    if first:
        book["customers"] = [{"customer_id": f"C{n:04}", "name": f"Customer {n}", "country": "DE"} for n in range(CUSTOMERS)]
    return book


def land(landing: Landing, book: News, as_of: date) -> None:
    """A night's loads: of every dataset of the sources one, as a night makes it."""
    for name, dataset in DATASETS.items():
        rows = book.get(name, [])
        if not rows and not dataset.required:
            landing.land(dataset, None, as_of)
            continue
        pages = iter([pa.Table.from_pylist(rows, page_schema(dataset))] if rows else [])
        landing.land(dataset, Delivery(pages, full=False, origin="invented"), as_of)


def put_together(landing: Landing) -> None:
    for dataset in LANDED.values():
        landing.compact(dataset, after=AFTER_LOADS)


def a_day_passes(landing: Landing) -> None:
    """Packs are a day old, so that what was put into them is cleared away as it would be."""
    for path in landing.folder.glob("*/pack-*/pack.json"):
        yesterday = path.stat().st_mtime - 25 * 3_600
        os.utime(path, (yesterday, yesterday))


def days(nights: int) -> Sequence[date]:
    return [LAST - timedelta(days=number) for number in range(nights)][::-1]


def night_by_night(landing: Landing, nights: int) -> None:
    began = time.monotonic()
    for number, as_of in enumerate(days(nights)):
        land(landing, news(as_of, first=number == 0), as_of)
        put_together(landing)
        a_day_passes(landing)
        if (number + 1) % 100 == 0:
            print(f"  {number + 1:,} nights  {time.monotonic() - began:,.0f} s", flush=True)


def at_once(landing: Landing, nights: int) -> None:
    whole: dict[str, list[dict[str, str]]] = {}
    for number, as_of in enumerate(days(nights)):
        for name, rows in news(as_of, first=number == 0).items():
            whole.setdefault(name, []).extend(rows)
    land(landing, whole, LAST)


def home(folder: Path) -> Landing:
    return Landing(folder / "landing", folder / "quarantine")


def night(folder: Path, as_of: date) -> dict[str, float]:
    """Seconds of CPU by stage, of a home in that folder."""
    nodes, landing = compiled.compiled(), home(folder)
    spent, stages = time.process_time(), {}

    def stage(name: str) -> None:
        nonlocal spent
        stages[name] = time.process_time() - spent
        spent += stages[name]

    land(landing, news(as_of), as_of)
    stage("landing")
    landing.sound(as_of)
    stage("checking")
    compiled.build(nodes, landing, as_of, folder / f"built-{as_of}", test=False).con.close()
    stage("building")
    put_together(landing)
    stage("putting together")
    return stages


def told(nights: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(nights)
    stages = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    return {**stages, "the night": statistics.median(sum(row.values()) for row in rows)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=1_100)
    parser.add_argument("--home", type=Path, help="where the homes are made; a temporary folder where left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.home or Path(temporary)
        print(f"{options.nights:,} nights of {len(DATASETS)} datasets", flush=True)
        night_by_night(home(root / "many"), options.nights)
        at_once(home(root / "once"), options.nights)
        compiled.compiled()  # which is kept, for whoever comes first
        seconds: dict[str, list[dict[str, float]]] = {"once": [], "many": []}
        for number in range(MEASURED):
            for name, spent in seconds.items():
                with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                    spent.append(alone.submit(night, root / name, LAST + timedelta(days=number + 1)).result())
        before, after = told(seconds["once"]), told(seconds["many"])
        files = len(list((root / "many").rglob("*.parquet")))
        print(f"\n{files} files of rows; CPU seconds, median of {MEASURED} nights\n")
        print("| stage | loaded at once | after the nights | ratio |\n|---|---:|---:|---:|")
        for stage, spent in before.items():
            print(f"| {stage} | {spent:.2f} | {after[stage]:.2f} | {after[stage] / max(spent, 0.01):.2f} |")
        ratio = after["the night"] / before["the night"]
        print(f"\n{'flat' if ratio <= 1 + WITHIN else 'NOT flat'}: {ratio:.3f} of the night over the same ledger loaded at once")
        return 0 if ratio <= 1 + WITHIN else 1


if __name__ == "__main__":
    raise SystemExit(main())
