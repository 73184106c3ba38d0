"""Where records come from. Plain Python: a source knows how to ask, not what the answer means.

Belongs here: the interface every source has, what a connector brings with it, and one module per kind of source. Does not belong here:
typing, checking or storing records — a source hands over every value as it received it, and `landing/judge.py` judges it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from dagster_project.contract import DECIMALS, Dataset, Type
from dagster_project.kept import KeptSettings
from dagster_project.policy import EVERY_PACK

if TYPE_CHECKING:
    from dagster_project.demo import Demo
    from dagster_project.sources.consent import Consent

EXTRA = "_extra"
"""Column of a page that keeps what the contract does not know, as JSON text, so that quarantine can show a record as received."""


class SourceError(Exception):
    """A source could not deliver. The message says what, where, and what to do; nothing of the dataset lands."""


class NotReachedError(SourceError):
    """Nothing at all can be had: nobody answers, or who we are is not accepted. What else would be asked ends the same."""


class NoConsentError(NotReachedError):
    """Nobody has let this program in, or no longer does: a person has to (`make connect`)."""


class LoginRefusedError(NotReachedError):
    """A name and a password were refused. Asking again with the same ones may lock the account."""


class PaidLostError(SourceError):
    """An answer that costs money was lost on the way: it may have been billed."""


@dataclass(frozen=True)
class Parents:
    """Whose records a delivery has all of: `keys` are their values of `columns` (of the delivered dataset, texts), also of those that
    have none left. Read after the last page, so that a source may fill it while it walks."""

    columns: tuple[str, ...]
    keys: Collection[tuple[str, ...]]


DAY_FIRST, MONTH_FIRST = "day first", "month first"
SETTINGS = "files.toml"
"""Beside files: how they are written, for whoever would rather say so than be told what was recognised."""


def recognised(file: str, what: str, example: str | None, instead: str, setting: str) -> str:
    """What was found of how a file is written, in a line: with an example, and the two ways to hear no more of it."""
    such_as = f", such as «{example}»" if example else ""
    return f"{file}: {what}{such_as}: read so. To hear no more of it, {instead}, or write {setting} in {SETTINGS}"


@dataclass(frozen=True)
class Hand:
    """That people or their spreadsheets wrote what is delivered, in `file`: values may be in their forms. What they say of it themselves:
    the `decimal` sign, in which order `dates` are, that `day_numbers` are meant. `found` is what was recognised of the file, in lines;
    `lines` tells in which line of it records stand, the first being 0."""

    file: str
    lines: Callable[[Sequence[int]], Sequence[int]]
    decimal: str | None = None
    dates: str | None = None
    day_numbers: bool = False
    found: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """What a source has for one dataset.

    `pages` are Arrow tables of one schema, consumed once, in order: every column is text (`page_schema`), or what the source has it as
    where that says no more than the contract keeps (`is_kept`). What is not among them is gone where `full`; gone where it hangs on one
    of `parents`; else unchanged. `expected` is how many records will come, where the source tells. `left_out` counts, by name, what the
    source holds and the dataset does not (drafts, documents of suppliers, journals); read after the last page.
    """

    pages: Iterator[pa.Table]
    full: bool
    origin: str
    parents: Parents | None = None
    hand: Hand | None = None
    expected: int | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)


class Source(Protocol):
    """One system that datasets are pulled from."""

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        """The records of a dataset, changed since a time (UTC) where the source can tell, else all. None: it has no such dataset.

        Raises:
            SourceError: at the call or while pages are read; a required dataset that is absent is the caller's to refuse.
        """
        ...


class ConnectorSettings(KeptSettings):
    """A connector's own variables: a subclass says `env_prefix="ARREARS_<SOURCE>_"`, a field without a default is one it cannot do
    without. `.env.example` documents each."""


@dataclass(frozen=True)
class Opening:
    """What a connector is opened for: a morning, the folder it may keep a memory of its own under, and who closes what it opened. `demo` is
    the demo's server where one was started early, `policy` the pack. `is_trial`: it is only tried on, and buys nothing that costs money.
    `production`: nothing of a vendor's test mode counts."""

    as_of: date
    home: Path
    stack: ExitStack
    demo: Demo | None = None
    policy: str = EVERY_PACK
    is_trial: bool = False
    production: bool = False


