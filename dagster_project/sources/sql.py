"""Datasets out of any database, as contract.md section 2.3 lays down: a folder of queries, one a dataset, over one SQLAlchemy address.

Belongs here: asking in one read-only snapshot, streaming rows, and turning a database's values into the text landing judges. Does not
belong here: what a record must be (`landing/judge.py`), and what a query selects, which is the folder's.

    ARREARS_SQL_DIR/invoices.sql     select … from …; columns named as the contract names them
                    payments.sql     may say `:updated_since`, and is then asked for what changed only
                    left_out.sql     select dataset, what, how many records: what the others leave out, for the load's metadata
                    aged.sql         select customer_id, currency, balance: what the source itself says is owed, for `make reconcile`
                    _lines.sql       a part: a query that names `_lines` has it as a table (`with _lines as (…)`), as has another part

What others land in known tables is read by folders that ship (`sql_ready/`, named in ARREARS_SQL_READY); a query of one's own folder stands
for theirs. Money is exact: a driver that hands a float over for an amount is refused with the cast to write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import sqlalchemy as sa
from pydantic import SecretStr, field_validator, model_validator
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from dagster_project.contract import DECIMALS, Column, Dataset, Type
from dagster_project.paths import ROOT
from dagster_project.sources import (
    EXTRA,
    Aged,
    Connector,
    ConnectorSettings,
    Delivery,
    NotReachedError,
    Opening,
    SourceError,
    missing_columns,
    page_schema,
)
from dagster_project.words import shown

PAGE_ROWS: Final = 20_000
OVERLAP: Final = timedelta(hours=1)
"""How far an incremental load reaches back behind the newest change landed: transactions commit later than they are stamped."""

LEFT_OUT: Final = "left_out.sql"
AGED: Final = "aged.sql"

READY: Final = Path(__file__).with_name("sql_ready")
"""Folders of queries that ship, each named for whose tables it reads."""

EVER: Final = datetime(1900, 1, 1)
"""What `:updated_since` is on a first load: before anything a ledger holds, and a time every database knows."""

_STREAM: Final = {"stream_results": True}
_SINCE: Final = "updated_since"
_QUOTED_OR_COMMENT: Final = re.compile(r"""('(?:[^']|'')*'|"[^"]*")|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_PART: Final = re.compile(r"(?<![\w.])_[a-z]\w*")
_OWN_PARTS: Final = re.compile(r"with\s+(?!recursive\b)", re.IGNORECASE)
_SNAPSHOT: Final[Mapping[str, str]] = {
    "postgresql": "set transaction isolation level repeatable read, read only",
    "sqlite": "begin",
}
"""How a database is asked for one state of everything, by dialect; others give what their default transaction gives."""


