"""Landing on a store that several machines see: what is there counts, homes are copies, nothing is lost and nothing comes twice.

Belongs here: what machines that take turns or meet see of each other, damage, people who are forgotten, errors in words. Does not belong
here: processes that are killed (`tests/faults/test_shared_landing_killed.py`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dagster_project import duck
from dagster_project.contract import DATASETS, ISSUED_STEPS, Dataset
from dagster_project.landing import DamagedError, Landing, LandingError, objects, rows_select, shared
from dagster_project.landing.forget import Person
from dagster_project.landing.loads import seal_of
from dagster_project.landing.objects import StoreError
from dagster_project.landing.shared import DivergedError
from dagster_project.settings import SettingsError, load
from dagster_project.sources import Delivery, page_schema
from tests.object_store import BUCKET, KEY, SECRET, Refuse, Store, served

MONDAY = date(2025, 6, 30)
COMPANIES, CONTACTS = DATASETS["companies"], DATASETS["contacts"]
Machine = Callable[[str], Landing]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(objects, "LONGEST_WAIT", timedelta(seconds=2))
    with served() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store


def at(home: Path, url: str) -> Landing:
    landing = Landing(home / "landing", home / "quarantine", url=url)
    landing.refresh()
    return landing


@pytest.fixture
def on_s3(bucket: Store, tmp_path: Path) -> Machine:
    """A machine by its name: a home of its own, and the store that all of them see."""
    return lambda name: at(tmp_path / name, f"s3://{BUCKET}")


@pytest.fixture(params=["s3", "shared folder"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """The same, of either kind."""
    if request.param == "s3":
        request.getfixturevalue("bucket")
        return lambda name: at(tmp_path / name, f"s3://{BUCKET}/a/folder")
    (tmp_path / "share").mkdir()
    return lambda name: at(tmp_path / name, (tmp_path / "share").as_uri())


def delivered(dataset: Dataset, *records: dict[str, Any], full: bool = False) -> Delivery:
    return Delivery(iter([pa.Table.from_pylist(list(records), page_schema(dataset))]), full=full, origin="test")


def company(landing: Landing, *names: str, day: date = MONDAY, full: bool = False) -> Any:
    rows = [{"company_id": name, "name": name, "currency": "EUR"} for name in names]
    return landing.land(COMPANIES, delivered(COMPANIES, *rows, full=full), day)


def known(landing: Landing, dataset: Dataset = COMPANIES) -> list[tuple[Any, ...]]:
    """All rows with all their stamps."""
    con = duck.connect()
    return con.execute(f"select * from ({rows_select(dataset, con, landing.loads(dataset))}) order by all").fetchall()


def test_machines_that_take_turns_go_on_from_each_other(machine: Machine) -> None:
    company(machine("a"), "A1", "A2", full=True)
    company(machine("b"), "A1", "B1", full=True, day=MONDAY + timedelta(days=1))
    third = machine("a")

    assert [load.manifest.sequence for load in third.loads(COMPANIES)] == [1, 2]
    assert third.loads(COMPANIES)[1].manifest.tombstones == 1, "it knew what the other machine had landed"
    assert known(third) == known(machine("b")) == known(machine("a machine made anew"))
    assert third.damages(whole=True) == machine("c").damages(whole=True) == []


def test_what_was_refused_is_known_on_every_machine(on_s3: Machine) -> None:
    bad = {"company_id": "A2", "name": "no currency"}
    first = on_s3("a")
    landed = first.land(
        COMPANIES, delivered(COMPANIES, {"company_id": "A1", "name": "A1", "currency": "EUR"}, bad), MONDAY, quarantine_share=1
    )

    (refused,) = on_s3("b").refused(COMPANIES, MONDAY)
    assert (refused[0].load_id, refused[1]["company_id"]) == (landed.load_id, "A2")
    first.tidy({"companies": [landed.load_id]})
    assert list(on_s3("b").refused(COMPANIES, MONDAY)) == [], "policy keeps it no longer"
    assert list(on_s3("c").refused(COMPANIES, MONDAY)) == []


def test_two_machines_at_once_land_one_after_the_other(machine: Machine) -> None:
    first, second = machine("a"), machine("b")
    company(first, "A1")
    company(second, "B1")
    company(first, "A2")

    for landing in (first, second, machine("c")):
        landing.refresh()
        assert [load.manifest.sequence for load in landing.loads(COMPANIES)] == [1, 2, 3]
        assert {row[0] for row in known(landing)} == {"A1", "A2", "B1"}
        assert landing.damages(whole=True) == []


def test_of_two_machines_one_issues_a_morning_s_steps(on_s3: Machine) -> None:
    first, second = on_s3("a"), on_s3("b")
    step = {"worklist_date": "2025-06-30", "item_id": "I1", "step": "notice_1", "customer_id": "C1", "invoice_id": "I1"}
    step |= {"open_amount": "1", "currency": "EUR", "policy": "net_terms", "made_on": "2025-06-30"}
    first.land(ISSUED_STEPS, delivered(ISSUED_STEPS, step), MONDAY, alone=True)

    with pytest.raises(LandingError, match=r"another machine landed .* meanwhile, and nothing of this load landed: run again"):
        second.land(ISSUED_STEPS, delivered(ISSUED_STEPS, step), MONDAY, alone=True)

    assert [load.manifest.sequence for load in second.loads(ISSUED_STEPS)] == [1]
    assert second.came_from_elsewhere(second.loads(ISSUED_STEPS)[0])
    assert second.damages(whole=True) == []


def test_a_clock_that_is_ahead_on_another_machine_does_not_win_over_a_later_load(
    on_s3: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster_project.landing import store

    first, second = on_s3("a"), on_s3("b")
    with monkeypatch.context() as ahead:
        ahead.setattr(store, "_clock", lambda: datetime(2100, 1, 1))
        company(first, "A1")

    with pytest.raises(LandingError, match="run again"):
        company(second, "A1", "B1")

    company(second, "A1", "B1")
    assert second.loads(COMPANIES)[-1].manifest.sequence == 2


def test_a_home_that_has_loads_already_takes_them_along(on_s3: Machine, tmp_path: Path) -> None:
    alone = Landing(tmp_path / "a" / "landing", tmp_path / "a" / "quarantine")
    company(alone, "A1")
    company(alone, "A2", day=MONDAY + timedelta(days=1))
    alone.compact(COMPANIES)
    company(alone, "A3", day=MONDAY + timedelta(days=2))
    before = known(alone)

    assert known(on_s3("a")) == before
    assert known(on_s3("b")) == before
    assert on_s3("b").damages(whole=True) == []
    company(on_s3("b"), "B1", day=MONDAY + timedelta(days=3))
    assert [load.manifest.sequence for load in on_s3("a").loads(COMPANIES)] == [1, 2, 3, 4]


def test_a_home_put_back_from_an_older_backup_gets_what_it_lacks(on_s3: Machine, tmp_path: Path) -> None:
    company(on_s3("a"), "A1")
    shutil.copytree(tmp_path / "a", tmp_path / "backup")
    company(on_s3("a"), "A2")
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "backup").rename(tmp_path / "a")

    assert [load.manifest.sequence for load in on_s3("a").loads(COMPANIES)] == [1, 2]
    assert on_s3("a").damages(whole=True) == []


def test_a_store_put_back_to_an_older_copy_gets_what_it_lacks(on_s3: Machine, bucket: Store) -> None:
    company(on_s3("a"), "A1")
    backup = dict(bucket.objects)
    company(on_s3("a"), "A2")
    bucket.objects = backup

    assert known(on_s3("b")) != known(on_s3("a"))
    assert known(on_s3("b")) == known(on_s3("a"))
    assert on_s3("b").damages(whole=True) == []


def test_homes_that_went_different_ways_are_refused_before_anything_changes(on_s3: Machine, tmp_path: Path) -> None:
    company(on_s3("a"), "A1")
    stranger = Landing(tmp_path / "b" / "landing", tmp_path / "b" / "quarantine")
    company(stranger, "B1")
    before = sorted(path for path in (tmp_path / "b").rglob("*") if path.suffix != ".lock")

    with pytest.raises(DivergedError, match="never a copy of that store"):
        on_s3("b")

    assert sorted(path for path in (tmp_path / "b").rglob("*") if path.suffix != ".lock") == before


def test_what_was_landed_without_the_store_follows_or_is_refused(on_s3: Machine, tmp_path: Path) -> None:
    company(on_s3("a"), "A1")
    on_s3("b")
    for name in "ab":  # with the variable left out for a day
        company(Landing(tmp_path / name / "landing", tmp_path / name / "quarantine"), name)

    assert [load.manifest.sequence for load in on_s3("a").loads(COMPANIES)] == [1, 2]
    with pytest.raises(DivergedError, match=r"companies: .* went different ways.*move .* away"):
        on_s3("b")
    assert {row[0] for row in known(on_s3("c"))} == {"A1", "a"}


# --- put together, damaged, forgotten -----------------------------------------------------------------------------------


def test_what_one_machine_puts_together_every_machine_reads(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = machine("a"), machine("b")
    for number in range(6):
        company(first, f"A{number}", day=MONDAY + timedelta(days=number))
    second.refresh()
    before = known(second)
    assert first.compact(COMPANIES) == 6

    second.refresh()
    fresh = machine("c")
    assert known(first) == known(second) == known(fresh) == before
    assert len([path for path in (fresh.folder / "companies").iterdir() if path.is_dir()]) == 1, (
        "what was put together is not fetched"
    )
    company(second, "B1", day=MONDAY + timedelta(days=9))
    assert first.shared and first.shared.objects.names("landing/companies/")
    first.refresh()
    first.tidy({})
    assert len(_folders(first)) == 8, "whoever began to read may still open the old ones"
    monkeypatch.setattr(shared, "READERS_WAIT_HOURS", -1)
    first.tidy({})
    assert len(_folders(first)) == 2
    monkeypatch.setattr(shared, "STATES_KEPT_DAYS", -1)
    first.tidy({})
    assert len(first.shared.objects.names("landing/.chain/companies/")) == 1
    assert known(first) == known(machine("d")) and machine("d").damages(whole=True) == []


def _folders(landing: Landing) -> set[str]:
    assert landing.shared
    return {path.split("/")[2] for path in landing.shared.objects.names("landing/companies/")}


def test_two_machines_that_put_the_same_loads_together_leave_one_pack(on_s3: Machine) -> None:
    first, second = on_s3("a"), on_s3("b")
    for number in range(4):
        company(first, f"A{number}", day=MONDAY + timedelta(days=number))
    second.refresh()
    first.compact(COMPANIES)

    with pytest.raises(LandingError, match="another machine has put loads 1 to 4 together meanwhile: run again"):
        second.compact(COMPANIES)

    second.refresh()
    assert known(second) == known(first)
    assert second.damages(whole=True) == []


def test_a_pack_and_a_load_at_once_both_count(on_s3: Machine) -> None:
    first, second = on_s3("a"), on_s3("b")
    for number in range(4):
        company(first, f"A{number}", day=MONDAY + timedelta(days=number))
    second.refresh()
    company(first, "A9", day=MONDAY + timedelta(days=9))

    assert second.compact(COMPANIES) == 4

    company(second, "B1", day=MONDAY + timedelta(days=9))
    first.refresh()
    assert known(first) == known(second) == known(on_s3("c"))
    assert [load.manifest.sequence for load in on_s3("c").loads(COMPANIES)] == list(range(1, 7))
    assert on_s3("c").damages(whole=True) == first.damages(whole=True) == []


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_is_damaged_in_a_home_is_fetched_again(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    landing = machine("a")
    for number in range(3):
        company(landing, f"A{number}", day=MONDAY + timedelta(days=number))
    before, folders = known(landing), [load.folder for load in landing.loads(COMPANIES)]
    alter(folders[0] / "rows.parquet")
    (folders[1] / "manifest.json").write_text("{}")
    shutil.rmtree(folders[2])
    (landing.folder / ".chain" / "companies.json").write_text("nonsense")
    (landing.folder / ".chain" / "companies.store.json").write_text("nonsense")

    landing = machine("a")

    assert landing.damages(whole=True) == []
    assert known(landing) == before
    assert "it is fetched from the store again" in caplog.text
    assert len(list((landing.folder / ".damaged").iterdir())) == 2, "nothing is thrown away"


@pytest.mark.parametrize("harm", ["altered", "gone"])
def test_what_is_damaged_in_the_store_is_put_there_again_by_a_home_that_is_whole(
    harm: str, on_s3: Machine, bucket: Store, caplog: pytest.LogCaptureFixture
) -> None:
    company(on_s3("a"), "A1")
    (name,) = [name for name in bucket.objects if name.endswith("rows.parquet")]
    content, modified = bucket.objects.pop(name)
    if harm == "altered":
        bucket.objects[name] = (content[:-9] + b"x" * 9, modified)
    with pytest.raises(DamagedError, match=r"companies: .* has lost load 1 of its chain"):
        on_s3("b").sound()

    assert on_s3("a").damages(whole=True) == []

    assert bucket.objects[name][0] == content
    assert known(on_s3("b")) == known(on_s3("a"))
    assert "was damaged; it is put there again" in caplog.text


def test_what_nobody_has_any_more_can_be_done_without_on_every_machine(on_s3: Machine, bucket: Store, tmp_path: Path) -> None:
    for number in range(3):
        company(on_s3("a"), f"A{number}", day=MONDAY + timedelta(days=number))
    second = on_s3("b")
    lost = second.loads(COMPANIES)[1].load_id
    bucket.objects = {name: each for name, each in bucket.objects.items() if lost not in name}
    shutil.rmtree(tmp_path / "a")
    third = on_s3("c")

    (damage,) = third.give_up(COMPANIES, accepted=True)

    assert (damage.first, damage.last) == (2, 2)
    company(third, "C1", day=MONDAY + timedelta(days=4))
    second.refresh()
    assert {row[0] for row in known(second)} == {row[0] for row in known(on_s3("d"))} == {"A0", "A2", "C1"}
    assert second.damages(whole=True) == on_s3("d").damages(whole=True) == []


def test_who_is_forgotten_is_gone_in_the_store_and_on_every_machine(on_s3: Machine, bucket: Store) -> None:
    def contact(landing: Landing, name: str, day: date, **broken: str) -> None:
        rows = [{"contact_id": "K1", "customer_id": "C1", "role": "senior", "name": name, "email": "anna@example.com"}]
        rows += [{"contact_id": "K2", "customer_id": "C1", "role": "senior", "name": "Somebody Else"}]
        refused = [{"contact_id": "K1", "customer_id": "C1", "name": name, **broken}] if broken else []
        landing.land(CONTACTS, delivered(CONTACTS, *rows, *refused), day, quarantine_share=1)

    first, second = on_s3("a"), on_s3("b")
    contact(first, "Anna Personal", MONDAY)
    contact(first, "Anna Personal-New", MONDAY + timedelta(days=1), role="Anna Personal")
    second.refresh()
    assert any(b"Anna Personal" in content for name, (content, _) in bucket.objects.items() if "quarantine" in name)

    first.forget(Person("contact", "K1"), "somebody")

    second.refresh()
    assert not any(b"Anna Personal" in content for content, _ in bucket.objects.values())
    for landing in (first, second, on_s3("c")):
        files = [path for path in landing.folder.parent.rglob("*") if path.suffix in (".parquet", ".json", ".jsonl")]
        assert files and not any(b"Anna Personal" in path.read_bytes() for path in files)
        assert "Somebody Else" in {row[3] for row in known(landing, CONTACTS)}
        assert landing.damages(whole=True) == []
    contact(second, "Anna Personal", MONDAY + timedelta(days=2))
    assert not any(b"Anna Personal" in content for content, _ in bucket.objects.values()), "what comes later is blanked, too"


def test_who_is_forgotten_while_another_machine_lands_is_not_landed_by_it(on_s3: Machine) -> None:
    first, second = on_s3("a"), on_s3("b")
    row = {"contact_id": "K1", "customer_id": "C1", "role": "senior", "name": "Anna Personal"}
    first.land(CONTACTS, delivered(CONTACTS, row), MONDAY)
    first.forget(Person("contact", "K1"), "somebody")

    with pytest.raises(LandingError, match="somebody was forgotten on another machine meanwhile: run again"):
        second.land(CONTACTS, delivered(CONTACTS, row), MONDAY)

    second.land(CONTACTS, delivered(CONTACTS, row), MONDAY)
    assert [row[3] for row in known(second, CONTACTS)] == [None]


# --- a store that is not as it should be --------------------------------------------------------------------------------


def test_a_lost_answer_is_not_taken_for_another_machine(on_s3: Machine, bucket: Store) -> None:
    lost: list[str] = []

    def hang_up(method: str, name: str, done: bool) -> None:
        if done and method == "PUT" and name not in lost:
            lost.append(name)
            raise Refuse(0)

    bucket.watch = hang_up
    landing = on_s3("a")
    company(landing, "A1")
    company(landing, "A2")

    assert len(lost) == len(set(bucket.objects)), "every put was carried out and not answered"
    assert [load.manifest.sequence for load in landing.loads(COMPANIES)] == [1, 2]
    assert known(on_s3("b")) == known(landing)


def test_a_store_that_is_busy_now_and_then_is_asked_again(on_s3: Machine, bucket: Store) -> None:
    asked = 0

    def busy(method: str, name: str, done: bool) -> None:
        nonlocal asked
        asked += not done
        if not done and asked % 3 == 0:
            raise Refuse(503)

    bucket.watch = busy
    company(on_s3("a"), "A1")

    assert known(on_s3("b")) == known(on_s3("a"))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "wrong"},
            r"s3://arrears/landing/.chain/ could not be listed: access is denied; look at the credentials \(AWS_",
        ),
        (
            {"url": "s3://nowhere"},
            "s3://nowhere/landing/.chain/ could not be listed: there is no such bucket, container or folder",
        ),
        (
            {"url": "file:///nowhere/at/all"},
            "file:///nowhere/at/all could not be opened: there is no such bucket, container or folder",
        ),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the store cannot be reached .* look at the address and the network"),
        ({"url": "az://container"}, "no account is named"),
    ],
    ids=["denied", "no bucket", "no folder", "away", "no account"],
)
def test_a_store_that_cannot_be_used_is_told_and_nothing_is_written(
    harm: dict[str, str], said: str, bucket: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = harm.pop("url", f"s3://{BUCKET}")
    for name, value in harm.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StoreError, match=said) as told:
        at(tmp_path / "a", url)

    assert str(told.value).startswith("ARREARS_LANDING_URL: ")
    assert SECRET not in str(told.value) and KEY not in str(told.value)
    assert list(tmp_path.iterdir()) == []
    assert bucket.objects == {}


def test_a_store_that_overwrites_is_refused(on_s3: Machine, bucket: Store) -> None:
    bucket.dumb = True

    with pytest.raises(StoreError, match="overwrites what it was told only to create"):
        on_s3("a")

    assert bucket.objects == {}


def test_another_store_and_an_emptied_one_are_not_written_to(on_s3: Machine, bucket: Store, tmp_path: Path) -> None:
    company(on_s3("a"), "A1")
    mine, bucket.objects = bucket.objects, {}
    with pytest.raises(StoreError, match=r"holds nothing, and this home is a copy of a store that did.*remove .*store\.json"):
        on_s3("a")
    assert bucket.objects == {}

    on_s3("b")
    with pytest.raises(StoreError, match="is another store than the one that this home is a copy of"):
        on_s3("a")

    bucket.objects = mine
    assert [load.manifest.sequence for load in on_s3("a").loads(COMPANIES)] == [1]
    (tmp_path / "a" / "landing" / ".chain" / "store.json").unlink()
    bucket.objects = {}
    assert known(on_s3("a")) == known(on_s3("c")), "on purpose it is"


def test_a_store_that_goes_away_in_the_middle_lands_nothing_anywhere(on_s3: Machine, bucket: Store) -> None:
    landing = on_s3("a")

    def away(method: str, name: str, done: bool) -> None:
        if "manifest" in name:
            raise Refuse(500, "InternalError")

    bucket.watch = away
    with pytest.raises(StoreError, match="could not be written"):
        company(landing, "A1")
    bucket.watch = lambda method, name, done: None

    assert landing.loads(COMPANIES) == on_s3("b").loads(COMPANIES) == []
    company(landing, "A1")
    assert [load.manifest.sequence for load in on_s3("b").loads(COMPANIES)] == [1]


def test_a_damaged_state_is_told_and_not_built_on(on_s3: Machine, bucket: Store) -> None:
    company(on_s3("a"), "A1")
    name = "landing/.chain/companies/00000001.json"
    right = bucket.objects[name][0]
    (load,) = on_s3("a").loads(COMPANIES)
    away = json.loads(right.replace(load.load_id.encode(), b"../../../../away"))
    away["seal_of_this"] = seal_of({field: value for field, value in away.items() if field != "seal_of_this"})
    for damaged in (b"{}", b"nonsense", b"", b"[]", right.replace(b"[1,1]", b"[1,2]"), json.dumps(away).encode()):
        bucket.objects[name] = (damaged, datetime(2025, 1, 1, tzinfo=UTC))
        with pytest.raises(StoreError, match=r"companies/00000001\.json is damaged, which says what counts of companies"):
            on_s3("b")


@pytest.mark.parametrize("damaged", [b"", b"{}", b'{"id": "1", "kind": "contact", "key": "K1"}', b"\xff"])
def test_a_damaged_record_of_who_was_forgotten_is_told(damaged: bytes, on_s3: Machine, bucket: Store) -> None:
    on_s3("a")
    bucket.objects["landing/.chain/forgotten/20250630T050000-contact.json"] = (damaged, datetime(2025, 1, 1, tzinfo=UTC))
    with pytest.raises(StoreError, match=r"20250630T050000-contact\.json is damaged, which says who was forgotten"):
        on_s3("a")


@pytest.mark.parametrize(
    "url",
    ["bucket/folder", "ftp://host/x", "s3://key:secret@bucket", "s3://bucket?secret=1", "file://relative", "s3://", "/mnt/share"],
)
def test_an_address_that_means_nothing_is_refused_without_repeating_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARREARS_LANDING_URL", url)
    with pytest.raises(SettingsError, match="ARREARS_LANDING_URL: write it as in s3://bucket/folder") as told:
        load()
    assert "secret" not in str(told.value)
