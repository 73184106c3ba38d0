"""What is published, in a PostgreSQL database as well: schema `arrears`, one table a mart (contract.md, section 3.1).

Belongs here: tables as PostgreSQL has them, bringing a whole morning there, and why a server did not take it in words that give no
address away. Does not belong here: what is published (`warehouse.py`), what the marts mean (`described.py`).

The tables of a morning are loaded beside those that people read, into temporary tables, and take their place in one transaction. In
their place means row by row: a table that was dropped and made anew would lose its grants, the views that others built on it, and, for
a reader whose transaction began before, its rows. A load that was killed leaves nothing, since what is temporary ends with its session.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dagster_project.described import Described
from dagster_project.warehouse import newer_is_out
from dagster_project.words import printable

SCHEMA: Final = "arrears"

FILTERED_BY: Final = ("customer_id", "company_id", "invoice_id", "collector", "month", "snapshot_date", "due_date", "kpi")
"""What BI tools filter and join by: a mart that has the column has an index on it, unless its key begins with it."""

BATCH: Final = 20_000
"""Rows that are in memory at one time."""

PATIENCE: Final = 1_200
"""Seconds in which something must move on a connection; the server gives a statement three quarters of them."""

_GIVEN: Final = {
    "connect_timeout": 10,
    "application_name": SCHEMA,
    "client_encoding": "UTF8",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""How a connection is asked for, where the address does not say otherwise."""

_TURN: Final = 4_747_290_615
"""The advisory lock of whoever loads: one night at a time in a database."""


class PostgresError(Exception):
    """The morning does not stand in PostgreSQL. The message says why in a line, and never the address, which has a password in it."""


@dataclass(frozen=True)
class Standing:
    """What stands in the database now. `rows` is None where nothing was loaded, since that morning or a newer one stood there already."""

    as_of: date
    rows: int | None = None

    def __str__(self) -> str:
        return f"the morning of {self.as_of} " + ("stands there already" if self.rows is None else f"in {self.rows:,} rows")


@dataclass(frozen=True)
class _Run:
    as_of: date
    run_id: str
    published_at: str


def bring(
    url: str, published: Path, described: Mapping[str, Described], *, anew: bool = False, patience: float = PATIENCE
) -> Standing:
    """Let what is published in a folder stand in the database too, unless that very run or a newer morning does. `anew`: also where it
    does, since its files were written anew.

    Raises:
        PostgresError: it does not; the next call begins anew.
        OSError: nothing is published there, or it cannot be read.
    """
    with ExitStack() as stack:
        # Open, they stay whole however often somebody publishes meanwhile.
        folder = (published / "parquet").resolve(strict=True)
        files = {path.stem: stack.enter_context(pq.ParquetFile(path)) for path in sorted(folder.glob("*.parquet"))}
        (row,) = files["run"].read(["as_of", "run_id", "published_at"]).to_pylist()
        run = _Run(**row)
        con = stack.enter_context(_connected(url))
        try:
            moved = stack.enter_context(_cut_off_after(con, patience))
            con.execute(_setting("statement_timeout", patience * 3 / 4))
            con.execute("select pg_advisory_lock(%s)", [_TURN])
            con.execute(_setting("lock_timeout", 5))
            stands = _stands(con)
            if stands and newer_is_out(stands.as_of, run.as_of):
                return Standing(stands.as_of)
            if stands == run and not anew:
                return Standing(run.as_of)
            _fit(con, files, described)
            for mart, file in files.items():
                _load(con, mart, file, moved)
            rows = _swap(con, files, described, run, moved)
            with suppress(psycopg.Error):  # the morning stands; a room that is not tidied today is tidied by the server
                for mart in files:
                    con.execute(sql.SQL("vacuum (truncate false) {}").format(_table(mart)))
                    moved()
            return Standing(run.as_of, rows)
        except psycopg.Error as refused:
            raise PostgresError(_said(refused)) from None


def _setting(name: str, seconds: float) -> sql.Composed:
    return sql.SQL("set {} = {}").format(sql.Identifier(name), sql.Literal(f"{int(seconds * 1000)}ms"))


