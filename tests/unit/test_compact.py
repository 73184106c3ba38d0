"""Old loads are put together: nothing that is known on any morning changes, whoever reads and whoever is killed meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project import duck, upkeep
from dagster_project.contract import DATASETS
from dagster_project.landing import DamagedError, Landing, LandingError, compact, rows_select
from dagster_project.landing.loads import PACK
from dagster_project.quality import facts_of, validate
from dagster_project.settings import Settings
from dagster_project.sources import Delivery, page_schema

FIRST = date(2025, 1, 1)
PAYMENTS = DATASETS["payments"]


def land(landing: Landing, as_of: date, chance: Random, number: int) -> None:
    rows = [
        {
            "payment_id": f"P{chance.randrange(40)}-{place}",
            "customer_id": "C1",
            "payment_date": "2025-01-01",
            "currency": chance.choice(("EUR", "USD")),
            "amount": f"{chance.randrange(1, 10_000)}.{chance.randrange(100):02}",
        }
        for place in range(number)
    ]
    page = pa.Table.from_pylist(rows, page_schema(PAYMENTS))
    landing.land(PAYMENTS, Delivery(iter([page]), full=False, origin="test"), as_of)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large first load and nineteen small ones, of which some bring nothing and two are of earlier mornings. Nobody writes here."""
    folder, chance = tmp_path_factory.mktemp("twenty"), Random("twenty")
    landing = Landing(folder / "landing", folder / "quarantine")
    land(landing, FIRST, chance, 200)
    for number in range(1, 20):
        day = FIRST + timedelta(days=number if number not in (7, 12) else 1)
        land(landing, day, chance, 0 if number % 5 == 0 else 3)
    return landing.folder


@pytest.fixture
def twenty(landed: Path, landing: Landing) -> Landing:
    """The same twenty, to be put together."""
    shutil.copytree(landed, landing.folder)
    return landing


def known(landing: Landing) -> dict[Any, list[tuple[Any, ...]]]:
    """All rows with all their stamps, as each morning knows them."""
    con = duck.connect()
    mornings = [*(FIRST + timedelta(days=number) for number in range(20)), None]
    seen = {}
    for morning in mornings:
        select = rows_select(PAYMENTS, con, landing.loads(PAYMENTS, morning))
        seen[morning] = con.execute(f"select * from ({select}) order by all").fetchall()
    return seen


def folders(landing: Landing) -> list[str]:
    return sorted(path.name for path in (landing.folder / "payments").iterdir())


def a_day_passes(landing: Landing) -> None:
    for path in (landing.folder / "payments").glob(f"pack-*/{PACK}"):
        before = path.stat().st_mtime - 25 * 3600
        os.utime(path, (before, before))


def test_every_morning_knows_the_same_rows_and_stamps_before_and_after(twenty: Landing) -> None:
    before, loads = known(twenty), [load.manifest for load in twenty.loads(PAYMENTS)]

    assert twenty.compact(PAYMENTS) == 19, "the first is much larger than all the others together"

    assert known(twenty) == before
    assert [load.manifest for load in twenty.loads(PAYMENTS)] == loads
    assert twenty.damages(whole=True) == []
    a_day_passes(twenty)
    land(twenty, FIRST + timedelta(days=20), Random("next"), 2)
    twenty.compact(PAYMENTS)
    assert len(folders(twenty)) == 3, "what was put together is gone: the first, the pack and the newest are left"
    assert {morning: rows for morning, rows in known(twenty).items() if morning} == {m: r for m, r in before.items() if m}
    assert twenty.damages(whole=True) == []


def test_what_lands_afterwards_is_compared_with_all_that_was_known(twenty: Landing) -> None:
    twenty.compact(PAYMENTS)
    a_day_passes(twenty)
    twenty.compact(PAYMENTS)
    con = duck.connect()
    newest = con.execute(
        f"select payment_id, customer_id, cast(payment_date as varchar) as payment_date, currency, cast(amount as varchar) as amount "
        f"from ({rows_select(PAYMENTS, con, twenty.loads(PAYMENTS))}) "
        "qualify row_number() over (partition by payment_id order by _as_of desc, _loaded_at desc) = 1"
    ).to_arrow_table()

    pages = iter([pa.Table.from_pylist(newest.to_pylist(), page_schema(PAYMENTS))])
    again = twenty.land(PAYMENTS, Delivery(pages, full=True, origin="test"), FIRST + timedelta(days=30))

    assert (again.landed, again.unchanged) == (0, len(newest))
    assert again.sequence == 21


def test_the_expectations_of_a_load_in_a_pack_look_at_its_own_rows(twenty: Landing) -> None:
    before = [validate(facts_of(twenty, PAYMENTS, load, load.as_of, "net_terms")) for load in twenty.loads(PAYMENTS)]
    twenty.compact(PAYMENTS)

    assert [validate(facts_of(twenty, PAYMENTS, load, load.as_of, "net_terms")) for load in twenty.loads(PAYMENTS)] == before


def test_what_a_pack_was_made_of_is_not_read_any_more(twenty: Landing) -> None:
    twenty.compact(PAYMENTS)
    (former,) = (twenty.folder / "payments").glob("pack-*")
    land(twenty, FIRST + timedelta(days=20), Random("next"), 300)
    before = known(twenty)
    twenty.compact(PAYMENTS, after=1)
    assert len(list((twenty.folder / "payments").glob("pack-*"))) == 2, "the former lies there for who reads it"

    (former / PACK).write_text("half of wh")

    assert twenty.damages(whole=True) == []
    assert known(twenty) == before


