"""The morning's worklist folder: workbooks, CSV files, and a manifest that says what is in them.

Belongs here: which files there are, what they are called, the control totals of what leaves the house. Does not belong here: who
may be dunned (dbt), how a workbook looks (`book.py`), whether the export may happen at all (the gate before it) and where
the folder ends up (`swap.py`, called by whoever owns the place).

Same marts, same bytes: nothing here reads a clock, a counter or the environment. What identifies the run stands in the
manifest's `run` and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dagster_project import form, tables
from dagster_project.amounts import digits_on
from dagster_project.amounts import written as in_words
from dagster_project.outgoing.facts import Listing, by, counts, gather, total
from dagster_project.outgoing.letters import drafts
from dagster_project.outgoing.letters.letterhead import Letterheads
from dagster_project.outgoing.names import distinct_slugs
from dagster_project.outgoing.workbook.book import COPY, LINE, PAGE
from dagster_project.outgoing.workbook.mart_sheets import COLLECTOR, MART_SHEETS
from dagster_project.outgoing.workbook.process import EVERYONE, of, workbooks
from dagster_project.policy import parameter
from dagster_project.seals import seal

MARTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "dunning_worklist": (),
        "dunning_items": (),
        "open_items": ("customer_id", "item_id", "aging_bucket", "reporting_currency", *drafts.STATEMENT),
        "control_reconciliation": ("company_id", "currency", "subledger_balance", "control_balance", "difference", "state"),
        "risk_tiers": ("tier_in_force",),
        **{sheet.mart: sheet.needed for sheet in MART_SHEETS},
        "agency_placements": (),
        "order_terms": (),
        "cash_forecast_weekly": (),
        "kpi_monthly": ("month", "scope", "kpi", "title", "unit", "headline", "value", "prior_value", "tripped"),
    }
)
"""The marts an export reads, each with the columns it needs; none named: all of them, for the CSV has every column."""

NO_WORKLIST: Final = "no-worklist.txt"
MANIFEST: Final = "manifest.json"


class WorklistError(Exception):
    """The marts contradict each other, so that nothing may leave the house. The message says what does not add up."""


@dataclass(frozen=True)
class File:
    """A file of the folder. `rows`: data rows of a CSV or JSON Lines file, customers on the call list of a workbook, drafts of the
    checksums' file, which stands for them all. `collector`: whose it is. `columns`: of a file for machines, name and type."""

    name: str
    sha256: str
    bytes: int
    rows: int
    collector: str | None = None
    columns: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Totals:
    """Control totals of what was written. `by_currency`: what is asked for, in the documents' own currencies, never added up."""

    customers: int
    items: int
    asked_for: Decimal
    past_due: Decimal
    by_currency: Mapping[str, Decimal]
    held_items: int
    held: Decimal
    held_by_reason: Mapping[str, int]


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says. Amounts are in the reporting currency unless said otherwise, and texts in the file. `sealed`: the rows to
    fill in carry seals."""

    schema_version: int
    as_of: date
    policy: str
    reporting_currency: str
    totals: Totals
    files: tuple[File, ...]
    run: Mapping[str, str]
    warnings: tuple[str, ...]
    sealed: bool = False

    def as_json(self) -> str:
        """The file's text: keys in a fixed order, exact amounts as texts."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, default=_as_text) + "\n"


