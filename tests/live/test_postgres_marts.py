"""The published marts in a real PostgreSQL: whole, exact, under readers, and in spite of whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nights import AS_OF, House

from dagster_project.described import RUN, Described
from dagster_project.outgoing import postgres
from dagster_project.outgoing.postgres import PostgresError, Standing, bring

MONDAY, TUESDAY = date(2025, 6, 2), date(2025, 6, 3)

READERS = int(os.environ.get("ARREARS_READER_RUNS", "12"))
"""How many look while mornings are published; 1,000 by hand."""

DESCRIBED: Mapping[str, Described] = {
    "run": RUN,
    "open_items": Described("One row per open item.", {"item_id": "The item.", "customer_id": "Whose it's."}, ("item_id",)),
    "kpi_monthly": Described("One row per figure.", {"value": "100% of it."}, ("month", "coalesce(scope_value, '')")),
}


def published(folder: Path, as_of: date, run: str, rows: int = 500, **more: pa.Table) -> Path:
    """A folder as publishing leaves it. Every row says of which run it is."""
    marts = {
        "run": pa.table({"as_of": [as_of], "run_id": [run], "published_at": [f"{as_of}T05:00:00+00:00"]}),
        "open_items": pa.table(
            {
                "item_id": [f"{number:07}" for number in range(rows)],
                "customer_id": [f"C-{number % 50}" for number in range(rows)],
                "run": [run] * rows,
                "amount": pa.array([Decimal(number).scaleb(-2) for number in range(rows)], pa.decimal128(18, 4)),
            }
        ),
        "kpi_monthly": pa.table(
            {"month": [as_of, as_of], "scope_value": [None, "0100"], "value": pa.array([1, None], pa.int32()), "run": [run] * 2}
        ),
        **more,
    }
    parquet = folder / ".sets" / f"{as_of}.{run}"
    parquet.mkdir(parents=True)
    for name, mart in marts.items():
        pq.write_table(mart, parquet / f"{name}.parquet", row_group_size=10_000)
    (folder / "parquet").unlink(missing_ok=True)
    (folder / "parquet").symlink_to(parquet)
    return folder


def plain(address: str) -> str:
    return address.replace("+psycopg", "")


def asked(address: str, question: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(plain(address), autocommit=True) as con:
        answer = con.execute(question, values or None)  # type: ignore[call-overload]
        return answer.fetchall() if answer.description else []


# --- what stands there ------------------------------------------------------------------------------------------------


def test_every_value_arrives_as_it_was(database: str, tmp_path: Path) -> None:
    odd = pa.table(
        {
            "key": pa.array([1, 2, 3, 4], pa.int64()),
            "said": ["", None, 'He said "no",\nthen \\N and \t left', "nul \0 and Ümlaut, 株式会社 \N{EURO SIGN}"],
            "money": pa.array([Decimal("-0.0001"), None, Decimal("99999999999999.9999"), Decimal(0)], pa.decimal128(18, 4)),
            "day": pa.array([date(1, 1, 1), None, date(9999, 12, 31), MONDAY]),
            "at": pa.array(
                [datetime(2025, 6, 2, 5, 0, 0, 123456), None, datetime(1999, 12, 31, 23, 59, 59), None], pa.timestamp("us")
            ),
            "yes": [True, None, False, True],
            "n": pa.array([-(2**31), None, 0, 2**31 - 1], pa.int32()),
        }
    )

    stands = bring(database, published(tmp_path, MONDAY, "r1", odd=odd), DESCRIBED)

    assert stands == Standing(MONDAY, 507)
    kinds = asked(
        database,
        "select data_type, numeric_precision, numeric_scale from information_schema.columns where table_name = 'odd' "
        "order by ordinal_position",
    )
    assert [kind for kind, *_ in kinds] == [
        "bigint",
        "text",
        "numeric",
        "date",
        "timestamp without time zone",
        "boolean",
        "integer",
    ]
    assert kinds[2] == ("numeric", 18, 4)
    wanted = [tuple(row.values()) for row in odd.to_pylist()]
    wanted[3] = (4, wanted[3][1].replace("\0", "\ufffd"), *wanted[3][2:])
    assert asked(database, "select * from arrears.odd order by key") == wanted


def test_tables_and_columns_say_what_they_are_and_have_their_keys_and_indexes(database: str, tmp_path: Path) -> None:
    for day in (MONDAY, TUESDAY):
        bring(database, published(tmp_path, day, "r1"), DESCRIBED)

        assert asked(database, "select obj_description('arrears.open_items'::regclass)") == [("One row per open item.",)]
        assert asked(database, "select col_description('arrears.kpi_monthly'::regclass, 3)") == [("100% of it.",)]
        assert asked(database, "select obj_description('arrears'::regnamespace)") == [
            (f"The morning of {day}, published by Arrears (run r1).",)
        ]
        assert asked(
            database, "select indexdef from pg_indexes where schemaname = 'arrears' and tablename <> 'run' order by 1"
        ) == [
            ("CREATE INDEX open_items_customer_id_idx ON arrears.open_items USING btree (customer_id)",),
            ("CREATE UNIQUE INDEX kpi_monthly_key ON arrears.kpi_monthly USING btree (month, COALESCE(scope_value, ''::text))",),
            ("CREATE UNIQUE INDEX open_items_pkey ON arrears.open_items USING btree (item_id)",),
        ]


def test_grants_and_what_others_built_on_the_tables_stay(database: str, tmp_path: Path) -> None:
    bring(database, published(tmp_path, MONDAY, "r1"), DESCRIBED)
    asked(
        database,
        "drop role if exists bi; create role bi; grant usage on schema arrears to bi; grant select on arrears.open_items to bi; "
        "alter default privileges in schema arrears grant select on tables to bi; "
        "create schema mine; create view mine.large as select run from arrears.open_items where amount > 4; "
        "alter table arrears.open_items enable row level security",
    )

    more = {"new_mart": pa.table({"x": ["y"]})}
    bring(database, published(tmp_path, TUESDAY, "r2", **more), DESCRIBED)

    assert asked(database, "set role bi; select distinct run from arrears.open_items") == []
    assert asked(database, "select distinct run from mine.large") == [("r2",)]
    for mart, may in (("open_items", True), ("new_mart", True), ("kpi_monthly", False)):
        assert asked(database, "select has_table_privilege('bi', %s, 'select')", f"arrears.{mart}") == [(may,)]
    assert asked(database, "select relrowsecurity from pg_class where oid = 'arrears.open_items'::regclass") == [(True,)]
    asked(database, "drop owned by bi; drop role bi")


def test_an_older_morning_and_one_that_stands_there_already_change_nothing(database: str, tmp_path: Path) -> None:
    tuesday = published(tmp_path / "tuesday", TUESDAY, "r2")
    bring(database, tuesday, DESCRIBED)

    assert bring(database, published(tmp_path / "monday", MONDAY, "r3"), DESCRIBED) == Standing(TUESDAY)
    assert bring(database, tuesday, DESCRIBED) == Standing(TUESDAY)
    assert asked(database, "select distinct run from arrears.open_items") == [("r2",)]
    assert bring(database, tuesday, DESCRIBED, anew=True) == Standing(TUESDAY, 503)
    assert bring(database, published(tmp_path / "again", TUESDAY, "r4"), DESCRIBED) == Standing(TUESDAY, 503)
    assert asked(database, "select distinct run from arrears.open_items") == [("r4",)]


def test_a_release_adds_widens_and_takes_away_columns(database: str, tmp_path: Path) -> None:
    bring(
        database,
        published(tmp_path, MONDAY, "r1", changing=pa.table({"key": pa.array([1], pa.int32()), "left_out": ["x"]})),
        {**DESCRIBED, "changing": Described("One row per thing.", {}, ("left_out",))},
    )

    later = pa.table({"added": ["new"], "key": pa.array([2**40], pa.int64())})
    bring(
        database,
        published(tmp_path, TUESDAY, "r2", changing=later),
        {**DESCRIBED, "changing": Described("One row per thing.", {}, ("key",))},
    )

    assert asked(database, "select key, left_out, added from arrears.changing") == [(2**40, None, "new")]
    assert asked(database, "select indexdef from pg_indexes where tablename = 'changing'") == [
        ("CREATE UNIQUE INDEX changing_pkey ON arrears.changing USING btree (key)",)
    ]


def test_a_night_in_production_brings_every_mart_and_one_without_the_database_is_a_night_all_the_same(
    database: str, tmp_path: Path
) -> None:
    house = House(tmp_path / "home").with_(environment="production", postgres_url=database)

    said = house.command("run", "--date", AS_OF.isoformat())

    assert said.code == 0, said.err
    assert f"the morning of {AS_OF} in " in said.out
    marts = {path.stem: pq.read_metadata(path).num_rows for path in (house.home / "published" / "parquet").glob("*.parquet")}
    assert {mart: asked(database, f'select count(*) from arrears."{mart}"')[0][0] for mart in marts} == marts
    silent = (
        "select relname, attname from pg_attribute join pg_class on attrelid = pg_class.oid where relkind = 'r' and attnum > 0 and "
        "relnamespace = 'arrears'::regnamespace and coalesce(col_description(attrelid, attnum), '') = ''"
    )
    assert asked(database, silent) == []
    keyed = asked(database, "select tablename from pg_indexes where schemaname = 'arrears' and indexname ~ '_p?key$'")
    assert {mart for (mart,) in keyed} == set(marts)
    assert (
        asked(database, "select data_type, numeric_scale from information_schema.columns where column_name = 'open_amount'") != []
    )
    floats = "select table_name, column_name from information_schema.columns where table_schema = 'arrears' and data_type ~ 'real|double'"
    assert asked(database, floats) == []

    away = house.with_(postgres_url=database.replace("arrears@127.0.0.1", "arrears:pass-word-83a1@127.0.0.2"))
    again = away.command("run", "--date", AS_OF.isoformat())

    assert again.code == 0, again.err
    assert "! PostgreSQL does not have the morning: nobody answers at its address. The next night tries again" in again.out
    assert not [path for path in house.home.rglob("*") if path.is_file() and b"pass-word-83a1" in path.read_bytes()]


# --- under readers ----------------------------------------------------------------------------------------------------

ONE_LOOK = (
    "select string_agg(distinct a.run || '=' || k.run || '=' || r.run_id, ' '), count(*) from arrears.open_items a "
    "join arrears.open_items b using (item_id) cross join (select min(run) as run from arrears.kpi_monthly) k cross join arrears.run r"
)


def look(address: str, stop: threading.Event, seen: set[str]) -> int:
    """Look again and again, as dashboards do, now with one statement, now with several in a transaction."""
    times = 0
    while not stop.is_set():
        try:
            with psycopg.connect(plain(address)) as con:
                for _ in range(3):
                    seen.add("{} in {}".format(*con.execute(ONE_LOOK).fetchone()))  # type: ignore[misc]
                    con.commit()
                    con.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                    told = [
                        con.execute(f"select min(run), max(run), count(*) from arrears.{mart}").fetchone()
                        for mart in ("open_items", "kpi_monthly")
                    ]
                    con.commit()
                    con.isolation_level = None
                    assert told[0] and told[1]
                    seen.add(f"{told[0][0]}={told[0][1]}={told[1][0]} in {told[0][2]}")
                    times += 1
        except Exception as broken:
            seen.add(f"{type(broken).__name__}: {broken}")
    return times


def test_readers_see_one_whole_morning_or_the_other_and_wait_for_nobody(database: str, tmp_path: Path) -> None:
    bring(database, published(tmp_path, MONDAY, "r0"), DESCRIBED)
    stop, seen = threading.Event(), set[str]()
    with ThreadPoolExecutor(READERS) as pool, psycopg.connect(plain(database)) as idle:
        idle.execute("select * from arrears.open_items")  # and is left open over lunch
        looks = [pool.submit(look, database, stop, seen) for _ in range(READERS)]
        for number in range(1, 11):
            bring(database, published(tmp_path, TUESDAY, f"r{number}"), DESCRIBED)
        stop.set()

    assert seen <= {f"r{n}=r{n}=r{n} in 500" for n in range(11)}, seen
    assert len(seen) > 3
    assert sum(found.result() for found in looks) > READERS


# --- what dies meanwhile ----------------------------------------------------------------------------------------------

LOADS_IT = """
import sys
from pathlib import Path
from dagster_project.outgoing import postgres
postgres.BATCH = 1_000
sys.path[:0] = ["tests/live", "tests/e2e"]
from test_postgres_marts import DESCRIBED
print(postgres.bring(sys.argv[1], Path(sys.argv[2]), DESCRIBED), flush=True)
"""


@contextmanager
def loading(address: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that loads, given once it is at it."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOADS_IT, address, str(folder)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        for _ in range(600):
            with suppress(psycopg.OperationalError):
                if asked(address, "select 1 from pg_stat_activity where application_name = 'arrears' and query ilike 'copy%'"):
                    break
            time.sleep(0.02)
        else:
            raise AssertionError("it never began")
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_a_load_that_is_killed_leaves_the_morning_before_and_nothing_else(database: str, tmp_path: Path) -> None:
    bring(database, published(tmp_path, MONDAY, "r1"), DESCRIBED)
    later = published(tmp_path, TUESDAY, "r2", rows=200_000)
    with loading(database, later) as night:
        night.send_signal(signal.SIGKILL)
        night.wait()
    for _ in range(100):
        if not asked(database, "select 1 from pg_stat_activity where application_name = 'arrears'"):
            break
        time.sleep(0.1)

    assert asked(database, "select distinct run from arrears.open_items") == [("r1",)]
    others = "relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'arrears'::regnamespace)"
    assert asked(database, f"select relname from pg_class where relkind = 'r' and {others}") == []
    assert bring(database, later, DESCRIBED) == Standing(TUESDAY, 200_003)


def test_two_nights_at_once_take_turns(database: str, tmp_path: Path) -> None:
    later = published(tmp_path, TUESDAY, "r2", rows=100_000)
    with loading(database, later) as other:
        assert bring(database, later, DESCRIBED) == Standing(TUESDAY)
        assert other.communicate()[0] == "the morning of 2025-06-03 in 100,003 rows\n"


def test_a_server_that_dies_in_the_middle_has_the_morning_before_and_catches_up(mortal_postgres: Any, tmp_path: Path) -> None:
    address = f"{mortal_postgres.address}/postgres"
    bring(address, published(tmp_path, MONDAY, "r1"), DESCRIBED)
    later = published(tmp_path, TUESDAY, "r2", rows=200_000)
    with ThreadPoolExecutor(1) as night:
        loads = night.submit(bring, address, later, DESCRIBED)
        while not loads.done() and not asked(
            address, "select 1 from pg_stat_activity where query ilike 'copy%open_items%' and state = 'active'"
        ):
            time.sleep(0.01)
        mortal_postgres.kill()
        with pytest.raises(PostgresError, match=r"connection was lost|terminating connection"):
            loads.result()
    with pytest.raises(PostgresError, match="nobody answers at its address"):
        bring(address, later, DESCRIBED)

    mortal_postgres.start()

    assert asked(address, "select distinct run from arrears.open_items") == [("r1",)]
    assert bring(address, later, DESCRIBED) == Standing(TUESDAY, 200_003)


def test_a_server_that_freezes_is_not_waited_for_all_day(
    mortal_postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{mortal_postgres.address}/postgres"
    frozen: list[int] = []

    def freeze(con: psycopg.Connection[Any], *_: Any) -> None:
        frozen.append(con.info.backend_pid)
        os.kill(con.info.backend_pid, signal.SIGSTOP)

    monkeypatch.setattr(postgres, "_fit", freeze)
    began = time.monotonic()
    try:
        with pytest.raises(PostgresError, match="the connection was lost"):
            bring(address, published(tmp_path, MONDAY, "r1"), DESCRIBED, patience=2)
    finally:
        os.kill(frozen[0], signal.SIGCONT)
    assert time.monotonic() - began < 20


def test_who_may_not_and_who_is_in_the_way_are_told_in_a_line(database: str, tmp_path: Path) -> None:
    asked(database, "drop role if exists poor; create role poor login")
    as_poor = database.replace("arrears@", "poor@")
    folder = published(tmp_path, MONDAY, "r1")

    with pytest.raises(PostgresError, match=r"^permission denied for database \w+; its user needs to own schema arrears"):
        bring(as_poor, folder, DESCRIBED)
    asked(database, "create schema arrears authorization poor")
    assert bring(as_poor, folder, DESCRIBED) == Standing(MONDAY, 503), "which is all it needs"

    asked(database, "create view public.mine as select run from arrears.open_items")
    narrow = pa.table({"item_id": ["1"], "run": pa.array([1], pa.int32())})
    with pytest.raises(PostgresError, match=r"cannot alter type of a column used by a view.*mine"):
        bring(as_poor, published(tmp_path, TUESDAY, "r2", open_items=narrow), DESCRIBED)
    asked(database, "drop owned by poor cascade; drop role poor")


def test_memory_does_not_grow_with_a_mart(database: str, tmp_path: Path) -> None:
    import resource

    bring(database, published(tmp_path, MONDAY, "r1", rows=20_000), DESCRIBED)
    long = published(tmp_path, TUESDAY, "r2", rows=600_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    bring(database, long, DESCRIBED)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000, "kilobytes"