# --- the connection ---------------------------------------------------------------------------------------------------


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        given = conninfo_to_dict(re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", url))
    except psycopg.ProgrammingError:
        raise PostgresError(
            "ARREARS_POSTGRES_URL is no address: write postgresql://user:password@host/database, with %40 for an @ in the password"
        ) from None
    try:
        # prepared statements are a session's own, which some poolers do not keep
        con = psycopg.connect(autocommit=True, prepare_threshold=None, **cast(dict[str, Any], _GIVEN | given))
    except psycopg.Error as unreachable:
        raise PostgresError(_unreachable(str(unreachable))) from None
    try:
        with suppress(psycopg.Error):
            con.execute("set client_min_messages = warning; set datestyle = iso; set timezone = 'UTC'")
        yield con
    finally:
        con.close()


@contextmanager
def _cut_off_after(con: psycopg.Connection[Any], seconds: float) -> Iterator[Any]:
    """Cut the connection where nothing moves for so long: a machine that is frozen says nothing, and would be waited for all day.
    Gives the function to call whenever something moved."""
    line = socket.socket(fileno=os.dup(con.fileno()))
    timers = [_timer(line, seconds)]

    def moved() -> None:
        timers[0].cancel()
        timers[0] = _timer(line, seconds)

    try:
        yield moved
    finally:
        timers[0].cancel()
        line.close()


def _timer(line: socket.socket, seconds: float) -> threading.Timer:
    def cut() -> None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    return timer


_WHY: Final[Sequence[tuple[str, str]]] = (
    (r"password authentication failed|no password supplied", "the server does not take the user or its password"),
    (r"no pg_hba\.conf entry", "the server lets nobody in this way (pg_hba.conf)"),
    (r'role ".*" does not exist|role .* not permitted', "the server does not know the user"),
    (r'database ".*" does not exist', "there is no such database"),
    (r"certificate|SSL|TLS", "server and address do not agree on TLS (sslmode, sslrootcert)"),
    (r"too many (clients|connections)|connection slots", "the server has as many connections as it takes"),
    (r"starting up|shutting down|in recovery|not yet accepting", "the server is starting or stopping"),
    (r"resolve|translate host name|Name or service", "its host's name is not known"),
    (r"[Tt]imed? ?out|timeout", "there was no answer"),
    (r"refused|No such file|unreachable|No route", "nobody answers at its address"),
)
"""Why nobody was let in: the driver's own words may have part of the address in them."""


def _unreachable(said: str) -> str:
    return next((words for pattern, words in _WHY if re.search(pattern, said)), "the connection failed")


def _said(refused: psycopg.Error) -> str:
    """What a server that was reached did not do. Its details may be rows, so only of what hangs on what they are told."""
    said = refused.diag.message_primary
    if said is None:
        return "the connection was lost"
    match refused:
        case psycopg.errors.InsufficientPrivilege():
            hint = f"; its user needs to own schema {SCHEMA}, and to be let make temporary tables"
        case psycopg.errors.DependentObjectsStillExist() | psycopg.errors.FeatureNotSupported():
            hint = f": {refused.diag.message_detail}" if refused.diag.message_detail else ""
        case psycopg.errors.LockNotAvailable():
            hint = f": somebody alters or locks a table of schema {SCHEMA}, or reads it in a transaction that does not end"
        case _:
            hint = ""
    return printable(" ".join(f"{said}{hint}".split()))


# --- tables -----------------------------------------------------------------------------------------------------------


def _table(mart: str, schema: str = SCHEMA) -> sql.Identifier:
    return sql.Identifier(schema, mart)


def _kind(kind: pa.DataType) -> str:
    """The type of a column, named as PostgreSQL names it when it is asked."""
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    kinds: Mapping[pa.DataType, str] = {
        pa.string(): "text",
        pa.bool_(): "boolean",
        pa.int32(): "integer",
        pa.int64(): "bigint",
        pa.date32(): "date",
        pa.timestamp("us"): "timestamp without time zone",
    }
    return kinds[kind]


def _columns(schema: pa.Schema) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(f.name), sql.SQL(_kind(f.type))) for f in schema)


