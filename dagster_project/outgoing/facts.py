"""What a workbook is made from: the facts about the whole book, the rows of one list, and sums of them to look at.

Belongs here: adding up what the marts say, exactly. Does not belong here: any rule about what counts (dbt has decided), and how
it looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.amounts import Digits, digits_in, digits_on, written
from dagster_project.outgoing.workbook.sheets import money_format, short

MOST_KPIS: Final = 12
"""Key figures that a summary has room for; `kpi_monthly` has all of them."""


@dataclass(frozen=True)
class Facts:
    """What a workbook says about the whole book, the same in each of the morning's workbooks. Money in the reporting currency."""

    as_of: date
    policy: str
    currency: str
    receivables: Decimal
    past_due: Decimal
    aging: Sequence[tuple[str, int, Decimal]]
    credits: Decimal
    controls: Sequence[Mapping[str, Any]]
    tiers: Mapping[str, int]
    kpis: Sequence[Mapping[str, Any]]
    rejected: Mapping[str, int]
    warnings: Sequence[str]

    @property
    def digits(self) -> Digits:
        """How many digits amounts have, by currency."""
        return digits_on(self.as_of, self.policy)

    @property
    def money(self) -> str:
        """The number format of amounts in the reporting currency."""
        return money_format(digits_in(self.currency, self.digits))


@dataclass(frozen=True)
class Listing:
    """The rows of one workbook: customer actions, items acted on and held, and rows of other marts by the mart's name. `collector`
    None: everyone's."""

    collector: str | None
    actions: pa.Table
    acted: pa.Table
    held: pa.Table
    others: Mapping[str, pa.Table]

    @property
    def owner(self) -> str:
        """Whose list it is, fit for a title."""
        return "Everyone" if self.collector is None else short(self.collector) or "(no collector)"


def gather(
    marts: Mapping[str, pa.Table],
    actions: pa.Table,
    book: pa.Table | None,
    as_of: date,
    policy: str,
    rejected: Mapping[str, int],
    warnings: Sequence[str] = (),
) -> Facts:
    """What the summaries say about the whole book, added up from the marts. `actions` are the call list, `book` the open items;
    `warnings` are those that others have of the morning."""
    currencies = [table.column("reporting_currency") for table in (actions, book) if table is not None]
    found = sorted({code for column in currencies for code in pc.unique(column).to_pylist() if code})
    aging: list[tuple[str, int, Decimal]] = []
    receivables = past_due = unapplied = Decimal(0)
    if book is not None:
        book = book.select(["aging_bucket", "days_past_due", "open_amount_reporting"])
        receivables = total(book, "open_amount_reporting")
        past_due = total(book.filter(pc.greater(book.column("days_past_due"), 0)), "open_amount_reporting")
        unapplied = total(book.filter(pc.is_null(book.column("aging_bucket"))), "open_amount_reporting")
        buckets = sorted(grouped(book, "aging_bucket"), key=lambda bucket: _first_day(bucket[1]))
        aging = [(name, rows.num_rows, total(rows, "open_amount_reporting")) for name, rows in buckets if name is not None]
    controls = marts["control_reconciliation"].sort_by("company_id").to_pylist() if "control_reconciliation" in marts else []
    tiers = counts(marts["risk_tiers"], "tier_in_force") if "risk_tiers" in marts else {}
    return Facts(
        as_of=as_of,
        policy=policy,
        currency=" / ".join(found),
        receivables=receivables,
        past_due=past_due,
        aging=aging,
        credits=unapplied,
        controls=controls,
        tiers=tiers,
        kpis=_key_figures(marts.get("kpi_monthly")),
        rejected={name: count for name, count in rejected.items() if count},
        warnings=[
            *warnings,
            *(control_words(control, digits_on(as_of, policy)) for control in controls if control["state"] != "tied"),
        ],
    )


def _key_figures(kpis: pa.Table | None) -> list[dict[str, Any]]:
    """The latest month's figures of the whole book: policy's headline figures in their order, then whatever else tripped."""
    if kpis is None or not kpis.num_rows:
        return []
    latest = kpis.filter(
        pc.and_(pc.equal(kpis.column("scope"), "total"), pc.equal(kpis.column("month"), pc.max(kpis.column("month"))))
    )
    rows = [row for row in latest.to_pylist() if row["value"] is not None and (row["headline"] or row["tripped"])]
    return sorted(rows, key=lambda row: (row["headline"] or float("inf"), row["kpi"]))[:MOST_KPIS]


def _first_day(rows: pa.Table) -> float:
    """Where a bucket stands among the others; one without days comes last."""
    days = pc.min(rows.column("days_past_due")).as_py()
    return float("inf") if days is None else days


def control_words(control: Mapping[str, Any], digits: Digits) -> str:
    """The state of an entity's control account in words."""
    entity, currency, balance = control["company_id"], control["currency"], control["subledger_balance"]
    if control["state"] == "tied":
        return f"{entity}: ties to the ledger, {currency} {written(balance, currency, digits)} on both sides."
    if control["state"] == "unverified":
        return f"{entity}: UNVERIFIED. The ledger sent no control balance of this day to compare with."
    difference = control["difference"]
    apart = "an item has no exchange rate" if difference is None else f"{currency} {written(difference, currency, digits)} apart"
    return f"{entity}: DOES NOT TIE to the ledger, {apart}."


def total(table: pa.Table, column: str) -> Decimal:
    """The exact sum of a column; 0 of no rows."""
    return pc.sum(table.column(column)).as_py() or Decimal(0)


def counts(table: pa.Table, column: str) -> dict[str, int]:
    """Rows per value of a column, nulls left out, by value."""
    found = [row for row in pc.value_counts(table.column(column)).to_pylist() if row["values"] is not None]
    return {row["values"]: row["counts"] for row in sorted(found, key=lambda row: str(row["values"]))}


def grouped(table: pa.Table, key: str) -> Iterator[tuple[str | None, pa.Table]]:
    """The rows of each value of a column that has few."""
    for value in pc.unique(table.column(key)).to_pylist():
        column = table.column(key)
        yield value, table.filter(pc.is_null(column) if value is None else pc.equal(column, value))


def by(table: pa.Table, key: str, amount: str) -> list[tuple[str, int, Decimal]]:
    """Rows and sum of an amount per value of `key`, the largest sum first."""
    found = [(value or "", rows.num_rows, total(rows, amount)) for value, rows in grouped(table.select([key, amount]), key)]
    return sorted(found, key=lambda group: (-group[2], group[0]))


def actions_by(actions: pa.Table, key: str, order: str | None = None) -> tuple[tuple[str, int, int, Decimal], ...]:
    """Customers, items and amount asked for per value of `key`; the largest `order` first, else the largest amount."""
    needed = dict.fromkeys((key, "item_count", "past_due_amount", "not_due_amount", *((order,) if order else ())))
    found = []
    for value, rows in grouped(actions.select(list(needed)), key):
        amount = total(rows, "past_due_amount") + total(rows, "not_due_amount")
        rank = pc.max(rows.column(order)).as_py() if order else amount
        found.append((rank, value or "(none)", rows.num_rows, int(total(rows, "item_count")), amount))
    return tuple(row[1:] for row in sorted(found, key=lambda row: (-row[0], row[1])))


def share(part: Decimal, whole: Decimal) -> Decimal | None:
    """A part of the whole; null of nothing."""
    return part / whole if whole else None
