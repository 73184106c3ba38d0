"""A morning's DuckDB files: published whole, by rename, under readers that must never notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project import duck
from dagster_project.paths import ROOT
from dagster_project.warehouse import (
    AlreadyAtWork,
    Warehouse,
    at_work_on,
    last_finished,
    mart_names,
    marts_of,
    publish,
    published_as_of,
    published_marts,
    read,
    tidy,
)

MONDAY, TUESDAY = date(2025, 6, 2), date(2025, 6, 3)
RUN = {"run_id": "r1", "policy": "net_terms", "source": "files", "published_at": "2025-06-03T05:01:00+00:00", "versions": "x=1"}


def build(root: Path, as_of: date, run: str = "r1", rows: int = 500) -> Warehouse:
    """A finished morning with two marts, each row of which says whose it is."""
    built = Warehouse(root / "warehouse" / f"{as_of}.{run}")
    built.create()
    con = duckdb.connect()
    con.execute(f"attach '{built.marts}' as published; create schema published.marts; use published.marts")
    for mart in ("aging_by_customer", "open_items"):
        con.execute(
            f"create table {mart} as select '{run}' as run, i as item, cast(i as decimal(18,4)) as amount, date '{as_of}' as as_of "
            f"from range({rows}) t(i)"
        )
    con.close()
    built.finish({"policy_fingerprint": "p", "code_fingerprint": "c"})
    built.release()
    return built


@contextmanager
def another_process(script: str, *arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """Python that runs beside this one, as a BI tool or another run does; it says `ready` when it is."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def asked(process: subprocess.Popen[str], line: str = "") -> Any:
    assert process.stdin
    assert process.stdout
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


# --- publishing -------------------------------------------------------------------------------------------------------


def test_what_was_built_is_published_with_a_row_that_says_what_it_is(tmp_path: Path) -> None:
    target = publish(build(tmp_path, MONDAY).marts, tmp_path / "published", MONDAY, RUN)

    assert target == tmp_path / "published"
    with marts_of(target / "arrears.duckdb") as con:
        assert mart_names(con) == ["aging_by_customer", "open_items", "run"]
        assert con.execute("select * from run").fetchall() == [(MONDAY, *RUN.values())]
        assert [row[0] for row in con.execute("describe run").fetchall()] == ["as_of", *RUN]
    assert published_as_of(target) == MONDAY


OPENS_IT = """
import duckdb, sys
path = sys.argv[1]
with duckdb.connect(path, read_only=True) as con:
    print(con.execute("select count(*) from marts.open_items").fetchone()[0])
with duckdb.connect() as con:
    con.execute(f"attach '{path}' as book (read_only); use book")
    print(con.execute("select count(*) from marts.open_items").fetchone()[0])
    print(con.execute("select count(*) from book.marts.open_items").fetchone()[0])
with duckdb.connect() as con:
    con.execute(f"attach '{path}' as arrears (read_only); use arrears.marts")
    print(con.execute("select count(*) from open_items").fetchone()[0])
"""


def test_a_mart_has_one_name_however_the_file_is_opened(tmp_path: Path) -> None:
    published = publish(build(tmp_path, MONDAY).marts, tmp_path / "published", MONDAY, RUN)

    for name in ("arrears.duckdb", "marts.duckdb"):
        told = subprocess.run([sys.executable, "-c", OPENS_IT, str(published / name)], capture_output=True, text=True)
        assert told.stdout.split() == ["500"] * 4, told.stderr


def test_the_file_is_found_under_its_former_name_for_a_while(tmp_path: Path) -> None:
    published = tmp_path / "published"
    published.mkdir()
    (published / "marts.duckdb").write_text("of a release before")
    for day in (MONDAY, TUESDAY):
        publish(build(tmp_path, day).marts, published, day, RUN)

        assert (published / "marts.duckdb").is_symlink()
        assert (published / "marts.duckdb").samefile(published / "arrears.duckdb")


def test_nothing_is_copied_where_a_second_name_does(tmp_path: Path) -> None:
    built = build(tmp_path, MONDAY)

    publish(built.marts, tmp_path / "published", MONDAY, RUN)

    assert (tmp_path / "published" / "arrears.duckdb").samefile(built.marts)