def _names(schema: pa.Schema) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, schema.names))


def _stands(con: psycopg.Connection[Any]) -> _Run | None:
    """The run whose morning stands there; None where none does."""
    there = con.execute(
        "select count(*) from pg_attribute where attrelid = to_regclass(%s) and attname in ('as_of', 'run_id', 'published_at')",
        [f"{SCHEMA}.run"],
    ).fetchone()
    if there != (3,):
        return None
    row = con.execute(sql.SQL("select as_of, run_id, published_at from {}").format(_table("run"))).fetchone()
    return _Run(*row) if row else None


def _fit(con: psycopg.Connection[Any], files: Mapping[str, pq.ParquetFile], described: Mapping[str, Described]) -> None:
    """Let the tables that are there have the columns that are wanted, and no other key. No column is taken away, since others may build
    on it: one that a release no longer has is empty from then on."""
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    for mart, column, kind, required in con.execute(
        "select relname, attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute join pg_class on attrelid = pg_class.oid "
        "where relnamespace = to_regnamespace(%s) and relkind in ('r', 'p') and attnum > 0 and not attisdropped",
        [SCHEMA],
    ):
        found.setdefault(mart, {})[column] = (kind, required)
    for mart in files.keys() & found.keys():
        there, wanted = found[mart], {field.name: _kind(field.type) for field in files[mart].schema_arrow}
        key = _key_of(con, mart)
        changes = (
            [sql.SQL("drop constraint {}").format(_constraint(mart))]
            if key and key != _plain_key(mart, wanted, described)
            else []
        )
        changes += [
            sql.SQL("alter {0} type {1} using cast({0} as {1})" if name in there else "add {} {}").format(
                sql.Identifier(name), sql.SQL(kind)
            )
            for name, kind in wanted.items()
            if there.get(name, ("",))[0] != kind
        ]
        changes += [
            sql.SQL("alter {} drop not null").format(sql.Identifier(name))
            for name, (_, required) in there.items()
            if required and name not in wanted
        ]
        for change in changes:
            con.execute(sql.SQL("alter table {} {}").format(_table(mart), change))


def _constraint(mart: str) -> sql.Identifier:
    return sql.Identifier(f"{mart}_pkey")


def _key_of(con: psycopg.Connection[Any], mart: str) -> list[str] | None:
    """The columns of a table's primary key; None where it has none."""
    found = con.execute(
        "select array(select attname::text from unnest(conkey) with ordinality as part(number, place) join pg_attribute "
        "on attrelid = conrelid and attnum = number order by place) from pg_constraint where conrelid = to_regclass(%s) and contype = 'p'",
        [f'{SCHEMA}."{mart}"'],
    ).fetchone()
    return found[0] if found else None


def _plain_key(mart: str, columns: Collection[str], described: Mapping[str, Described]) -> list[str] | None:
    """The key that a mart is described with, where it is made of columns, as a primary key is."""
    key = list(described[mart].key) if mart in described else []
    return key if key and set(key) <= set(columns) else None


def _load(con: psycopg.Connection[Any], mart: str, file: pq.ParquetFile, moved: Any) -> None:
    """A mart into a temporary table of its name, a batch at a time."""
    schema = file.schema_arrow
    con.execute(sql.SQL("create temp table {} ({})").format(sql.Identifier(mart), _columns(schema)))
    into = sql.SQL("copy pg_temp.{} ({}) from stdin (format csv)").format(sql.Identifier(mart), _names(schema))
    # quoted where there is a value, so that an empty text is none that is missing
    how = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
    with con.cursor() as cursor, cursor.copy(into) as copy:
        for batch in file.iter_batches(BATCH, use_threads=False):
            buffer = BytesIO()
            pa_csv.write_csv(batch, buffer, how)
            copy.write(
                buffer.getvalue().replace(b"\0", "\N{REPLACEMENT CHARACTER}".encode())
            )  # which PostgreSQL has no text with
            moved()


