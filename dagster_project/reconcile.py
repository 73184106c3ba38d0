"""What the source itself says is open, beside what we compute: the page a controller signs before the first list goes out.

Belongs here: laying out the published comparison of documents, asking the source for its own aged report of the day where it has one, and
holding that against the published balances. Does not belong here: what is open and why a document may differ (dbt). The aged report is
asked for and compared here because it is never landed: nothing is worked out from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from dagster_project.amounts import digits_in, digits_on, written
from dagster_project.policy import parameter
from dagster_project.settings import Settings
from dagster_project.sources import Aged, Opening, SourceError
from dagster_project.sources.catalogue import CONNECTORS
from dagster_project.sources.understood import understood
from dagster_project.tables import write_csv
from dagster_project.warehouse import published_as_of, published_marts
from dagster_project.words import printable

SHOWN: Final = 20
"""Differences that the page has; the files beside it have every one."""

ZERO: Final = Decimal(0)
ROUNDING: Final = ("control_policy", "rounding_amounts")
ASKED_FOR: Final = frozenset((ROUNDING,))
"""The rows policy must have for what is held against a source's own report."""
UNKNOWN: Final = "not explained"
NOW: Final = date.max
"""The day whose policy says how amounts look: the newest there is."""


class NothingToReconcile(Exception):
    """No morning with a comparison was published. The message says what to do."""


@dataclass(frozen=True)
class Balance:
    """What a customer owes there and here, in `currency`; `cause` where they differ."""

    customer_id: str
    currency: str
    reported: Decimal
    ours: Decimal
    cause: str = ""

    @property
    def difference(self) -> Decimal:
        return self.reported - self.ours


def reconcile(settings: Settings) -> tuple[str, Path]:
    """The page, and the file it was written to, with every difference in CSV files beside it.

    Raises:
        NothingToReconcile: there is nothing to compare.
    """
    as_of = published_as_of(settings.published)
    if as_of is None or not (settings.published / "parquet" / "reconciliation_totals.parquet").exists():
        raise NothingToReconcile("no morning is published that could be held against the source: make run")
    with published_marts(settings.published) as con:
        (source, policy, run_id), *_ = con.execute("select source, policy, run_id from run").fetchall()
        folder = settings.reports / "reconciliation" / as_of.isoformat()  # beside the mornings' pages, which are replaced whole
        folder.mkdir(parents=True, exist_ok=True)
        documents = con.sql("from document_reconciliation order by abs(difference) desc, item_id").to_arrow_table()
        write_csv(folder / "documents.csv", documents)
        parts = [
            f"# The receivables ledger of {as_of} beside the source's own figures\n\n"
            f"Source {source}, policy {policy}, run {run_id}. Differences are the source's less ours; credits are negative.",
            _of_documents(con, documents),
        ]
        balances, why_not = _aged(settings, str(source), as_of, con)
        if balances is not None:
            differing = [balance for balance in balances if balance.difference]
            write_csv(folder / "customers.csv", _as_table(balances))
            parts.append(_of_customers(balances, differing))
        else:
            parts.append(f"## The source's own aged report\n\n{why_not}")
        parts += [_of_control(con), SIGNED]
    page = folder / "reconciliation.md"
    text = "\n\n".join(parts) + "\n"
    page.write_text(text, "utf-8")
    return text, page


SIGNED: Final = """## Signed

What differs above is explained, or is put right before a list goes out.

Prepared by: ______________________  on: ____________

Approved by (controller): ______________________  on: ____________"""

# --- documents ---------------------------------------------------------------------------------------------------------


