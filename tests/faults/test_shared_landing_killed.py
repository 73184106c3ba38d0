"""A machine that is killed while it writes to the store that several machines see: at each request, before it is carried out and after.

Whoever comes next, the same machine or another, sees all of it or nothing; the machine that was killed goes on as if it had not been;
nothing is lost and nothing comes twice. The quick half kills a load, `make faults` the other things that write.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dagster_project import duck
from dagster_project.contract import DATASETS, Dataset
from dagster_project.landing import Landing, rows_select
from dagster_project.landing.forget import Person
from dagster_project.sources import Delivery, page_schema
from tests.object_store import BUCKET, Refuse, Store, served

MONDAY = date(2025, 6, 30)
CONTACTS = DATASETS["contacts"]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


def land(landing: Landing, number: int, *names: str) -> None:
    rows = [{"contact_id": name, "customer_id": "C1", "role": "senior", "name": f"{name} Personal {number}"} for name in names]
    refused = [{"contact_id": "K1", "customer_id": "C1", "name": "K1 Personal refused"}]
    page = pa.Table.from_pylist(rows + refused, page_schema(CONTACTS))
    landing.land(
        CONTACTS,
        Delivery(iter([page]), full=False, origin="test"),
        MONDAY + timedelta(days=number),
        quarantine_share=Decimal(1),
    )


def a_load(landing: Landing) -> None:
    landing.refresh()
    land(landing, 7, "K1", "K9")


def a_pack(landing: Landing) -> None:
    landing.refresh()
    landing.compact(CONTACTS)


def somebody_forgotten(landing: Landing) -> None:
    landing.refresh()
    landing.forget(Person("contact", "K1"), "somebody")


def a_first_meeting(landing: Landing) -> None:
    landing.refresh()


def a_tidying(landing: Landing) -> None:
    from dagster_project.landing import shared

    shared.READERS_WAIT_HOURS = -1
    landing.refresh()
    landing.tidy({CONTACTS.name: [load.load_id for load in landing.loads(CONTACTS)[:1]]})


def work(what: Callable[[Landing], None], home: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    what(machine(home))


def machine(home: Path) -> Landing:
    return Landing(home / "landing", home / "quarantine", url=f"s3://{BUCKET}")


def known(landing: Landing, dataset: Dataset = CONTACTS) -> list[tuple[Any, ...]]:
    """The newest version of each record, without its stamps."""
    con = duck.connect()
    return con.execute(
        f"select * exclude (_load_id, _loaded_at) from ({rows_select(dataset, con, landing.loads(dataset))}) "
        "qualify row_number() over (partition by contact_id order by _as_of desc, _loaded_at desc) = 1 order by all"
    ).fetchall()


def rows(landing: Landing) -> int:
    return sum(load.manifest.landed for load in landing.loads(CONTACTS))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with served() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.mark.parametrize(
    "what",
    [
        a_load,
        *(pytest.param(other, marks=pytest.mark.faults) for other in (a_pack, somebody_forgotten, a_first_meeting, a_tidying)),
    ],
    ids=lambda what: what.__name__,
)
def test_a_machine_killed_at_any_request_leaves_all_or_nothing_and_goes_on(
    what: Callable[[Landing], None], bucket: Store, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    before = Landing(home / "landing", home / "quarantine") if what is a_first_meeting else machine(home)
    before.refresh()
    for number in range(3):
        land(before, number, "K1", f"K{number + 2}")
    if what is a_tidying:
        before.compact(CONTACTS)
    shutil.copytree(home, tmp_path / "kept")
    kept, was = dict(bucket.objects), known(before)
    what(machine(home))
    expected, landed = known(machine(home)), rows(machine(home))

    for at in range(1, 100):
        for carried_out in (False, True):
            shutil.rmtree(home)
            shutil.copytree(tmp_path / "kept", home)
            bucket.objects = dict(kept)
            child = FORKS.Process(target=work, args=(what, home, bucket.environment))
            writes = 0

            def kill(method: str, name: str, done: bool, child: Any = child, at: int = at, after: bool = carried_out) -> None:
                nonlocal writes
                if method in ("PUT", "POST", "DELETE") and not name.endswith("/clock"):
                    writes += not done
                    if (writes, done) == (at, after):
                        os.kill(child.pid, signal.SIGKILL)
                        raise Refuse(0)

            bucket.watch = kill
            child.start()
            child.join(300)
            bucket.watch = lambda method, name, done: None
            if child.exitcode == 0 and writes >= at:
                assert carried_out, "it was refused, so that nothing was carried out: a name that is taken"
                continue
            if child.exitcode == 0:
                assert at > 1
                return
            assert child.exitcode == -signal.SIGKILL

            if what is not a_first_meeting or carried_out:  # another machine looks on meanwhile
                other = machine(tmp_path / f"other {at} {carried_out}")
                other.refresh()
                assert other.damages(whole=True) == []
                if what is not somebody_forgotten:
                    assert known(other) in (was, expected, [])
            again = machine(home)
            what(again)
            assert known(again) == expected, f"killed at write {at}"
            assert rows(again) == landed, f"killed at write {at}"
            assert again.damages(whole=True) == []
            sequences = [load.manifest.sequence for load in again.loads(CONTACTS)]
            assert sequences == list(range(1, len(sequences) + 1))
            fresh = machine(tmp_path / f"fresh {at} {carried_out}")
            fresh.refresh()
            assert known(fresh) == expected
            assert sorted(path.name for path in fresh.quarantine.rglob("*.jsonl")) >= sorted(
                path.name
                for path in home.rglob("quarantine/*/*.jsonl")
                if path.stem in {load.load_id for load in again.loads(CONTACTS)}
            )
            if what is somebody_forgotten:
                assert not any(b"K1 Personal" in content for content, _ in bucket.objects.values())
    raise AssertionError("it never ended")