def _swap(
    con: psycopg.Connection[Any],
    files: Mapping[str, pq.ParquetFile],
    described: Mapping[str, Described],
    run: _Run,
    moved: Any,
) -> int:
    """Put what was loaded in the place of what stands there, all of it in one transaction. Returns how many rows there are."""
    rows = 0
    with con.transaction():
        if con.execute("select to_regnamespace(%s)", [SCHEMA]).fetchone() == (None,):
            con.execute(sql.SQL("create schema {}").format(sql.Identifier(SCHEMA)))
        for mart, file in files.items():
            schema, table = file.schema_arrow, _table(mart)
            con.execute(sql.SQL("create table if not exists {} ({})").format(table, _columns(schema)))
            con.execute(sql.SQL("delete from {}").format(table))
            put = con.execute(
                sql.SQL("insert into {0} ({1}) select {1} from pg_temp.{2}").format(table, _names(schema), sql.Identifier(mart))
            ).rowcount
            if put != file.metadata.num_rows:
                raise PostgresError(f"{mart} has {file.metadata.num_rows} rows, of which {put} arrived")
            rows += put
            moved()
            for statement in _keys(con, mart, schema.names, described):
                con.execute(statement)
                moved()
            con.execute(sql.SQL("analyze {}").format(table))
        _comment(con, described, run)
    return rows


def _keys(
    con: psycopg.Connection[Any], mart: str, names: Sequence[str], described: Mapping[str, Described]
) -> Iterator[sql.Composed]:
    """The statements that give a table the key and the indexes that it lacks."""
    table, plain = _table(mart), _plain_key(mart, names, described)
    wanted = described[mart].key if mart in described else ()
    if plain and not _key_of(con, mart):
        parts = sql.SQL(", ").join(map(sql.Identifier, plain))
        yield sql.SQL("alter table {} add constraint {} primary key ({})").format(table, _constraint(mart), parts)
    if wanted and not plain:
        parts = sql.SQL(", ").join(sql.Identifier(part) if part in names else sql.SQL(f"({part})") for part in wanted)
        yield sql.SQL("create unique index if not exists {} on {} ({})").format(sql.Identifier(f"{mart}_key"), table, parts)
    for column in FILTERED_BY:
        if column in names and wanted[:1] != (column,):
            index = sql.Identifier(f"{mart}_{column}_idx")
            yield sql.SQL("create index if not exists {} on {} ({})").format(index, table, sql.Identifier(column))


def _comment(con: psycopg.Connection[Any], described: Mapping[str, Described], run: _Run) -> None:
    """Say what each table and column is, where it does not say so yet; and of the schema, whose morning it is."""
    said: list[sql.Composed] = [
        sql.SQL("comment on schema {} is {}").format(
            sql.Identifier(SCHEMA), sql.Literal(f"The morning of {run.as_of}, published by Arrears (run {run.run_id}).")
        )
    ]
    for mart, column, comment in con.execute(
        "select relname, attname, coalesce(col_description(pg_class.oid, attnum), '') from pg_class join pg_attribute on "
        "attrelid = pg_class.oid where relnamespace = to_regnamespace(%(schema)s) and attnum > 0 and not attisdropped and relkind = 'r' "
        "union all select relname, null, coalesce(obj_description(oid, 'pg_class'), '') from pg_class "
        "where relnamespace = to_regnamespace(%(schema)s) and relkind = 'r' order by 1",
        {"schema": SCHEMA},
    ).fetchall():
        told = described.get(mart)
        text = told and (told.columns.get(column) if column else told.text)
        if text and text != comment:
            of = (
                sql.SQL("column {}").format(sql.Identifier(SCHEMA, mart, column))
                if column
                else sql.SQL("table {}").format(_table(mart))
            )
            said.append(sql.SQL("comment on {} is {}").format(of, sql.Literal(text)))
    con.execute(sql.SQL("; ").join(said))