def export(
    target: Path,
    marts: Mapping[str, pa.Table],
    *,
    as_of: date,
    policy: str,
    run: Mapping[str, str],
    rejected: Mapping[str, int] = MappingProxyType({}),
    payment_link: str = "",
    warnings: Sequence[str] = (),
    key: bytes | None = None,
    sends_itself: bool = False,
    letterhead: Letterheads | None = None,
    pages: Mapping[str, str] = MappingProxyType({}),
) -> Manifest:
    """Write the morning's worklists into the new folder `target` and return what its manifest says.

    `marts` are tables by name, as `MARTS` lists them; all but the two dunning marts may be missing, and the summary then says
    less. `rejected` counts the records in quarantine by dataset. `payment_link` goes into the drafts (see `write_drafts`). `run`
    identifies the run and goes into the manifest as it is. `warnings`: what was found wrong with the morning and is passed by policy;
    a control account that does not tie, or is not verified, joins them. `key` seals the rows that are filled in (`seals.py`); without one
    nothing that comes back can be told from what somebody made up. `sends_itself`: the night sends the automatic ones, which workbooks say.
    `letterhead`: who writes the statements, where they are to be PDFs as well. `pages`:
    each customer's own page, by its path from `target`.
    Raises `WorklistError` where the call list and its items do not add up, before anything is written.
    """
    actions = marts["dunning_worklist"].sort_by([("rank", "ascending"), ("customer_id", "ascending")])
    book = marts.get("open_items")
    actions = drafts.with_files(actions, parameter(*drafts.MOST, policy, as_of))
    facts = gather(marts, actions, book, as_of, policy, rejected, warnings)
    if book is not None:
        _statements_tie(actions, book)
        book = drafts.statements(book, actions)
    items = _in_list_order(marts["dunning_items"], actions)
    acted_on = items.column("held_reason").null_count
    acted, held = items.slice(0, acted_on), items.slice(acted_on)
    totals = _totals(actions, acted, held)

    target.mkdir(parents=True)
    files = []

    def written(name: str, rows: int, collector: str | None = None, columns: Mapping[str, str] | None = None) -> None:
        with (target / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files.append(File(name, digest, (target / name).stat().st_size, rows, collector, columns))

    def for_machines(name: str, table: pa.Table) -> None:
        for ending, write in ((".csv", tables.write_csv), (".jsonl", tables.write_jsonl)):
            write(target / f"{name}{ending}", table)
            written(f"{name}{ending}", table.num_rows, columns=tables.columns_of(table))

    names = file_names(_collectors(actions, items))
    others = {sheet.mart: marts[sheet.mart] for sheet in MART_SHEETS if sheet.mart in marts}
    calls, listed = (_sealed(table, key, as_of, policy) if key else table for table in (actions, acted))
    calls = _for_people(calls, pages, as_of, policy)
    if book is not None:
        listed = _with_copies(listed, book)
    if sends_itself:
        calls = _said_to_go_by_itself(calls)
    with workbooks(target, facts, Listing(None, calls, listed, held, others), names):
        actions = drafts.write_drafts(target, as_of, policy, actions, acted, book, payment_link, letterhead)
        written(f"{drafts.FOLDER}/{drafts.CHECKSUMS}", actions.num_rows)
        for_machines("worklist", actions)
        for_machines("worklist_items", items)
        if (terms := marts.get("order_terms")) is not None:
            for_machines("terms", terms.sort_by([("customer_id", "ascending")]))
        if (weeks := marts.get("cash_forecast_weekly")) is not None:
            for_machines(
                "cash_forecast", weeks.sort_by([(name, "ascending") for name in ("scope", "company_id", "currency", "week")])
            )
        placements = marts.get("agency_placements")
        if placements is not None and placements.num_rows:
            tables.write_csv(target / "agency.csv", placements.sort_by([(name, "ascending") for name in placements.column_names]))
            written("agency.csv", placements.num_rows, columns=tables.columns_of(placements))
    written(EVERYONE, actions.num_rows)
    for collector, name in names.items():
        written(name, of(actions.select([COLLECTOR]), collector).num_rows, collector)

    manifest = Manifest(
        form.SCHEMA_VERSION,
        as_of,
        policy,
        facts.currency,
        totals,
        tuple(files),
        dict(run),
        tuple(facts.warnings),
        key is not None,
    )
    (target / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")
    return manifest


def write_no_worklist(
    target: Path, *, as_of: date, reasons: Sequence[str], look_at: Sequence[str] = (), previous: date | None = None
) -> Path:
    """Write the new folder of a morning that has no worklist: one text that says so, why, and what to do.

    `reasons`: what failed, a sentence each. `look_at`: where the details are. `previous`: the morning whose list stays in force.
    """
    target.mkdir(parents=True)
    stays = (
        f"The worklist of {previous.isoformat()} stays as it was."
        if previous
        else "There is no earlier worklist to fall back on."
    )
    paragraphs = [
        f"There is no worklist for {as_of.isoformat()}.",
        "It was held back because reminders on wrong data do more harm than a day without them:",
        "\n".join(f"  - {reason}" for reason in reasons),
        f"{stays} Nothing was remembered as sent.",
        "Where to look:\n" + "\n".join(f"  - {place}" for place in look_at) if look_at else "",
        "Once it is mended, run this date again and the worklist takes the place of this note.",
    ]
    path = target / NO_WORKLIST
    path.write_text("\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n", encoding="utf-8")
    return path


def file_names(collectors: Iterable[str]) -> dict[str, str]:
    """A workbook name for each collector: plain ASCII, short, and never two the same, whatever a collector is called."""
    return {collector: f"worklist-{slug}.xlsx" for collector, slug in distinct_slugs(collectors).items()}


def _sealed(rows: pa.Table, key: bytes, as_of: date, policy: str) -> pa.Table:
    """The rows of the call list, or of its items, each with its seal."""
    columns = [rows.column(name).to_pylist() for name in ("collector", "customer_id")]
    columns += [rows.column("item_id").to_pylist()] if "item_id" in rows.column_names else []
    made = [seal(key, as_of, policy, collector or "", *ids) for collector, *ids in zip(*columns, strict=True)]
    return rows.append_column(form.SEAL_HEADER, pa.chunked_array([pa.array(made, pa.string())]))


def _for_people(calls: pa.Table, pages: Mapping[str, str], as_of: date, policy: str) -> pa.Table:
    """The call list with what only a workbook has: each customer in a line to copy, and where their page lies."""
    digits = digits_on(as_of, policy)
    named = (
        "customer_name",
        "customer_id",
        "past_due_amount",
        "reporting_currency",
        "oldest_days_past_due",
        "item_count",
        "step_label",
    )
    lines = []
    for name, customer, amount, currency, days, count, step in zip(
        *(calls.column(one).to_pylist() for one in named), strict=True
    ):
        late = f", the oldest {days} days" if days else ""
        items = "1 item" if count == 1 else f"{count} items"
        owed = f"{in_words(amount or Decimal(0), currency, digits)} {currency} past due"
        lines.append(f"{drafts.one_line(name or customer)} (no. {customer}): {owed}, {items}{late}; {step}")
    calls = calls.append_column(LINE, pa.chunked_array([pa.array(lines, pa.string())]))
    found = [pages.get(customer) for customer in calls.column("customer_id").to_pylist()]
    return calls.append_column(PAGE, pa.chunked_array([pa.array(found, pa.string())]))


def _with_copies(items: pa.Table, book: pa.Table) -> pa.Table:
    """The items with where each document's copy lies, as far as the source says."""
    known = book.filter(pc.is_valid(book.column("document_url"))).select(["item_id", "document_url"])
    copies = {row["item_id"]: drafts.copy_of(row) for row in known.to_pylist()} if known.num_rows else {}
    found = (
        [copies.get(item) for item in items.column("item_id").to_pylist()] if copies else pa.nulls(items.num_rows, pa.string())
    )
    return items.append_column(COPY, pa.chunked_array([pa.array(found, pa.string())]))


def _said_to_go_by_itself(calls: pa.Table) -> pa.Table:
    """The call list whose automatic rows say so where the collector reads why: nobody is to send the letter again."""
    place = calls.column_names.index("why")
    said = pc.binary_join_element_wise("Sent by the night, unless its letter to you says otherwise.", calls.column("why"), " ")
    return calls.set_column(place, "why", pc.if_else(pc.fill_null(calls.column("automatic"), False), said, calls.column("why")))


def _collectors(*lists: pa.Table) -> list[str]:
    return sorted({name or "" for table in lists for name in pc.unique(table.column("collector")).to_pylist()})


def _in_list_order(items: pa.Table, actions: pa.Table) -> pa.Table:
    """The items acted on and then those held: by customer as on the call list (the others after them), then oldest first."""
    place = pc.index_in(items.column("customer_id"), value_set=actions.column("customer_id").combine_chunks())
    keys = items.select(["customer_id", "due_date", "item_id"]).append_column("place", place)
    keys = keys.append_column("held", pc.is_valid(items.column("held_reason")))
    order = pc.sort_indices(keys, [(key, "ascending") for key in ("held", "place", "customer_id", "due_date", "item_id")])
    del keys
    ordered = {}
    for name in items.column_names:  # one by one and forgotten: there is no room for a long list twice
        ordered[name] = items.column(name).take(order)
        items = items.drop_columns(name)
    return pa.table(ordered)


def _totals(actions: pa.Table, acted: pa.Table, held: pa.Table) -> Totals:
    """The control totals, once as the list has them and once as the items have them: they must be the same."""
    past_due = total(actions, "past_due_amount")
    listed = past_due + total(actions, "not_due_amount")
    asked_for = total(acted, "dunnable_amount_reporting")
    if listed != asked_for:
        raise WorklistError(f"the call list asks for {listed:,} and its items for {asked_for:,}")
    if odd := _odd_customers(actions, acted):
        raise WorklistError(f"the call list and its items disagree on {len(odd)} customers, among them {', '.join(odd[:5])}")
    return Totals(
        customers=actions.num_rows,
        items=acted.num_rows,
        asked_for=asked_for,
        past_due=past_due,
        by_currency={name: amount for name, _, amount in sorted(by(acted, "currency", "dunnable_amount"))},
        held_items=held.num_rows,
        held=total(held, "open_amount_reporting"),
        held_by_reason=counts(held, "held_reason"),
    )


def _odd_customers(actions: pa.Table, acted: pa.Table) -> list[str]:
    """Customers that are on the list twice, or with another number of items than it says, or only among the items."""
    listed, found = actions.column("customer_id"), pc.value_counts(acted.column("customer_id"))
    items = pc.fill_null(found.field("counts").take(pc.index_in(listed, value_set=found.field("values"))), 0)
    twice = pc.value_counts(listed)
    odd = [
        listed.filter(pc.fill_null(pc.not_equal(items, actions.column("item_count")), True)),
        twice.field("values").filter(pc.greater(twice.field("counts"), 1)),
        found.field("values").filter(pc.invert(pc.is_in(found.field("values"), value_set=listed.combine_chunks()))),
    ]
    return sorted({customer for customers in odd for customer in customers.to_pylist()})


def _statements_tie(actions: pa.Table, book: pa.Table) -> None:
    """What a statement of account lists must come to the balance the list has of the customer, or it may not leave the house."""
    summed = book.group_by("customer_id").aggregate([("open_amount_reporting", "sum")])
    place = pc.index_in(actions.column("customer_id"), value_set=summed.column("customer_id").combine_chunks())
    listed = pc.fill_null(summed.column("open_amount_reporting_sum").take(place), Decimal(0))
    apart = pc.fill_null(pc.not_equal(listed, actions.column("credit_used")), False)
    if pc.any(apart).as_py():
        customers = actions.column("customer_id").filter(apart).to_pylist()
        raise WorklistError(
            f"the open items of {len(customers)} customers do not add up to their balances, among them {', '.join(customers[:5])}"
        )


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a manifest")