@dataclass(frozen=True)
class Company:
    """A company that the credentials open: its key, as the settings name it, and what it is called."""

    key: str
    name: str


@dataclass(frozen=True)
class Right:
    """Something the user has to be allowed to read, and what it is for. `lacks`: where it is not, the server's words and what to do."""

    name: str
    lacks: str = ""

    @classmethod
    def tried(cls, name: str, read: Callable[[], object], remedy: str = "") -> Right:
        """Whether something may be read, by reading it; `remedy` follows what the server says where it may not.

        Raises:
            NotReachedError: nothing at all can be read, whatever else would be tried.
        """
        try:
            read()
        except NotReachedError:
            raise
        except SourceError as refused:
            return cls(name, f"{str(refused).rstrip('.')}. {remedy}" if remedy else str(refused))
        return cls(name)


@dataclass(frozen=True)
class Aged:
    """What a source's own aged report says a customer owes on a day, credits taken off, in `currency`."""

    customer_id: str
    currency: str
    balance: Decimal


@dataclass(frozen=True)
class Connector:
    """One kind of source, all of it: its name in `ARREARS_SOURCE`, its settings, how it is opened, its words.

    `words` says where it reads from, in a line that shows no secret; `needs` names the variables it cannot do without. `gives` is what it
    can be asked for: the ledger, scores (and what was asked for them, `inquiries`), exchange rates. The rest a connector may have, for
    `make connect` and `make reconcile`; the first argument is its opened source: `companies` that the credentials open, whichever the
    settings choose (none raised for a wrong one); `rights` that were tried; `aged`, its own report of a day. `consent`, of its settings, is
    how a person lets us in, where one has to. `sweep`: where it tells what changed and not what was deleted, how long until everything is
    asked for again.
    """

    name: str
    settings: type[ConnectorSettings]
    opened: Callable[[Any, Opening], Source]
    words: Callable[[Any], str]
    needs: str = ""
    gives: frozenset[str] = frozenset({"ledger", "scores", "rates"})
    companies: Callable[[Any], Sequence[Company]] | None = None
    rights: Callable[[Any], Iterable[Right]] | None = None
    aged: Callable[[Any, date], Iterable[Aged]] | None = None
    consent: Callable[[Any, Opening], Consent | None] | None = None
    sweep: timedelta | None = None

    @property
    def variables(self) -> dict[str, str]:
        """Its environment variables by field."""
        prefix = self.settings.model_config.get("env_prefix", "")
        return {field: f"{prefix}{field}".upper() for field in self.settings.model_fields}


def page_schema(dataset: Dataset) -> pa.Schema:
    """Every column of the dataset as text, and what else came with a record."""
    return pa.schema([(name, pa.string()) for name in (*dataset.column_names, EXTRA)])


def is_kept(stored: pa.DataType, kind: Type) -> bool:
    """Whether a column so stored need not become text to be judged: no value of it says more than one of the contract's type can."""
    if kind in DECIMALS:
        return bool(pa.types.is_decimal128(stored)) and 0 <= stored.scale <= DECIMALS[kind][1]
    match kind:
        case Type.DATE:
            return bool(pa.types.is_date32(stored))
        case Type.TIMESTAMP:
            return bool(pa.types.is_timestamp(stored)) and stored.unit != "ns"
        case Type.BOOLEAN:
            return bool(pa.types.is_boolean(stored))
    return False


def missing_columns(dataset: Dataset, present: Sequence[str]) -> list[str]:
    return [column.name for column in dataset.columns if column.required and column.name not in present]