def test_whoever_began_to_read_before_reads_on(twenty: Landing) -> None:
    con = duck.connect()
    con.execute(f"create view mine as {rows_select(PAYMENTS, con, twenty.loads(PAYMENTS))}")
    before = con.execute("from mine order by all").fetchall()

    twenty.compact(PAYMENTS)
    land(twenty, FIRST + timedelta(days=20), Random("next"), 2)
    twenty.compact(PAYMENTS)

    assert con.execute("from mine order by all").fetchall() == before


@pytest.mark.parametrize("moment", ["writing", "describing", "appearing", "after"])
def test_a_kill_at_any_moment_leaves_the_loads_or_the_pack(twenty: Landing, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = known(twenty)

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    places: dict[str, tuple[Any, str]] = {
        "writing": (compact, "differences"),
        "describing": (compact, "seal_of"),
        "appearing": (compact.os, "rename"),
        "after": (compact.Chain, "found_whole"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*places[moment], killed)
        patched.setattr(compact.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            twenty.compact(PAYMENTS)

    assert known(twenty) == before
    assert twenty.damages(whole=True) == []
    twenty.compact(PAYMENTS)
    assert known(twenty) == before
    assert twenty.damages(whole=True) == []


def damaged_rows(pack: Path) -> None:
    pq.write_table(pq.read_table(pack / "rows.parquet").slice(1), pack / "rows.parquet")


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "rows deleted": damaged_rows,
    "file gone": lambda pack: (pack / "rows.parquet").unlink(),
    "description edited": lambda pack: (pack / PACK).write_text((pack / PACK).read_text().replace('"landed":3', '"landed":4', 1)),
    "description emptied": lambda pack: (pack / PACK).write_text(""),
    "pack gone": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_pack_is_noticed_once_its_loads_are_gone_and_can_be_made_up_for(damage: str, twenty: Landing) -> None:
    twenty.compact(PAYMENTS)
    a_day_passes(twenty)
    twenty.compact(PAYMENTS)
    (pack,) = (twenty.folder / "payments").glob("pack-*")
    DAMAGES[damage](pack)

    with pytest.raises(DamagedError, match="payments"):
        twenty.sound(FIRST + timedelta(days=30))
    with pytest.raises(LandingError):
        land(twenty, FIRST + timedelta(days=30), Random("x"), 1)

    row = {"payment_id": "P1", "customer_id": "C1", "payment_date": "2025-01-01", "currency": "EUR", "amount": "1"}
    pages = iter([pa.Table.from_pylist([row], page_schema(PAYMENTS))])
    twenty.land(PAYMENTS, Delivery(pages, full=True, origin="test"), FIRST + timedelta(days=30), anew=True)
    assert twenty.damages(FIRST + timedelta(days=30), whole=True) == []


def test_nothing_is_put_together_where_something_is_damaged(twenty: Landing) -> None:
    rows = twenty.loads(PAYMENTS)[3].rows
    assert rows
    os.truncate(rows, 10)

    with pytest.raises(LandingError, match=r"rows\.parquet of 10 bytes"):
        twenty.compact(PAYMENTS)

    assert not list((twenty.folder / "payments").glob("pack-*"))


def test_there_are_few_pieces_after_many_nights_and_the_large_ones_are_rarely_written(landing: Landing) -> None:
    chance = Random("many")
    land(landing, FIRST, chance, 300)
    most = 0
    for number in range(1, 90):
        land(landing, FIRST + timedelta(days=number), chance, 4)
        landing.compact(PAYMENTS, after=8)
        a_day_passes(landing)
        most = max(most, len(folders(landing)))

    assert most <= 16
    assert landing.damages(whole=True) == []
    assert [load.manifest.sequence for load in landing.loads(PAYMENTS)] == list(range(1, 91))


# --- what policy no longer keeps ------------------------------------------------------------------------------------------


def test_what_is_older_than_policy_keeps_it_goes_and_what_still_counts_stays(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    landing = Landing(settings.landing, settings.quarantine)
    for full in (True, False, True, False):
        rows = [{"payment_id": "P1", "customer_id": "C1", "payment_date": "2025-01-01", "currency": "EUR", "amount": "x"}]
        good = {**rows[0], "payment_id": "P2", "amount": "1"}
        pages = iter([pa.Table.from_pylist([*rows, good], page_schema(PAYMENTS))])
        landing.land(PAYMENTS, Delivery(pages, full=full, origin="test"), FIRST, quarantine_share=1)  # type: ignore[arg-type]
    done, logs, private = settings.inbox / "done", settings.home / "logs", settings.warehouse / "2025-01-01.abc"
    for folder in (done, logs, private):
        folder.mkdir(parents=True)
    (done / "worklist.xlsx").touch()
    (logs / "2025-01-01.abc.log").touch()
    (logs / "2025-01-02.abc.log").touch()
    for path in (*settings.home.rglob("*.jsonl"), done / "worklist.xlsx", logs / "2025-01-01.abc.log", private):
        os.utime(path, (0, 0))

    removed = upkeep.clear(settings, landing, settings.today())

    assert removed == {"quarantine": 2, "inbox": 1, "logs": 1, "warehouses": 1}
    kept = {path.stem for path in (settings.quarantine / "payments").iterdir()}
    assert kept == {load.load_id for load in landing.loads(PAYMENTS)[2:]}, "nothing has said anew what they refused"
    assert [path.name for path in logs.iterdir()] == ["2025-01-02.abc.log"]
