"""The morning's folder of worklists: written aside, remembered, swapped into place — or the note that says why there is none.

Belongs here: what happens around an export, and in which order. Does not belong here: what the files look like (`outgoing/`), who
may be dunned (the marts).
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from dagster_project.contract import ISSUED_CUSTOMERS, ISSUED_FORECASTS, ISSUED_STEPS, Dataset
from dagster_project.landing import Landing
from dagster_project.outgoing import Manifest, export, recover, swap_into_place, write_no_worklist
from dagster_project.outgoing.letters.letterhead import Letterheads
from dagster_project.sources import Delivery, page_schema


class OvertakenError(Exception):
    """A morning was built before an earlier one went out. The message says which, and what to do."""


LONGEST_WAIT = 600  # seconds for another run's delivery to end


def deliver(
    root: Path,
    landing: Landing,
    marts: Mapping[str, pa.Table],
    *,
    as_of: date,
    policy: str,
    run: Mapping[str, str],
    rejected: Mapping[str, int],
    payment_link: str = "",
    warnings: Sequence[str] = (),
    key: bytes,
    knew: Collection[str] | None = None,
    sends_itself: bool = False,
    letterhead: Letterheads | None = None,
    pages: Mapping[str, str] | None = None,
) -> Manifest:
    """Write the worklists of a morning under `root` and remember the steps they issue and whom they are about. `key` seals their rows;
    `knew`: the loads of issued steps that the marts were built on, where that is known. The others are
    `export`'s.

    The steps are remembered before the list is seen: a kill in between costs a reminder, which the next run of the morning
    brings back; the other way round it would be sent twice.

    Raises:
        OvertakenError: an earlier morning, or this one on another machine, issued steps while this one was being built on what was issued
            before.
    """
    with _alone(root, as_of) as aside:
        _refuse_overtaken(landing, as_of, knew)
        manifest = export(
            aside,
            marts,
            as_of=as_of,
            policy=policy,
            run=run,
            rejected=rejected,
            payment_link=payment_link,
            warnings=warnings,
            key=key,
            sends_itself=sends_itself,
            letterhead=letterhead,
            pages=pages or {},
        )
        _remember(landing, marts, as_of, policy)
        swap_into_place(aside, root / as_of.isoformat())
    return manifest


def hold_back(root: Path, *, as_of: date, reasons: Sequence[str], look_at: Sequence[str] = ()) -> Path | None:
    """Leave the note that there is no worklist; None where the morning already has a good one, which stays."""
    target = root / as_of.isoformat()
    with _alone(root, as_of) as aside:
        if has_list(target):
            return None
        previous = last_list(root, before=as_of)
        note = write_no_worklist(aside, as_of=as_of, reasons=reasons, look_at=look_at, previous=previous)
        swap_into_place(aside, target)
    return target / note.name


def has_list(folder: Path) -> bool:
    """Whether a morning's folder has its worklist, and not the note that there is none."""
    return (folder / "manifest.json").exists()


def last_list(root: Path, before: date) -> date | None:
    """The newest earlier morning that has its worklist."""
    earlier = [date.fromisoformat(path.name) for path in root.glob("????-??-??") if has_list(path)]
    return max((day for day in earlier if day < before), default=None)


def _refuse_overtaken(landing: Landing, as_of: date, knew: Collection[str] | None) -> None:
    landing.refresh()
    if knew is None or landing.later(ISSUED_STEPS, as_of):  # a replay issues nothing
        return
    for load in landing.loads(ISSUED_STEPS, as_of):
        overtook = load.as_of < as_of or landing.came_from_elsewhere(load)
        if overtook and load.load_id not in knew and load.manifest.landed:
            raise OvertakenError(
                f"the list of {load.as_of} went out while the morning of {as_of} was being built, which does not know what it asked for, "
                f"and would ask again. Nothing of it went out; build it on what is known now: make run DATE={as_of}"
            )


@contextmanager
def _alone(root: Path, as_of: date) -> Iterator[Path]:
    """A name for a new folder beside the morning's, while no other run delivers; what a killed run left is cleared away."""
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".lock", timeout=LONGEST_WAIT):
        recover(root / as_of.isoformat())
        aside = root / f".{as_of}.new"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _remember(landing: Landing, marts: Mapping[str, pa.Table], as_of: date, policy: str) -> None:
    """Land whom this morning is about, the steps that go out and the cash it forecasts, unless a later morning has issued steps: then this
    is a replay."""
    if landing.later(ISSUED_STEPS, as_of):
        return
    owed = _owed(marts)
    given = {name: owed[name] for name in ("customer_id", "currency", "collector", "owed")}
    _land(landing, ISSUED_CUSTOMERS, given, as_of, policy)
    if forecast := marts.get("cash_forecast_weekly"):
        said = ("week_start", "week", "scope", "currency", "expected", "not_billed", "p20", "p80", "naive")
        company = pc.fill_null(forecast["company_id"], "*")
        _land(landing, ISSUED_FORECASTS, {name: forecast[name] for name in said} | {"company_id": company}, as_of, policy)
    items = marts["dunning_items"]
    acted = items.filter(pc.is_null(items["held_reason"]))
    names = ("item_id", "step", "customer_id", "invoice_id", "open_amount", "currency")
    _land(landing, ISSUED_STEPS, {name: acted[name] for name in names}, as_of, policy, alone=True)


def _owed(marts: Mapping[str, pa.Table]) -> pa.Table:
    """What each customer on the call list owes in each currency: all documents that are open, due or not, before any credit."""
    book = marts.get("open_items", marts["dunning_items"]).select(["customer_id", "currency", "open_amount"])
    book = (
        book.filter(pc.greater(book["open_amount"], 0)).group_by(["customer_id", "currency"]).aggregate([("open_amount", "sum")])
    )
    who = marts["dunning_worklist"].select(["customer_id", "collector"])
    listed = book.rename_columns({"open_amount_sum": "owed"}).join(who, "customer_id", join_type="inner")
    return listed.sort_by([("customer_id", "ascending"), ("currency", "ascending")])


def _land(
    landing: Landing, dataset: Dataset, given: Mapping[str, pa.ChunkedArray], as_of: date, policy: str, *, alone: bool = False
) -> None:
    count = len(next(iter(given.values())))
    columns = {name: pc.cast(values, pa.string()) for name, values in given.items()}
    columns["worklist_date"] = columns["made_on"] = pa.array([as_of.isoformat()] * count, pa.string())
    columns["policy"] = pa.array([policy] * count, pa.string())
    schema = page_schema(dataset)
    page = pa.table([columns.get(name, pa.nulls(count, pa.string())) for name in schema.names], schema=schema)
    landing.land(dataset, Delivery(pages=iter([page]), full=False, origin="worklists"), as_of, alone=alone)