def test_a_disk_that_has_no_second_names_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", refused)
    built = build(tmp_path, MONDAY)

    publish(built.marts, tmp_path / "published", MONDAY, RUN)

    assert not (tmp_path / "published" / "arrears.duckdb").samefile(built.marts)
    assert published_as_of(tmp_path / "published") == MONDAY


def test_the_parquet_files_hold_the_same_as_the_database(tmp_path: Path) -> None:
    target = publish(build(tmp_path, MONDAY).marts, tmp_path / "published", MONDAY, RUN)

    with marts_of(target / "arrears.duckdb") as con:
        tables = {name: con.sql(f'select * from "{name}" order by all').to_arrow_table() for name in mart_names(con)}
    assert sorted(path.stem for path in (target / "parquet").iterdir()) == sorted(tables)
    for name, table in tables.items():
        written = pq.read_table(target / "parquet" / f"{name}.parquet")
        assert (written.schema.names, written.schema.types) == (table.schema.names, table.schema.types), name
        assert written.to_pylist() == table.to_pylist(), name
    assert tables["open_items"].schema.field("amount").type == pa.decimal128(18, 4)


def test_an_older_morning_goes_into_history_and_leaves_the_current_one_alone(tmp_path: Path) -> None:
    published = tmp_path / "published"
    publish(build(tmp_path, TUESDAY).marts, published, TUESDAY, RUN)
    before = (published / "arrears.duckdb").stat()

    target = publish(build(tmp_path, MONDAY).marts, published, MONDAY, RUN)

    assert target == published / "history" / "2025-06-02"
    with marts_of(target / "arrears.duckdb") as con:
        assert con.execute("select as_of from run").fetchall() == [(MONDAY,)]
    assert pq.read_table(target / "parquet" / "run.parquet")["as_of"].to_pylist() == [MONDAY]
    assert published_as_of(published) == TUESDAY
    assert pq.read_table(published / "parquet" / "run.parquet")["as_of"].to_pylist() == [TUESDAY]
    assert (published / "arrears.duckdb").stat().st_ino == before.st_ino


def test_the_same_morning_again_and_a_newer_one_take_the_place_of_the_current(tmp_path: Path) -> None:
    published = tmp_path / "published"
    for number, day in enumerate((MONDAY, MONDAY, TUESDAY)):
        assert publish(build(tmp_path, day, f"r{number}").marts, published, day, RUN) == published

    with marts_of(published / "arrears.duckdb") as con:
        assert con.execute("select distinct run from open_items").fetchall() == [("r2",)]
    assert not (published / "history").exists()


def test_nothing_is_published_where_nothing_was(tmp_path: Path) -> None:
    assert published_as_of(tmp_path) is None


HOLDS_IT_OPEN = """
import sys, json, duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
parquet = duckdb.connect().execute(f"from '{sys.argv[2]}/open_items.parquet'")
print("ready", flush=True)
for line in sys.stdin:
    marts = con.execute(
        "select distinct a.run || i.run from marts.aging_by_customer a join marts.open_items i using (item)"
    ).fetchall()
    print(json.dumps({"marts": marts, "parquet": len(parquet.fetchmany(1000))}), flush=True)
"""


def test_a_reader_that_holds_the_old_file_keeps_reading_it_and_blocks_nobody(tmp_path: Path) -> None:
    published = tmp_path / "published"
    publish(build(tmp_path, MONDAY, "old").marts, published, MONDAY, RUN)

    with another_process(HOLDS_IT_OPEN, published / "arrears.duckdb", published / "parquet") as reader:
        publish(build(tmp_path, TUESDAY, "new").marts, published, TUESDAY, RUN)
        assert published_as_of(published) == TUESDAY

        assert asked(reader) == {"marts": [["oldold"]], "parquet": 500}


def test_a_delivery_that_is_run_again_writes_on_beside_the_reader_not_under_it(tmp_path: Path) -> None:
    published, built = tmp_path / "published", build(tmp_path, MONDAY, "old")
    publish(built.marts, published, MONDAY, RUN)

    with another_process(HOLDS_IT_OPEN, published / "arrears.duckdb", published / "parquet") as reader:
        publish(built.marts, published, MONDAY, {**RUN, "run_id": "again"})

        assert asked(reader) == {"marts": [["oldold"]], "parquet": 500}
    with marts_of(published / "arrears.duckdb") as con:
        assert con.execute("select run_id from run").fetchall() == [("again",)]