class SqlSource:
    """A database and the folders of queries that say how it calls what the contract names; of two for a dataset the first counts."""

    def __init__(self, url: str, *folders: Path, page_rows: int = PAGE_ROWS):
        """
        Raises:
            SourceError: the folder has no queries, the address means nothing or its driver is not installed.
        """
        self.folders = folders
        self.page_rows = page_rows
        for folder in folders:
            if not any(folder.glob("*.sql")):
                raise SourceError(
                    f"ARREARS_SQL_DIR: {folder} has no queries; it needs customers.sql, invoices.sql and payments.sql"
                )
        try:
            address = sa.make_url(url)
            options = {"connect_args": {"check_same_thread": False}} if address.get_backend_name() == "sqlite" else {}
            self._engine = sa.create_engine(address, **options)
        except (NoSuchModuleError, ModuleNotFoundError) as unknown:
            raise SourceError(
                f"ARREARS_SQL_URL: the driver is not installed ({unknown}); install it beside the project"
            ) from None
        except (ArgumentError, ValueError):
            raise SourceError(
                "ARREARS_SQL_URL is not an SQLAlchemy address: write dialect+driver://user:password@host/database"
            ) from None
        self._origin = address.set(query={}).render_as_string(hide_password=True)
        self._connection: sa.Connection | None = None
        self._left_out: dict[str, dict[str, int]] | None = None

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        path = self._query(f"{dataset.name}.sql")
        if path is None:
            return None
        query = self._text_of(path)
        asks = bool(re.search(rf"(?<![:\w\\]):{_SINCE}\b", query))
        if asks and not dataset.has_cursor:
            raise SourceError(f"{path}: {dataset.name} has no updated_at, so nothing says what :{_SINCE} is; select everything")
        incremental = asks and since is not None
        clause = sa.text(query)
        if asks:
            from_then = since - OVERLAP if since else EVER
            clause = clause.bindparams(sa.bindparam(_SINCE, from_then, sa.DateTime()))
        left_out: dict[str, int] = {}
        pages = self._pages(dataset, path, clause, left_out)
        return Delivery(pages=pages, full=not incremental, origin=f"{self._origin} {path.name}", left_out=left_out)

    def aged(self, day: date) -> Iterator[Aged]:
        """What the source's own books say each customer owes, by the folder's query of it; `:as_of` in it is the day.

        Raises:
            SourceError: there is no such query, or it fails.
        """
        path = self._query(AGED)
        if path is None:
            raise SourceError(f"no folder has {AGED}, a query of customer_id, currency and balance as the source itself has them")
        query = sa.text(text := self._text_of(path))
        if re.search(r"(?<![:\w\\]):as_of\b", text):
            query = query.bindparams(as_of=day)
        try:
            rows: Sequence[Any] = self._open().execute(query).all()
            for customer, currency, balance in rows:
                if isinstance(balance, float):
                    raise SourceError(f"{path}: balance comes as a float; write cast(balance as decimal(18, 4)) as balance")
                yield Aged(str(customer), str(currency), Decimal(balance or 0))
        except DBAPIError as failed:
            raise SourceError(f"{path}: {_said(failed.orig)}") from None
        except (SQLAlchemyError, ValueError, TypeError, ArithmeticError) as failed:
            raise SourceError(f"{path}: {_said(failed)}") from None

    def _query(self, name: str) -> Path | None:
        return next((path for folder in self.folders if (path := folder / name).exists()), None)

    def _text_of(self, path: Path) -> str:
        """A query with the parts it names, in which a colon between quotes is no parameter."""
        text = with_parts(path, self._query)
        return _QUOTED_OR_COMMENT.sub(lambda found: (found[1] or " ").replace(":", r"\:"), text)

    def close(self) -> None:
        """End the snapshot. Nothing was written, so there is nothing to keep."""
        if self._connection is not None:
            self._connection.rollback()
            self._connection.close()
        self._engine.dispose()

    def _open(self) -> sa.Connection:
        """One connection for the run, in a transaction that sees one state of the books, so that payments fit their invoices."""
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except DBAPIError as failed:
                raise NotReachedError(f"ARREARS_SQL_URL: {self._origin}: {_said(failed.orig)}") from None
            if begin := _SNAPSHOT.get(self._engine.dialect.name):
                self._connection.exec_driver_sql(begin)
            if self._engine.dialect.name == "postgresql":
                self._connection.exec_driver_sql("set local time zone 'UTC'")
        return self._connection

    def _left_out_of(self, dataset: Dataset) -> Mapping[str, int]:
        """What the folder's own count says the dataset leaves out; asked once a run."""
        if self._left_out is None:
            self._left_out = {}
            path = self._query(LEFT_OUT)
            query = sa.text(self._text_of(path)) if path else None
            rows: Iterable[Any] = self._open().execute(query) if query is not None else ()
            try:
                for name, what, records in rows:
                    self._left_out.setdefault(str(name), {})[str(what)] = int(records)
            except (ValueError, TypeError):
                raise SourceError(f"{path}: a row of it is a dataset, what of it is left out, and how many records") from None
        return self._left_out.get(dataset.name, {})

    def _pages(self, dataset: Dataset, path: Path, query: sa.TextClause, left_out: dict[str, int]) -> Iterator[pa.Table]:
        schema = page_schema(dataset)
        try:
            with self._open().execute(query, execution_options=_STREAM | {"max_row_buffer": self.page_rows}) as result:
                names = list(result.keys())
                _refuse_columns(path, dataset, names)
                for rows in result.partitions(self.page_rows):
                    yield _as_page(path, dataset, schema, names, rows)
            path = self._query(LEFT_OUT) or path
            left_out |= self._left_out_of(dataset)
        except DBAPIError as failed:
            raise SourceError(f"{path}: {_said(failed.orig)}") from None
        except SQLAlchemyError as failed:
            raise SourceError(f"{path}: {_said(failed)}") from None


def with_parts(path: Path, found: Callable[[str], Path | None]) -> str:
    """A query without comments, behind the parts that it and they name; `found` tells where the file of a name is, if anywhere.

    Raises:
        SourceError: a part needs itself.
    """
    query = bare(path)
    parts = parts_of(query, found)
    if not parts:
        return query
    own, query = (", ", _OWN_PARTS.sub("", query, count=1)) if _OWN_PARTS.match(query) else (" ", query)
    return f"with {', '.join(f'{name} as ({part})' for name, part in parts.items())}{own}{query}"


def parts_of(query: str, found: Callable[[str], Path | None], within: tuple[str, ...] = ()) -> dict[str, str]:
    """The parts that a query names, and those they name, each behind what it needs."""
    parts: dict[str, str] = {}
    for name in dict.fromkeys(_PART.findall(query)):
        if path := found(f"{name}.sql"):
            if name in within:
                raise SourceError(f"{path}: needs itself, by way of {' and '.join(within[within.index(name) :])}")
            part = bare(path)
            parts |= parts_of(part, found, (*within, name))
            parts.setdefault(name, part)
    return parts


