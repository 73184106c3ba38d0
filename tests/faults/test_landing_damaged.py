"""What is landed is damaged behind the store's back: it is noticed, named with the way out, and nothing is built on it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project import duck
from dagster_project.contract import DATASETS, ISSUED_STEPS
from dagster_project.landing import DamagedError, Landing, Load, rows_select, store
from dagster_project.landing.loads import seal_of
from dagster_project.morning import prepare
from dagster_project.sources import Delivery, page_schema
from dagster_project.warehouse import Warehouse

MONDAY, TUESDAY, WEDNESDAY = date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4)
CUSTOMERS, INVOICES, PAYMENTS = DATASETS["customers"], DATASETS["invoices"], DATASETS["payments"]


def land(landing: Landing, as_of: date, *numbers: int, full: bool = False, name: str = "One", anew: bool = False) -> None:
    rows = [{"customer_id": f"C{number}", "name": name} for number in numbers]
    page = pa.Table.from_pylist(rows, page_schema(CUSTOMERS))
    landing.land(CUSTOMERS, Delivery(iter([page]), full=full, origin="test"), as_of, anew=anew)


def known(landing: Landing, as_of: date | None = None) -> dict[str, str]:
    """The names of the customers in the newest version of each."""
    con = duck.connect()
    rows = rows_select(CUSTOMERS, con, landing.loads(CUSTOMERS, as_of))
    newest = "qualify row_number() over (partition by customer_id order by _as_of desc, _loaded_at desc, _load_id desc) = 1"
    return dict(con.execute(f"select customer_id, name from ({rows}) {newest} order by 1").fetchall())


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three loads of customers, one a morning. Nobody writes here."""
    folder = tmp_path_factory.mktemp("three")
    for number, day in enumerate((MONDAY, TUESDAY, WEDNESDAY)):
        land(Landing(folder / "landing", folder / "quarantine"), day, number, number + 10)
    return folder / "landing"


@pytest.fixture
def three(landed: Path, landing: Landing) -> list[Load]:
    """The same three, to be damaged."""
    shutil.copytree(landed, landing.folder, dirs_exist_ok=True)
    return landing.loads(CUSTOMERS)


def rewritten(load: Load, change: Callable[[pa.Table], pa.Table]) -> None:
    assert load.rows
    pq.write_table(change(pq.read_table(load.rows)), load.rows)


def told(load: Load) -> dict[str, object]:
    return dict(json.loads((load.folder / "manifest.json").read_text("utf-8")))


def tell(load: Load, **other: object) -> None:
    (load.folder / "manifest.json").write_text(json.dumps({**told(load), **other}), "utf-8")


def resealed(load: Load) -> None:
    """Somebody who knows how manifests are sealed."""
    changed = {**told(load), "landed": 2, "received": 7}
    tell(load, **{**changed, "seal": seal_of(changed)})


