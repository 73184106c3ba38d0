"""A morning is what was known that morning: nothing that is learned later, and nothing about the machine, changes a byte of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from random import Random

import duckdb
import pytest

from dagster_project import outgoing, warehouse
from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, rows_select
from dagster_project.sources.files import FilesSource
from tests import compiled

from . import books
from .books import Book, Setting
from .proof import write_files

MORNING = date(2024, 2, 29)
SETTING = Setting("a morning that is asked for again", MORNING, "own", "EUR")
LATER_LOADS = 30


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that knows a hostile group of companies on one morning and nothing since."""
    folder = tmp_path_factory.mktemp("replay")
    drawn = books.generate(SETTING, 12)
    prefixed = [books.prefixed(book, f"b{place:03}-", SETTING) for place, (book, _) in enumerate(drawn)]
    whole = books.merged([{"exchange_rates": books.rates(SETTING)}, *prefixed])
    whole["promises"] = [
        {"promise_id": f"p-{place}", "customer_id": document["customer_id"], "made_on": MORNING - timedelta(days=place % 9)}
        | {"promised_date": MORNING + timedelta(days=place % 7 - 3), "amount": document["amount"] + 1}
        for place, document in enumerate(whole["invoices"][::3])
    ]
    land(Landing(folder / "landing", folder / "quarantine"), whole, MORNING, folder)
    return folder


def land(landing: Landing, book: Book, as_of: date, scratch: Path, only: str | None = None) -> None:
    delivery = scratch / "delivery"
    shutil.rmtree(delivery, ignore_errors=True)
    write_files(book, delivery)
    source = FilesSource(delivery)
    for dataset in DATASETS.values():
        if only in (None, dataset.name):
            landing.land(dataset, source.fetch(dataset, None), as_of)


def copy_of(store: Path, to: Path) -> Landing:
    shutil.copytree(store, to)
    return Landing(to / "landing", to / "quarantine")


def outputs(landing: Landing, folder: Path, timezone: str = "UTC", *, test: bool = False) -> Mapping[str, str]:
    """The checksum of every file the morning puts out."""
    built = compiled.build(compiled.compiled(), landing, MORNING, folder, timezone=timezone, test=test)
    built.con.close()
    warehouse.publish(folder / "marts.duckdb", folder / "published", MORNING, {"run_id": "the same"})
    marts = warehouse.read(folder / "parquet", outgoing.MARTS)
    outgoing.export(folder / "worklists", marts, as_of=MORNING, policy="net_terms", run={})
    files = [*(folder / "parquet").iterdir(), *(path for path in (folder / "worklists").rglob("*") if path.is_file())]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def that_morning(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    folder = tmp_path_factory.mktemp("that-morning")
    return outputs(copy_of(store, folder / "store"), folder / "built", test=True)


def test_thirty_later_loads_change_nothing_of_what_was_known_then(
    store: Path, that_morning: Mapping[str, str], tmp_path: Path
) -> None:
    landing = copy_of(store, tmp_path / "store")
    chance = Random("later")
    known = read_back(landing)
    for day in range(1, LATER_LOADS + 1):
        dataset = ("invoices", "payments", "allocations")[day % 3]
        known[dataset] = changed(known[dataset], dataset, chance)
        land(landing, known, MORNING + timedelta(days=day), tmp_path, only=dataset)

    assert len({load.as_of for dataset in DATASETS.values() for load in landing.loads(dataset)}) == LATER_LOADS + 1
    assert sum(landing.compact(dataset) for dataset in DATASETS.values()) > LATER_LOADS, (
        "some of a morning's rows lie among later ones"
    )
    assert outputs(landing, tmp_path / "again") == that_morning
    now = compiled.build(compiled.compiled(), landing, MORNING, known="now", test=False)
    assert changed_documents(tmp_path / "again" / "marts.duckdb", now.con) > 10


def read_back(landing: Landing) -> Book:
    con = duckdb.connect()
    rows = {}
    for dataset in DATASETS.values():
        columns = ", ".join(dataset.column_names)
        known = con.sql(f"select {columns} from ({rows_select(dataset, con, landing.loads(dataset))})").to_arrow_table()
        if known.num_rows:
            rows[dataset.name] = known.to_pylist()
    return rows


def changed(records: list[dict], dataset: str, chance: Random) -> list[dict]:
    """What a source says of a ledger some days later: corrections, back-dated entries, records taken back."""
    dated = {"invoices": "invoice_date", "payments": "payment_date", "allocations": "allocated_on"}[dataset]
    kept = []
    for record in records:
        fate = chance.randrange(12)
        if fate == 0:
            kept.append({**record, "amount": record["amount"] + 1})
        elif fate == 1:
            kept.append({**record, dated: record[dated] - timedelta(days=chance.randrange(60))})
        elif fate != 2 or dataset != "allocations":  # a document that is gone would orphan what points at it
            kept.append(record)
    new = chance.choice(records)
    return [*kept, {**new, f"{dataset[:-1]}_id": f"{new[f'{dataset[:-1]}_id']}+{chance.randrange(10**9)}"}]


def changed_documents(then: Path, now: duckdb.DuckDBPyConnection) -> int:
    now.execute(f"attach '{then}' as before (read_only)")
    count = "select count(*) from (select * from published.marts.open_items except select * from before.marts.open_items)"
    return int(now.execute(count).fetchone()[0])


@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_where_the_machine_stands_changes_nothing(
    store: Path, that_morning: Mapping[str, str], tmp_path: Path, timezone: str
) -> None:
    assert outputs(copy_of(store, tmp_path / "store"), tmp_path / "built", timezone=timezone) == that_morning


def test_loading_in_another_order_changes_nothing(store: Path, that_morning: Mapping[str, str], tmp_path: Path) -> None:
    landing = Landing(tmp_path / "landing", tmp_path / "quarantine")
    known = read_back(Landing(store / "landing", store / "quarantine"))
    chance = Random("shuffled")
    for records in known.values():
        chance.shuffle(records)
    names = list(DATASETS)
    chance.shuffle(names)
    for name in names:
        land(landing, known, MORNING, tmp_path, only=name)

    assert outputs(landing, tmp_path / "built") == that_morning