def _of_documents(con: duckdb.DuckDBPyConnection, differing: pa.Table) -> str:
    totals = con.execute(
        """
        select coalesce(company_id, ''), currency, documents_reported, documents_differing, reported, open_amount, difference,
               documents_not_reported, open_amount_not_reported
        from reconciliation_totals order by 1, 2
        """
    ).fetchall()
    if not totals:
        return (
            "## Documents\n\nThe source does not say what is open of a document (`open_amount_reported`), so nothing is compared: hold its "
            "own list of open items against the mart `open_items`."
        )
    head = [
        "company",
        "currency",
        "documents",
        "differ",
        "open there",
        "open here",
        "difference",
        "not reported",
        "open of these here",
    ]
    parts = ["## Documents", _table(head, totals)]
    if differing.num_rows:
        causes = con.execute(
            "select likely_cause, currency, count(*), sum(difference) from document_reconciliation group by 1, 2 order by 3 desc, 1, 2"
        ).fetchall()
        parts.append(_table(["likely cause", "currency", "documents", "difference"], causes))
        shown = differing.select(
            ["document_number", "customer_id", "currency", "reported", "open_amount", "difference", "likely_cause"]
        )
        rows = [tuple(row.values()) for row in shown.slice(0, SHOWN).to_pylist()]
        parts.append(_first(differing.num_rows, "documents.csv"))
        parts.append(_table(["document", "customer", "currency", "open there", "open here", "difference", "likely cause"], rows))
    else:
        parts.append("Every document that the source speaks of is as open as it says.")
    return "\n\n".join(parts)


# --- the source's own aged report ---------------------------------------------------------------------------------------


def _aged(settings: Settings, source: str, as_of: date, con: duckdb.DuckDBPyConnection) -> tuple[list[Balance] | None, str]:
    """Every customer there and here, or why there is nothing to compare."""
    connector = CONNECTORS.get(source)
    if connector is None or connector.aged is None:
        return None, f"`{source}` has none that can be asked for."
    if source != settings.source:
        return (
            None,
            f"The morning is of `{source}`, and ARREARS_SOURCE is `{settings.source}`: set it so, and it is asked for its report.",
        )
    with ExitStack() as stack:
        try:
            opened = connector.opened(settings.own(connector), Opening(as_of, settings.home, stack))
            with understood(connector.name, "aged report"):
                reported = list(connector.aged(opened, as_of))
        except SourceError as refused:
            return None, f"It was asked for and could not be had: {printable(str(refused))}"
    return compared(con, reported, parameter(*ROUNDING, settings.policy, as_of)), ""


def compared(con: duckdb.DuckDBPyConnection, reported: Iterable[Aged], rounding: int) -> list[Balance]:
    """The published open items by customer beside a source's report: in base currency where the report is, else in the items'. Up to
    `rounding` of the smallest amounts there are is what settled documents in another currency may leave of a customer."""
    theirs: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for said in reported:
        theirs[said.customer_id, said.currency] += said.balance
    several = len(con.execute("select distinct currency from open_items").fetchall()) > 1
    bases = {base for (base,) in con.execute("select distinct base_currency from open_items").fetchall()}
    in_base = all(currency in bases for _, currency in theirs)
    amount, currency = ("open_amount_base", "base_currency") if in_base else ("open_amount", "currency")
    found = con.execute(
        f"""
        select customer_id, {currency}, coalesce(sum({amount}), 0),
               coalesce(sum({amount}) filter (item_type in ('payment', 'refund')), 0),
               coalesce(sum({amount}) filter (item_type = 'credit_memo'), 0),
               count(*) filter (currency <> base_currency)
        from open_items group by 1, 2
        """
    ).fetchall()
    here = {(customer, currency): tuple(rest) for customer, currency, *rest in found}
    documents = dict(con.execute("select customer_id, sum(difference) from document_reconciliation group by 1").fetchall())
    balances = []
    for key in sorted(theirs.keys() | here.keys()):
        ours, cash, credits, foreign = here.get(key, (ZERO, ZERO, ZERO, 0))
        difference = theirs.get(key, ZERO) - ours
        cause = _cause(difference, documents.get(key[0], ZERO), cash, credits, foreign if in_base else 0) if difference else ""
        least = Decimal(1).scaleb(-digits_in(key[1], digits_on(NOW)))
        if cause == UNKNOWN and in_base and several and abs(difference) <= rounding * least:
            cause = "cents: what rounding leaves of settled documents in another currency"
        balances.append(Balance(key[0], key[1], theirs.get(key, ZERO), ours, cause))
    return balances