OPENS_IT_IN_A_LOOP = """
import sys, json, duckdb, threading
path, parquet = sys.argv[1:]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
seen, times = set(), 0
print("ready", flush=True)
while not stop.is_set():
    try:
        with duckdb.connect(path, read_only=True) as con:
            one = con.execute(
                "select distinct a.run || '=' || i.run || '=' || r.run_id || '=' || (select count(*) from marts.open_items) "
                "from marts.aging_by_customer a, marts.open_items i, marts.run r where a.item = 7 and i.item = 7"
            ).fetchall()
        with duckdb.connect() as con:
            rows = con.execute(f"select count(*) from '{parquet}/open_items.parquet'").fetchall()
        seen.add(json.dumps([one, rows]))
        times += 1
    except Exception as broken:
        seen.add(f"{type(broken).__name__}: {broken}")
print(json.dumps({"seen": sorted(seen), "times": times}), flush=True)
"""


def test_readers_that_open_the_path_again_and_again_always_get_one_whole_set(tmp_path: Path) -> None:
    published = tmp_path / "published"
    publish(build(tmp_path, MONDAY, "r0").marts, published, MONDAY, {**RUN, "run_id": "r0"})

    with another_process(OPENS_IT_IN_A_LOOP, published / "arrears.duckdb", published / "parquet") as reader:
        for number in range(1, 8):
            run = f"r{number}"
            publish(build(tmp_path, MONDAY, run).marts, published, MONDAY, {**RUN, "run_id": run})
        told = asked(reader)

    whole = {json.dumps([[[f"r{n}=r{n}=r{n}=500"]], [[500]]]) for n in range(8)}
    assert set(told["seen"]) <= whole
    assert told["times"] >= 5


def test_parquet_files_of_earlier_runs_do_not_pile_up(tmp_path: Path) -> None:
    published = tmp_path / "published"
    for number in range(4):
        publish(build(tmp_path, MONDAY, f"r{number}").marts, published, MONDAY, RUN)

    kept = {path.name for path in (published / ".sets").iterdir()}
    assert len(kept) == 2, "the current ones, and those a reader may be half way through"
    assert (published / "parquet").resolve().name in kept


# --- private folders --------------------------------------------------------------------------------------------------


def folder(root: Path, as_of: date, run: str, age: int) -> Warehouse:
    built = build(root, as_of, run, rows=1)
    at = built.folder.stat().st_mtime - age
    os.utime(built.folder, (at, at))
    return built


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "warehouse").iterdir())


def test_the_newest_folders_are_kept_for_a_look_inside_and_the_others_go(tmp_path: Path) -> None:
    for age, run in enumerate(("new", "older", "old", "oldest")):
        folder(tmp_path, MONDAY, run, age * 100)

    tidy(tmp_path / "warehouse", 2)
    assert names(tmp_path) == ["2025-06-02.new", "2025-06-02.older"]

    tidy(tmp_path / "warehouse", 0)
    assert names(tmp_path) == []


HOLDS_THE_LOCK = """
import sys, pathlib
from dagster_project.warehouse import Warehouse
mine = Warehouse(pathlib.Path(sys.argv[1]))
mine.create()
print("ready", flush=True)
sys.stdin.readline()
"""


def test_a_folder_that_another_run_works_in_stays(tmp_path: Path) -> None:
    used = tmp_path / "warehouse" / "2025-06-02.used"
    with another_process(HOLDS_THE_LOCK, used):
        tidy(tmp_path / "warehouse", 0)
        assert names(tmp_path) == ["2025-06-02.used"]

    tidy(tmp_path / "warehouse", 0)
    assert names(tmp_path) == [], "the other run was killed, and what it left goes"


def test_no_folder_is_no_reason_to_fail(tmp_path: Path) -> None:
    tidy(tmp_path / "nowhere", 3)
    assert last_finished(tmp_path / "nowhere", MONDAY) is None