def bare(path: Path) -> str:
    """The query of a file, without comments."""
    text = path.read_text("utf-8-sig")
    return _QUOTED_OR_COMMENT.sub(lambda found: found[1] or " ", text).strip().rstrip(";")


def _refuse_columns(path: Path, dataset: Dataset, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{path}: column {', '.join(twice)} is there twice")
    if missing := missing_columns(dataset, names):
        raise SourceError(
            f"{path}: required column {', '.join(missing)} is missing; the query has {shown(', '.join(names), 400)}"
        )


def _as_page(path: Path, dataset: Dataset, schema: pa.Schema, names: Sequence[str], rows: Sequence[sa.Row[Any]]) -> pa.Table:
    given = dict(zip(names, zip(*rows, strict=True), strict=True))
    columns = {}
    for column in dataset.columns:
        if column.name in given:
            columns[column.name] = pa.array(_texts(path, column, given[column.name]), pa.string())
        else:
            columns[column.name] = pa.nulls(len(rows), pa.string())
    unknown = [name for name in names if name not in dataset.by_name]
    columns[EXTRA] = pa.nulls(len(rows), pa.string())
    if unknown:
        others = zip(*(given[name] for name in unknown), strict=True)
        columns[EXTRA] = pa.array(
            [json.dumps(dict(zip(unknown, o, strict=True)), default=str, ensure_ascii=False) for o in others]
        )
    return pa.table(columns, schema=schema)


def _texts(path: Path, column: Column, values: Sequence[Any]) -> Sequence[str | None]:
    """A column as text, by the one way its values are of, or value by value where they are of several."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return values
    if float in kinds and column.type in DECIMALS:
        odd = next(value for value in values if isinstance(value, float))
        precision, scale = DECIMALS[column.type]
        raise SourceError(
            f"{path}: {column.name} comes as a float (such as {odd!r}), which cannot hold money exactly; "
            f"write cast({column.name} as decimal({precision}, {scale})) as {column.name}"
        )
    of_kind = {kind: _way(kind, column) for kind in kinds}
    return [None if value is None else of_kind[type(value)](value) for value in values]


def _way(kind: type, column: Column) -> Callable[[Any], str]:
    if issubclass(kind, bool):
        return lambda value: "true" if value else "false"
    if issubclass(kind, Decimal):
        return lambda value: f"{value:f}"
    if issubclass(kind, datetime):
        return _day_or_time if column.type is Type.DATE else _time
    if issubclass(kind, (date, time)):
        return lambda value: str(value.isoformat())
    if issubclass(kind, (bytes, bytearray, memoryview)):
        return lambda value: bytes(value).decode("utf-8", errors="replace")
    if issubclass(kind, (dict, list)):
        return lambda value: json.dumps(value, default=str, ensure_ascii=False)
    return str


def _time(value: datetime) -> str:
    """A time in UTC; one without a zone is UTC already, as the contract has it."""
    return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _day_or_time(value: datetime) -> str:
    """A midnight is how many databases keep a day; anything else is no date, and landing says so with the value."""
    return value.date().isoformat() if value.time() == time() else _time(value)


def _said(error: BaseException | None) -> str:
    """What the database said, in its first line: the rest is the query, and parameters."""
    said = str(error).strip().splitlines() if error else []
    return shown(said[0], 400) if said else "the database ended without saying why"


class SqlSettings(ConnectorSettings, env_prefix="ARREARS_SQL_"):
    """The database's address, which holds a password and so is never shown whole; the folder of queries, one that ships, or both: then
    one's own stand for those of the same name."""

    url: SecretStr
    dir: Path | None = None
    ready: str | None = None

    @field_validator("ready")
    @classmethod
    def _ships(cls, name: str | None) -> str | None:
        known = sorted(path.name for path in READY.iterdir() if path.is_dir())
        if name is not None and name not in known:
            raise ValueError(f"{name!r} is none of the folders that ship: {', '.join(known)}")
        return name

    @model_validator(mode="after")
    def _some_folder(self) -> Self:
        if not self.folders:
            raise ValueError("neither ARREARS_SQL_DIR, a folder of queries, nor ARREARS_SQL_READY, one that ships, is set")
        return self

    @property
    def folders(self) -> list[Path]:
        return [*([ROOT / self.dir] if self.dir else ()), *([READY / self.ready] if self.ready else ())]


def _opened(own: SqlSettings, opening: Opening) -> SqlSource:
    source = SqlSource(own.url.get_secret_value(), *own.folders)
    opening.stack.callback(source.close)
    return source


CONNECTOR = Connector(
    name="sql",
    settings=SqlSettings,
    opened=_opened,
    words=lambda own: f"queries of {' and '.join(folder.name for folder in own.folders)}",
    needs="ARREARS_SQL_URL, an SQLAlchemy address, and ARREARS_SQL_DIR, the folder of queries, or ARREARS_SQL_READY, one that ships",
    sweep=timedelta(days=7),
    aged=SqlSource.aged,
)
