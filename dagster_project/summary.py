"""The end of a night in one screen: what came in, what is owed, whom to call, what was held, what to open.

Belongs here: reading the published marts and the loads' manifests, and saying it in words. Does not belong here: rules — every
number here is a column or a sum of one.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from dagster_project.amounts import Digits, digits_on, written
from dagster_project.contract import DATASETS, WORKLIST_OUTCOMES
from dagster_project.incoming.intake import waiting
from dagster_project.landing import Landing
from dagster_project.paths import ROOT
from dagster_project.settings import Settings
from dagster_project.sources.catalogue import CONNECTORS
from dagster_project.warehouse import PUBLIC, published_as, published_marts


def summary_of(settings: Settings, as_of: date) -> str:
    """The morning's summary, as lines of `label  text`."""
    folder = published_as(settings.published, as_of)
    lines = [("as of", f"{as_of}"), ("source", _source(settings)), *_rows(settings, as_of)]
    with published_marts(folder) as con:
        digits = digits_on(as_of, settings.policy)
        lines += _receivables(con, digits)
        lines += _control(con, digits)
        lines += _list(con, digits)
        lines += _credit(con)
    lines += [("warning" if number == 0 else "", warning) for number, warning in enumerate(_warnings(settings, as_of))]
    lines += [
        ("open", _shown(settings.worklists / as_of.isoformat() / "worklist.xlsx")),
        *[("", _shown(page)) for page in [settings.reports / as_of.isoformat() / "index.html"] if page.exists()],
        ("", _shown(folder / PUBLIC)),
    ]
    return "\n".join(f"{label:<10} {text}" for label, text in lines)


def _warnings(settings: Settings, as_of: date) -> list[str]:
    """What the list went out in spite of, by policy."""
    manifest = settings.worklists / as_of.isoformat() / "manifest.json"
    return json.loads(manifest.read_text("utf-8"))["warnings"] if manifest.exists() else []


def _source(settings: Settings) -> str:
    connector = CONNECTORS[settings.source]
    return f"{settings.source} ({connector.words(settings.own(connector))}), policy {settings.policy}"


def _rows(settings: Settings, as_of: date) -> list[tuple[str, str]]:
    landing = Landing(settings.landing, settings.quarantine)
    manifests = [loads[-1].manifest for dataset in DATASETS.values() if (loads := landing.loads(dataset, as_of))]
    absent = [manifest.dataset for manifest in manifests if manifest.absent]
    refused = [manifest for manifest in manifests if manifest.quarantined]
    totals = {name: sum(getattr(m, name) for m in manifests) for name in ("received", "landed", "quarantined")}
    lines = [
        (
            "rows",
            f"{totals['received']:,} received, {totals['landed']:,} landed, {totals['quarantined']:,} quarantined (newest loads)",
        )
    ]
    if refused:
        told = ", ".join(f"{manifest.dataset} {manifest.quarantined:,}" for manifest in refused)
        lines.append(("refused", f"{told}: with their reasons in {_shown(settings.quarantine)}/"))
    if absent:
        lines.append(("absent", ", ".join(absent)))
    return lines + _inbox(settings, landing, as_of)


def _inbox(settings: Settings, landing: Landing, as_of: date) -> list[tuple[str, str]]:
    answers = sum(load.manifest.landed for load in landing.loads(WORKLIST_OUTCOMES) if load.as_of == as_of)
    lines = [("inbox", f"{answers:,} answers read back from filled workbooks")] if answers else []
    if came_back := waiting(settings.inbox):
        places = ", ".join(_shown(path) for path in came_back[:3]) + (" …" if len(came_back) > 3 else "")
        lines.append(("mend", f"cells that could not be read, each with what to write instead: {places}"))
    return lines