def _cause(difference: Decimal, documents: Decimal, cash: Decimal, credits: Decimal, foreign: int) -> str:
    if documents and difference == documents:
        return "documents that differ, see above"
    if cash and difference == -cash:
        return "money on account, which the report leaves out"
    if credits and difference == -credits:
        return "credits, which the report leaves out"
    if credits and cash and difference == -credits - cash:
        return "money on account and credits, which the report leaves out"
    if foreign:
        return "documents in another currency: here at the rate of the day, there at that of the document"
    return "documents that differ, and something else" if documents else UNKNOWN


def _of_customers(balances: Sequence[Balance], differing: Sequence[Balance]) -> str:
    totals: dict[str, list[Any]] = {}
    for balance in balances:
        row = totals.setdefault(balance.currency, [balance.currency, 0, 0, ZERO, ZERO, ZERO])
        row[1] += 1
        row[2] += bool(balance.difference)
        row[3] += balance.reported
        row[4] += balance.ours
        row[5] += balance.difference
    head = ["currency", "customers", "differ", "owed there", "owed here", "difference"]
    parts = ["## The source's own aged report, of the same day and asked for now", _table(head, totals.values())]
    if not differing:
        return "\n\n".join([*parts, "Every customer owes what the source says."])
    causes: dict[tuple[str, str], list[Any]] = {}
    for balance in differing:
        row = causes.setdefault((balance.cause, balance.currency), [balance.cause, balance.currency, 0, ZERO])
        row[2] += 1
        row[3] += balance.difference
    parts.append(_table(["cause", "currency", "customers", "difference"], sorted(causes.values(), key=lambda row: -row[2])))
    largest = sorted(differing, key=lambda balance: (-abs(balance.difference), balance.customer_id))[:SHOWN]
    parts.append(_first(len(differing), "customers.csv"))
    head = ["customer", "currency", "owed there", "owed here", "difference", "cause"]
    rows = [(each.customer_id, each.currency, each.reported, each.ours, each.difference, each.cause) for each in largest]
    return "\n\n".join([*parts, _table(head, rows)])


def _as_table(balances: Sequence[Balance]) -> pa.Table:
    money = pa.decimal128(18, 4)
    columns = [
        ("customer_id", pa.string(), [each.customer_id for each in balances]),
        ("currency", pa.string(), [each.currency for each in balances]),
        ("reported", money, [each.reported for each in balances]),
        ("ours", money, [each.ours for each in balances]),
        ("difference", money, [each.difference for each in balances]),
        ("cause", pa.string(), [each.cause for each in balances]),
    ]
    return pa.table({name: pa.array(values, kind) for name, kind, values in columns})


# --- the control account -------------------------------------------------------------------------------------------------


def _of_control(con: duckdb.DuckDBPyConnection) -> str:
    rows = con.execute(
        "select company_id, currency, subledger_balance, control_balance, difference, state from control_reconciliation order by 1"
    ).fetchall()
    return f"## The control account\n\n{_table(['company', 'currency', 'subledger', 'control account', 'difference', 'state'], rows)}"


# --- how it looks --------------------------------------------------------------------------------------------------------


def _first(count: int, file: str) -> str:
    return f"The largest {SHOWN} of {count:,}; all of them are in {file}:" if count > SHOWN else "All of them:"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table that lines up where it is read as text too; numbers to the right."""
    body = [list(row) for row in rows]
    place_of_currency = head.index("currency")
    cells = [[_cell(value, row[place_of_currency]) for value in row] for row in body]
    right = [all(isinstance(row[place], (int, Decimal)) or row[place] is None for row in body) for place in range(len(head))]
    widths = [max(3, *(len(row[place]) for row in (list(head), *cells))) for place in range(len(head))]

    def line(row: Sequence[str]) -> str:
        laid = [
            f"{cell:>{width}}" if to_right else f"{cell:<{width}}"
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        return f"| {' | '.join(laid)} |"

    ruler = (
        "|"
        + "|".join("-" * (width + 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True))
        + "|"
    )
    return "\n".join([line(head), ruler, *map(line, cells)])


def _cell(value: Any, currency: str) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return written(value, currency, digits_on(NOW))
    return f"{value:,}" if isinstance(value, int) else printable(str(value)).replace("|", "\\|")