def one_byte(load: Load) -> None:
    """Another byte where an amount or a name may stand, in a file of the same size and, as far as `touch` can, the same age."""
    assert load.rows
    stat, content = load.rows.stat(), bytearray(load.rows.read_bytes())
    content[len(content) // 2] ^= 1
    load.rows.write_bytes(content)
    os.utime(load.rows, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def copied(load: Load) -> None:
    shutil.copytree(load.folder, load.folder.with_name(f"{load.folder.name[:-6]}abcdef"))


DAMAGES = {
    "rows deleted": (lambda load: rewritten(load, lambda rows: rows.slice(1)), "rows.parquet"),
    "file deleted": (lambda load: load.rows.unlink(), "has lost its rows.parquet with 2 rows"),
    "file truncated": (lambda load: os.truncate(load.rows, 100), "has a rows.parquet of 100 bytes"),
    "file emptied": (lambda load: os.truncate(load.rows, 0), "has a rows.parquet of 0 bytes"),
    "a byte altered": (one_byte, "that are not the 2 that were landed"),
    "rows added": (lambda load: rewritten(load, lambda rows: pa.concat_tables([rows, rows])), "rows.parquet"),
    "manifest edited": (lambda load: tell(load, received=99), "has a manifest.json that was altered"),
    "manifest resealed": (resealed, "altered and sealed again"),
    "manifest of nothing": (lambda load: (load.folder / "manifest.json").write_text(""), "it holds no JSON"),
    "manifest gone": (lambda load: (load.folder / "manifest.json").unlink(), "cannot be read"),
    "load gone": (lambda load: shutil.rmtree(load.folder), "has lost load"),
    "load renamed": (lambda load: load.folder.rename(load.folder.with_name("elsewhere")), "has lost load"),
    "load copied": (copied, "was not landed here"),
}


@pytest.mark.parametrize("which", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_named_with_the_way_out_and_nothing_lands_on_it(
    damage: str, which: int, three: list[Load], landing: Landing
) -> None:
    assert landing.damages() == []
    do, said = DAMAGES[damage]
    do(three[which])

    with pytest.raises(DamagedError) as refused:
        land(landing, WEDNESDAY, 7)

    message = str(refused.value)
    assert message.startswith(f"customers: {landing.folder / 'customers'}")
    assert said in message
    assert "restore it from a backup, or ask the source for everything again: make run FULL=1 REFRESH=1" in message
    with pytest.raises(DamagedError):
        landing.sound(WEDNESDAY)
    landing.sound(WEDNESDAY, [INVOICES, PAYMENTS])


@pytest.mark.parametrize("which", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_delivery_of_everything_makes_up_for_it(damage: str, which: int, three: list[Load], landing: Landing) -> None:
    do, _ = DAMAGES[damage]
    do(three[which])

    everything = {f"C{number}": "Two" for number in (0, 1, 2, 10, 11, 12)}
    land(landing, WEDNESDAY, 0, 1, 2, 10, 11, 12, full=True, name="Two", anew=True)

    assert landing.damages(WEDNESDAY) == []
    assert known(landing, WEDNESDAY) == everything
    land(landing, WEDNESDAY, 0, name="Three")
    assert known(landing) == {**everything, "C0": "Three"}
    assert landing.damages(WEDNESDAY, whole=True) == []
    if which < 2 and damage != "load copied":
        with pytest.raises(DamagedError, match="is without loads that were given up"):
            landing.sound(three[which].as_of)


def test_what_only_changed_does_not_make_up_for_it(three: list[Load], landing: Landing) -> None:
    shutil.rmtree(three[1].folder)

    with pytest.raises(DamagedError):
        land(landing, WEDNESDAY, 1, anew=True)


def test_a_whole_dataset_that_is_gone_is_noticed(three: list[Load], landing: Landing) -> None:
    shutil.rmtree(landing.folder / "customers")

    (damage,) = landing.damages()
    assert f"has lost loads 1 to 3 of its chain (the last of them {three[2].load_id})" in str(damage)


def test_the_last_link_is_noticed_when_it_is_gone_or_altered(three: list[Load], landing: Landing) -> None:
    link = landing.folder / ".chain" / "customers.json"
    kept = link.read_text("utf-8")
    link.unlink()
    assert "customers.json is gone, which says which load was the last" in str(landing.damages()[0])
    link.write_text(kept.replace('"sequence":3', '"sequence":2'), "utf-8")
    assert "was altered since it was written" in str(landing.damages()[0])
    link.write_text(kept, "utf-8")
    assert landing.damages() == []


def test_a_restored_folder_is_as_good_as_it_was(three: list[Load], landing: Landing, tmp_path: Path) -> None:
    shutil.copytree(landing.folder, tmp_path / "backup")
    shutil.rmtree(three[1].folder)
    assert landing.damages()

    shutil.copytree(tmp_path / "backup" / "customers" / three[1].load_id, three[1].folder)

    assert landing.damages(whole=True) == []


def test_what_nobody_else_has_can_only_be_restored_or_done_without(landing: Landing) -> None:
    step = {"worklist_date": "2025-06-02", "item_id": "I1", "step": "S1", "customer_id": "C1", "policy": "p"}
    for number in range(3):
        page = pa.Table.from_pylist(
            [{**step, "item_id": f"I{number}", "open_amount": "1", "currency": "EUR"}], page_schema(ISSUED_STEPS)
        )
        landing.land(ISSUED_STEPS, Delivery(iter([page]), full=False, origin="worklists"), MONDAY)
    shutil.rmtree(landing.loads(ISSUED_STEPS)[1].folder)

    with pytest.raises(
        DamagedError, match=r"nobody else has it: restore it from a backup, or do without it: make verify ACCEPT=1"
    ):
        landing.sound()
    (given_up,) = landing.give_up(ISSUED_STEPS, accepted=True)

    assert "has lost load 2" in str(given_up)
    assert landing.damages() == []


def test_no_morning_is_prepared_from_damaged_loads(three: list[Load], landing: Landing, tmp_path: Path) -> None:
    for dataset in (INVOICES, PAYMENTS):
        landing.land(dataset, Delivery(iter([]), full=False, origin="test"), MONDAY)
    built = Warehouse(tmp_path / "warehouse" / "2025-06-04.test")
    built.create()
    one_byte(three[0])

    with pytest.raises(DamagedError, match="customers"):
        prepare(built, landing, WEDNESDAY, "then")

    assert not built.private.exists()


def test_a_byte_that_rots_where_no_time_tells_is_found_by_the_whole_check_and_within_a_week(
    three: list[Load], landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert landing.damages() == []
    seen = landing.folder / ".chain" / "customers.seen.json"
    one_byte(three[1])
    note = json.loads(seen.read_text("utf-8"))
    stat = three[1].rows.stat()  # type: ignore[union-attr]
    note["files"][f"customers/{three[1].load_id}/rows.parquet"] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    seen.write_text(json.dumps(note), "utf-8")

    assert landing.damages() == []
    assert len(landing.damages(whole=True)) == 1
    clock(monkeypatch, store._clock() + timedelta(days=7))
    assert len(landing.damages()) == 1


# --- homes from before there were seals ---------------------------------------------------------------------------------


@pytest.fixture
def old(three: list[Load], landing: Landing) -> list[Load]:
    """The same three loads as they were written before there were seals."""
    shutil.rmtree(landing.folder / ".chain")
    for load in three:
        kept = {
            name: value
            for name, value in told(load).items()
            if name not in ("bytes", "sequence", "previous", "previous_seal", "seal")
        }
        (load.folder / "manifest.json").write_text(json.dumps(kept), "utf-8")
    return landing.loads(CUSTOMERS)


def test_a_home_from_before_works_on_and_is_sealed_from_then_on(old: list[Load], landing: Landing) -> None:
    assert landing.damages() == []
    assert old[0].manifest.sequence == 0

    land(landing, WEDNESDAY, 3)

    newest = landing.loads(CUSTOMERS)[-1]
    assert (newest.manifest.sequence, newest.manifest.previous) == (4, old[-1].load_id)
    assert landing.damages(whole=True) == []
    for damage in ("load gone", "manifest edited", "a byte altered", "file truncated"):
        copy = Landing(landing.folder.with_name(damage), landing.quarantine)
        shutil.copytree(landing.folder, copy.folder)
        if damage == "file truncated":
            os.truncate(copy.loads(CUSTOMERS)[1].rows, 100)  # type: ignore[arg-type]
        else:
            DAMAGES[damage][0](copy.loads(CUSTOMERS)[1])
        assert copy.damages(), damage


def test_rows_that_were_altered_are_noticed_in_a_home_from_before_too(old: list[Load], landing: Landing) -> None:
    one_byte(old[1])

    assert "are not the 2 that were landed" in str(landing.damages()[0])


# --- kills and company ----------------------------------------------------------------------------------------------------


def test_a_kill_between_the_rename_and_the_last_link_harms_nothing(three: list[Load], landing: Landing) -> None:
    link = landing.folder / ".chain" / "customers.json"
    before = link.read_text("utf-8")
    land(landing, WEDNESDAY, 4)
    link.write_text(before, "utf-8")

    assert landing.damages() == []
    land(landing, WEDNESDAY, 5)

    assert [load.manifest.sequence for load in landing.loads(CUSTOMERS)] == [1, 2, 3, 4, 5]
    assert landing.damages(whole=True) == []


def test_mornings_side_by_side_land_in_one_chain(landing: Landing) -> None:
    mornings = [MONDAY + timedelta(days=number) for number in range(6)]
    together = Barrier(len(mornings))

    def night(as_of: date) -> None:
        def pages() -> Iterator[pa.Table]:
            together.wait(timeout=60)
            yield pa.Table.from_pylist([{"customer_id": f"C{as_of.day}", "name": "One"}], page_schema(CUSTOMERS))

        landing.land(CUSTOMERS, Delivery(pages(), full=False, origin="test"), as_of)

    with ThreadPoolExecutor(len(mornings)) as pool:
        list(pool.map(night, mornings))

    assert sorted(load.manifest.sequence for load in landing.loads(CUSTOMERS)) == [1, 2, 3, 4, 5, 6]
    assert landing.damages(whole=True) == []
    assert len(known(landing)) == 6


# --- clocks ---------------------------------------------------------------------------------------------------------------


def clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    monkeypatch.setattr(store, "_clock", lambda: at)


def test_the_later_load_wins_when_the_clock_went_back_and_both_times_are_said(
    landing: Landing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock(monkeypatch, datetime(2025, 6, 2, 5, 0))
    land(landing, MONDAY, 1, name="Wrong")
    clock(monkeypatch, datetime(2025, 6, 2, 3, 59))

    land(landing, MONDAY, 1, name="Right")

    assert known(landing) == {"C1": "Right"}
    assert [load.manifest.sequence for load in landing.loads(CUSTOMERS)] == [1, 2]
    (said,) = [record.getMessage() for record in caplog.records]
    assert "the clock went back: it is 2025-06-02 03:59:00 UTC, and the last load was made at 2025-06-02 05:00:00 UTC" in said


def test_a_clock_far_ahead_once_is_said_once_and_forgotten(
    landing: Landing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def payments(number: int, updated_at: str, as_of: date) -> None:
        row = {"payment_id": f"P{number}", "customer_id": "C1", "payment_date": "2025-06-01", "currency": "EUR", "amount": "1"}
        page = pa.Table.from_pylist([{**row, "updated_at": updated_at}], page_schema(PAYMENTS))
        landing.land(PAYMENTS, Delivery(iter([page]), full=False, origin="test"), as_of)

    clock(monkeypatch, datetime(2025, 6, 2, 5, 0))
    payments(1, "2025-06-01T09:00:00Z", MONDAY)
    clock(monkeypatch, datetime(2099, 1, 1, 5, 0))
    payments(2, "2090-01-01T00:00:00Z", MONDAY)
    payments(3, "2090-01-01T00:00:00Z", date(2099, 1, 1))
    clock(monkeypatch, datetime(2025, 6, 3, 5, 0))

    assert landing.cursor(PAYMENTS, TUESDAY) == datetime(2025, 6, 1, 9, 0)
    assert not landing.later(PAYMENTS, TUESDAY), "what was landed for 2099 makes no replay of this morning"
    assert landing.asks(MONDAY, TUESDAY, published=date(2099, 1, 1))
    payments(4, "2025-06-02T12:00:00Z", TUESDAY)
    payments(5, "2025-06-02T13:00:00Z", TUESDAY)

    assert landing.cursor(PAYMENTS, TUESDAY) == datetime(2025, 6, 2, 13, 0)
    assert landing.loads(PAYMENTS, TUESDAY)[-1].loaded_at < datetime(2025, 6, 4)
    assert len([record for record in caplog.records if "the clock went back" in record.getMessage()]) == 1
    assert landing.damages(whole=True) == []
