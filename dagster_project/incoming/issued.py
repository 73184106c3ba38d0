"""What a morning's list said when it left the house: whom it was about, with which documents, and what they owed.

Belongs here: remembering that from landing, for as long as answers are accepted. Does not belong here: what is landed when a list goes
out (`delivery.py`), reading the answers (`inbox.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from dagster_project import duck, tables
from dagster_project.contract import ISSUED_CUSTOMERS, ISSUED_STEPS, Dataset
from dagster_project.incoming.answers import text_in
from dagster_project.landing import Landing, rows_select

MANIFEST, ITEMS_FILE = "manifest.json", "worklist_items.csv"

_NEWEST_LAST: Final = "order by _as_of, _loaded_at, _load_id"


@dataclass(frozen=True)
class Item:
    """A document as the list had it. `open_amount`: in its currency; None where that is not remembered."""

    item_id: str
    invoice_id: str
    customer_id: str
    currency: str
    open_amount: Decimal | None = None


@dataclass(frozen=True)
class Issued:
    """A morning's list. `collectors`: of each customer, everyone it was issued for; the list of a morning that is run again may name
    another one, and then the last counts. `owed`: by customer and currency, where that is remembered. `sealed`: its rows are."""

    items: Mapping[str, Item]
    collectors: Mapping[str, tuple[str, ...]]
    currencies: Mapping[str, frozenset[str]]
    owed: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    sealed: bool = False

    @cached_property
    def customer_ids(self) -> Ids:
        return Ids(self.collectors)

    @cached_property
    def item_ids(self) -> Ids:
        return Ids(self.items)


def issued_on(day: date, landing: Landing, worklists: Path) -> Issued | None:
    """The list of a morning as it is remembered; else as its folder has it, which is how lists were kept before they were remembered, and
    how one of a morning is that was only replayed. None where no list went out."""
    return _remembered(landing, day) or _in_folder(worklists / day.isoformat())


def _remembered(landing: Landing, day: date) -> Issued | None:
    customers = _rows(landing, ISSUED_CUSTOMERS, day, "customer_id", "currency", "collector", "owed")
    if not customers:
        return None
    collectors: dict[str, tuple[str, ...]] = {}
    owed: dict[str, dict[str, Decimal]] = {}
    for customer_id, currency, collector, amount in customers:
        others = tuple(name for name in collectors.get(customer_id, ()) if name != (collector or ""))
        collectors[customer_id] = (*others, collector or "")
        owed.setdefault(customer_id, {})[currency] = amount
    items: dict[str, Item] = {}
    currencies: dict[str, set[str]] = {}
    names = ("item_id", "invoice_id", "customer_id", "currency", "open_amount")
    for item_id, invoice_id, customer_id, currency, amount in _rows(landing, ISSUED_STEPS, day, *names):
        items[item_id] = Item(item_id, invoice_id, customer_id, currency, amount)
        currencies.setdefault(customer_id, set()).add(currency)
    found = {name: frozenset(currencies.get(name, owed[name])) for name in collectors}
    return Issued(items, collectors, found, owed, sealed=True)


def _rows(landing: Landing, dataset: Dataset, day: date, *names: str) -> list[tuple[Any, ...]]:
    """What was landed of a list, every version of a row, the newest last."""
    if not (loads := landing.loads(dataset)):
        return []
    with TemporaryDirectory() as spill, duck.scratch(Path(spill), landing.memory_limit) as con:
        rows = rows_select(dataset, con, loads)
        return con.execute(f"select {', '.join(names)} from ({rows}) where worklist_date = ? {_NEWEST_LAST}", [day]).fetchall()


def _in_folder(folder: Path) -> Issued | None:
    manifest = folder / MANIFEST
    if not manifest.exists():
        return None
    names = ("item_id", "invoice_id", "customer_id", "currency", "collector", "held_reason")
    asked = pa_csv.ConvertOptions(column_types={name: pa.string() for name in names}, include_columns=list(names))
    read = pa_csv.read_csv(folder / ITEMS_FILE, parse_options=pa_csv.ParseOptions(newlines_in_values=True), convert_options=asked)
    items: dict[str, Item] = {}
    collectors: dict[str, tuple[str, ...]] = {}
    currencies: dict[str, set[str]] = {}
    listed: dict[str, set[str]] = {}
    for row in zip(*(read.column(name).to_pylist() for name in names), strict=True):
        item_id, invoice_id, customer_id, currency, collector, held = map(tables.unguarded, row)
        items[item_id] = Item(item_id, invoice_id, customer_id, currency)
        collectors[customer_id] = (collector,)
        currencies.setdefault(customer_id, set()).add(currency)
        if not held:
            listed.setdefault(customer_id, set()).add(currency)
    sealed = bool(json.loads(manifest.read_text("utf-8")).get("sealed"))
    found = {name: frozenset(listed.get(name, of)) for name, of in currencies.items()}
    return Issued(items, collectors, found, sealed=sealed)


class Ids:
    """Ids as the list has them, found again although a spreadsheet took them for numbers."""

    def __init__(self, ids: Mapping[str, Any]):
        self.exact = {tables.excel_text(name).strip(): name for name in ids}
        self.without_zeros: dict[str, list[str]] = {}
        for name in ids:
            self.without_zeros.setdefault(name.lstrip("0"), []).append(name)

    def find(self, cell: Any) -> str | None:
        text = text_in(cell)
        if text in self.exact:
            return self.exact[text]
        alike = self.without_zeros.get(text.lstrip("0"), []) if text else []
        return alike[0] if len(alike) == 1 else None