def test_only_a_folder_that_was_built_to_the_end_is_delivered_from(tmp_path: Path) -> None:
    folder(tmp_path, MONDAY, "older", 200)
    newest = folder(tmp_path, MONDAY, "newest", 100)
    folder(tmp_path, TUESDAY, "other", 0)
    broken = Warehouse(tmp_path / "warehouse" / "2025-06-02.broken")
    broken.create()
    broken.release()

    found = last_finished(tmp_path / "warehouse", MONDAY)

    assert found is not None
    assert found.folder == newest.folder
    assert not broken.finished


def test_a_folder_that_is_started_anew_holds_nothing_of_the_last_attempt(tmp_path: Path) -> None:
    built = build(tmp_path, MONDAY)
    publish(built.marts, tmp_path / "published", MONDAY, RUN)

    built.create()
    built.release()

    assert not built.marts.exists()
    assert not built.finished
    assert published_as_of(tmp_path / "published") == MONDAY, "what was published has a name of its own"


def test_tables_are_read_in_an_order_that_does_not_change(tmp_path: Path) -> None:
    built = build(tmp_path, MONDAY)

    publish(built.marts, tmp_path / "published", MONDAY, RUN)
    tables: Mapping[str, pa.Table] = read(built.parquet, {"open_items": ["item"], "not_there": []})

    assert list(tables) == ["open_items"]
    assert tables["open_items"]["item"].to_pylist() == list(range(500))


def test_a_scratch_database_reads_times_as_utc_and_leaves_nothing(tmp_path: Path) -> None:
    with duck.scratch(tmp_path) as con:
        (at,) = con.execute("select cast(timestamptz '2025-06-02 05:00:00+02' as timestamp)").fetchall()

    assert str(at[0]) == "2025-06-02 03:00:00"
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_database_finds_nothing_of_the_one_before_it_or_beside_it(tmp_path: Path) -> None:
    with duck.scratch(tmp_path) as con:
        con.register("given", pa.table({"n": [1]}))
        con.execute("create table mine as from given; set timezone = 'Asia/Tokyo'; set preserve_insertion_order = true")
    with pytest.raises(duckdb.Error, match="gone"), duck.scratch(tmp_path) as con:
        con.execute("begin; create table mine (n integer); select error('gone')")

    def counted(number: int) -> tuple[Any, ...]:
        with duck.scratch(tmp_path / str(number)) as con:
            assert (
                con.execute("select 1 from duckdb_tables() union all select 1 from duckdb_views() where not internal").fetchall()
                == []
            )
            con.execute(f"create table mine as from range({number})")
            settings = "current_setting('timezone'), current_setting('preserve_insertion_order')"
            return con.execute(f"select count(*), {settings} from mine").fetchall()[0]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(counted, range(40))) == [(number, "UTC", False) for number in range(40)]


HOLD_FOR_WRITING = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_a_tool_that_holds_the_published_file_for_writing_stops_nobody(tmp_path: Path) -> None:
    published = tmp_path / "published"
    publish(build(tmp_path, MONDAY).marts, published, MONDAY, RUN)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD_FOR_WRITING,
            str(published / "arrears.duckdb"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    try:
        target = publish(build(tmp_path, TUESDAY).marts, published, TUESDAY, RUN)
        with published_marts(target) as con:
            assert con.execute("select as_of from run").fetchone() == (TUESDAY,)
    finally:
        holder.communicate()


HOLD = """
import sys
from datetime import date
from pathlib import Path
from dagster_project.warehouse import at_work_on
with at_work_on(Path(sys.argv[1]), date(2025, 6, 2), "first"):
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_two_runs_of_one_morning_are_one_run_and_one_that_says_so(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout and other.stdout.readline() == "at work\n"
        said = rf"run first \(process {other.pid}, since [-\d: ]+ UTC\) is already at work on the morning of 2025-06-02"
        with pytest.raises(AlreadyAtWork, match=said), at_work_on(tmp_path, MONDAY, "second"):
            pass
        with at_work_on(tmp_path, TUESDAY, "another morning"):
            pass
    finally:
        other.kill()
        other.wait()
    with at_work_on(tmp_path, MONDAY, "third"):  # what a killed run left does not stop the next
        pass
    with at_work_on(tmp_path, MONDAY, "fourth"):
        pass