def _receivables(con: duckdb.DuckDBPyConnection, digits: Digits) -> list[tuple[str, str]]:
    items = con.execute(
        """
        select reporting_currency,
               count(*) filter (item_type in ('invoice', 'debit_memo')),
               sum(open_amount_reporting) filter (item_type in ('invoice', 'debit_memo')),
               count(*) filter (days_past_due > 0),
               coalesce(sum(open_amount_reporting) filter (days_past_due > 0), 0),
               count(*) filter (item_type not in ('invoice', 'debit_memo')),
               coalesce(sum(open_amount_reporting) filter (item_type not in ('invoice', 'debit_memo')), 0)
        from open_items group by 1 order by 1
        """
    ).fetchall()
    lines = []
    for currency, count, amount, late_count, late, credit_count, credits in items:
        lines += [
            ("open", f"{count:,} open items, {_money(amount, currency, digits)} {currency}"),
            ("past due", f"{late_count:,} items, {_money(late, currency, digits)} {currency}{_share(late, amount)}"),
        ]
        if credit_count:
            lines.append(
                ("credits", f"{credit_count:,} credits and unapplied payments, {_money(credits, currency, digits)} {currency}")
            )
    return lines or [("open", "no open items")]


def _control(con: duckdb.DuckDBPyConnection, digits: Digits) -> list[tuple[str, str]]:
    rows = con.execute("select company_id, state, subledger_balance, currency from control_reconciliation order by 1").fetchall()
    words = {
        "tied": "ties to the ledger's control account",
        "unverified": "unverified: the source gives no control balance",
        "untied": "does NOT tie to the ledger's control account",
    }
    return [
        ("control" if number == 0 else "", f"{company}: {_money(balance, currency, digits)} {currency} {words[state]}")
        for number, (company, state, balance, currency) in enumerate(rows)
    ]


def _list(con: duckdb.DuckDBPyConnection, digits: Digits) -> list[tuple[str, str]]:
    calls = con.execute(
        "select reporting_currency, count(*), sum(item_count), sum(past_due_amount), count(distinct collector) "
        "from dunning_worklist group by 1 order by 1"
    ).fetchall()
    lines = [
        (
            "worklist",
            f"{count:,} customers, {items:,} items, {_money(amount, currency, digits)} {currency} past due, {people} collectors",
        )
        for currency, count, items, amount, people in calls
    ] or [("worklist", "nobody is due to be contacted this morning")]
    held = con.execute(
        "select held_reason, count(*), sum(open_amount_reporting), any_value(reporting_currency) from dunning_items "
        "where held_reason is not null group by 1 order by 2 desc, 1"
    ).fetchall()
    next_up = con.execute(
        "select next_step_on, count(*) from dunning_items where held_reason = 'waiting_next_step' group by 1 order by 1 limit 1"
    ).fetchone()
    for number, (reason, count, amount, currency) in enumerate(held):
        more = f" ({next_up[1]:,} until {next_up[0]})" if next_up and reason == "waiting_next_step" else ""
        lines.append(
            (
                "held" if number == 0 else "",
                f"{count:>6,} items {_money(amount, currency, digits):>16} {currency}  {reason.replace('_', ' ')}{more}",
            )
        )
    return lines


def _credit(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """What a credit manager has to look at, as far as there is any."""
    told = con.execute(
        """
        select 'credit reviews due, ' || count_if(is_cycle_overdue) || ' past their date', count(*) from credit_reviews_due
        union all select 'customers in drift', count_if(drift) from risk_tiers
        union all select 'bureau scores to look at', count_if(alerting) from credit_score_changes
        union all select 'hold candidates', count_if(hold_candidate) from credit_limit_use
        union all select 'customer records to mend', count(distinct customer_id) from customer_data_issues
        """
    ).fetchall()
    return [
        ("credit" if number == 0 else "", f"{count:>6,} {what}")
        for number, (what, count) in enumerate((what, count) for what, count in told if count)
    ]


def _money(amount: Decimal | None, currency: str | None, digits: Digits) -> str:
    return written(amount or Decimal(0), currency, digits)


def _share(part: Decimal, whole: Decimal) -> str:
    return f" ({part / whole:.1%})" if whole else ""


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
