"""What stands on the page, read from the marts.

Belongs here: which rows and columns of which mart, in which order, and how many. Does not belong here: rules (dbt has decided), how it
looks (the templates).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import duckdb

from dagster_project.policy import rows_in_force

Row = Mapping[str, Any]

LONGEST: Final = 12
"""Rows of a table on the morning's page; the workbook has all of them."""

MOST_CUSTOMERS: Final = 400
"""Customers with a page of their own: the call list by rank, and whoever is worried about. A longer list is a list, not a page."""

MOST_ITEMS: Final = 200
"""Open items on a customer's page."""

FORETOLD_WEEKS: Final = 4
"""Weeks after which a forecast is shown beside what came."""

LATE_MONTHS: Final = 3
"""Months of settled items that are asked whose fault their late days were."""

AGING: Final = {
    "aging_share_current": "Not due",
    "aging_share_1_30": "1-30 days",
    "aging_share_31_60": "31-60 days",
    "aging_share_61_90": "61-90 days",
    "aging_share_90_plus": "Over 90 days",
}


@dataclass(frozen=True)
class Morning:
    """The morning's page: rows of marts by what they are about."""

    as_of: date
    policy: str
    currency: str
    controls: Sequence[Row]
    changes: Sequence[Row]
    calls: Sequence[Row]
    totals: Row
    held: Sequence[Row]
    headlines: Sequence[Row]
    dso: Sequence[Row]
    aging: Sequence[Row]
    quality: Sequence[Row]
    scopes: Sequence[Row]
    alerts: Sequence[Row]
    cash: Sequence[Row]
    tiers: Sequence[Row]
    migration: Sequence[Row]
    concentration: Sequence[Row]
    watch: Sequence[Row]
    reviews: Sequence[Row]
    review_count: int
    exceptions: Sequence[Row]
    orders: Sequence[Row]
    ahead: Sequence[Row]
    foretold: Sequence[Row]
    late: Sequence[Row]
    causes: Sequence[Row]
    disputes: Sequence[Row]
    recurring: Sequence[Row]
    losses: Sequence[Row]
    pilot: Sequence[Row]


@dataclass(frozen=True)
class Customer:
    """One customer's page."""

    customer_id: str
    who: Row
    call: Row | None
    items: Sequence[Row]
    more_items: int
    months: Sequence[Row]
    behaviour: Row | None
    reasons: Sequence[Row]
    scores: Sequence[Row]


def morning(con: duckdb.DuckDBPyConnection) -> Morning:
    """Read the page's figures; `con` has a view for each mart."""
    as_of, policy = _one(con, "select as_of, policy from run").values()
    currency = _one(con, "select coalesce(max(reporting_currency), '') as currency from credit_limit_use")["currency"]
    buckets = sorted(rows_in_force("aging_buckets", policy, as_of), key=lambda row: int(row["from_days"] or -1))
    return Morning(
        as_of=as_of,
        policy=policy,
        currency=currency,
        controls=_rows(con, "select * from control_reconciliation order by company_id"),
        changes=_rows(
            con,
            """
            select change, count(*) as items, count(distinct customer_id) as customers
            from dunning_changes where is_news group by change order by items desc, change
            """,
        ),
        calls=_rows(con, f"select * from dunning_worklist order by rank limit {LONGEST}"),
        totals=_one(
            con,
            """
            select count(*) as customers, coalesce(sum(item_count), 0) as items, coalesce(sum(past_due_amount), 0) as past_due_amount,
                count(distinct collector) as collectors
            from dunning_worklist
            """,
        ),
        held=_rows(
            con,
            """
            select held_reason, count(*) as items, sum(open_amount_reporting) as amount
            from dunning_items where held_reason is not null group by held_reason order by amount desc nulls last, held_reason
            """,
        ),
        headlines=_rows(
            con,
            """
            select * from kpi_monthly
            where scope = 'total' and headline is not null and month = (select max(month) from kpi_monthly)
            order by headline, kpi
            """,
        ),
        dso=_rows(
            con,
            """
            select kpi, month, value, target, goal from kpi_monthly
            where scope = 'total' and kpi in ('dso', 'best_possible_dso', 'dso_countback') order by kpi, month
            """,
        ),
        aging=_rows(
            con,
            f"select kpi, month, numerator from kpi_monthly where scope = 'total' and kpi in {tuple(AGING)} order by kpi, month",
        ),
        quality=_rows(
            con,
            "select kpi, month, value from kpi_monthly where scope = 'total' and kpi in ('cei', 'dbt_days') order by kpi, month",
        ),
        scopes=_rows(
            con,
            """
            select scope, scope_value, kpi, value, prior_value, target, better, unit from kpi_monthly
            where scope in ('company', 'tier', 'region') and kpi in ('dso', 'cei', 'dbt_days', 'aging_share_90_plus')
                and month = (select max(month) from kpi_monthly)
            order by list_position(['company', 'tier', 'region'], scope), scope_value, kpi
            """,
        ),
        alerts=_rows(
            con,
            f"""
            select * from kpi_alerts where is_newest and scope in ('total', 'company', 'tier')
            order by list_position(['total', 'company', 'tier'], scope), title, scope_value limit {2 * LONGEST}
            """,
        ),
        cash=_rows(
            con,
            """
            select company_id, currency, cash from roll_forward
            where month = (select max(month) from roll_forward) order by company_id, currency
            """,
        ),
        tiers=_rows(
            con,
            """
            select risk_tiers.tier_in_force, max(risk_tiers.tier_name) as tier_name, count(*) as customers,
                coalesce(sum(limit_use.balance), 0) as balance, coalesce(sum(limit_use.past_due_amount), 0) as past_due_amount
            from risk_tiers left join credit_limit_use as limit_use using (customer_id)
            group by risk_tiers.tier_in_force order by risk_tiers.tier_in_force
            """,
        ),
        migration=_rows(
            con,
            """
            select from_tier, to_tier, direction, customers, exposure_amount from risk_tier_migration
            where snapshot_date = (select max(snapshot_date) from risk_tier_migration) and direction <> 'same'
            order by exposure_amount desc, from_tier, to_tier
            """,
        ),
        concentration=_rows(con, "select * from concentration order by list_position(['top5', 'next15', 'rest'], band)"),
        watch=_rows(con, "select * from watch_list order by rank"),
        reviews=_rows(
            con,
            f"select * from credit_reviews_due order by is_cycle_overdue desc, exposure_amount desc, customer_id limit {LONGEST}",
        ),
        review_count=_one(con, "select count(*) as reviews from credit_reviews_due")["reviews"],
        exceptions=_rows(
            con,
            """
            select kind, declared, count(*) as exceptions, count(distinct customer_id) as customers
            from credit_exceptions where is_counted group by kind, declared order by kind, declared
            """,
        ),
        orders=_rows(
            con,
            f"""
            select * from order_terms where order_decision <> 'open'
            order by order_decision, balance desc, customer_id limit {LONGEST}
            """,
        ),
        ahead=_rows(con, "select * from cash_forecast_weekly where scope = 'total' order by currency, week"),
        foretold=_rows(
            con,
            f"""
            select * from forecast_accuracy where scope = 'total' and made_on = (
                select max(made_on) from forecast_accuracy where week = {FORETOLD_WEEKS}
            )
            and week <= {FORETOLD_WEEKS} order by currency, week
            """,
        ),
        late=_rows(
            con,
            f"""
            select expected_payments.*, order_terms.customer_name from expected_payments
            left join order_terms on expected_payments.customer_id = order_terms.customer_id
            where chance_later_30 < 1
            order by open_amount_reporting * chance_later_30 desc, item_id limit {LONGEST}
            """,
        ),
        causes=_rows(
            con,
            f"""
            select title, owner, count(*) as items, sum(days) as days, sum(days * amount) / sum(sum(days * amount)) over () as share
            from late_days_by_cause
            where month > (select max(month) from late_days_by_cause) - interval {LATE_MONTHS} month
            group by cause, title, owner order by share desc, cause
            """,
        ),
        disputes=_rows(
            con,
            f"""
            select * from disputes_due
            order by days_overdue desc, disputed_amount desc, dispute_id limit {LONGEST}
            """,
        ),
        recurring=_rows(
            con,
            f"""
            select reason, sum(disputes) as disputes, sum(disputed_amount) as disputed_amount, sum(given_amount) as given_amount,
                sum(days_in_dispute) / sum(disputes) as days
            from dispute_causes group by reason order by given_amount desc, disputed_amount desc, reason limit {LONGEST}
            """,
        ),
        losses=_rows(
            con,
            """
            select coalesce(aging_bucket, 'all') as aging_bucket, sum(open_amount) as open_amount, sum(provision) as provision,
                sum(roll_rate_loss) as roll_rate_loss, sum(provision_year_ago) as provision_year_ago,
                sum(lost_since_year_ago) as lost_since_year_ago, max(year_ago) as year_ago
            from credit_loss_provision group by grouping sets ((aging_bucket), ())
            order by grouping(aging_bucket), list_position(?::varchar[], aging_bucket), aging_bucket
            """,
            [row["bucket"] for row in buckets],
        ),
        pilot=_rows(con, "select * from pilot_effect where month = (select max(month) from pilot_effect) order by kpi"),
    )


def chosen(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Which customers get a page: whoever is to be contacted, first by rank, and whoever is worried about, up to a bound."""
    rows = _rows(
        con,
        f"""
        select customer_id from (
            select customer_id, rank from watch_list union all select customer_id, 100 + rank from dunning_worklist
        ) group by customer_id order by min(rank), customer_id limit {MOST_CUSTOMERS}
        """,
    )
    return [row["customer_id"] for row in rows]


def customers(con: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> Iterator[Customer]:
    """The pages of those customers, in that order. Each mart is read once."""
    con.execute("create or replace temp table wanted as select unnest(?::varchar[]) as customer_id", [list(ids)])
    who = _by_customer(con, "select * from order_terms semi join wanted using (customer_id)")
    calls = _by_customer(con, "select * from dunning_worklist semi join wanted using (customer_id)")
    behaviour = _by_customer(con, "select * from payment_behaviour semi join wanted using (customer_id)")
    items = _by_customer(
        con,
        """
        select open_items.*, step, held_reason, next_step, next_step_on, last_step, last_step_on, sentence
        from open_items semi join wanted using (customer_id)
        left join dunning_items on open_items.item_id = dunning_items.item_id
        left join expected_payments on open_items.item_id = expected_payments.item_id
        order by open_items.due_date nulls last, open_items.item_id
        """,
    )
    months = _by_customer(
        con,
        """
        select * from days_beyond_terms_monthly semi join wanted using (customer_id)
        qualify row_number() over (partition by customer_id order by month desc) <= 12 order by month desc
        """,
    )
    reasons = _by_customer(
        con,
        """
        select * from risk_tier_reasons semi join wanted using (customer_id)
        where not passed order by on_the_way_up desc, tier desc, factor
        """,
    )
    scores = _by_customer(
        con, "select * from credit_score_changes semi join wanted using (customer_id) order by bureau, score_code"
    )
    for customer_id in ids:
        owed = items.get(customer_id, [])
        yield Customer(
            customer_id=customer_id,
            who=_first(who, customer_id) or {"customer_id": customer_id},
            call=_first(calls, customer_id),
            items=owed[:MOST_ITEMS],
            more_items=max(len(owed) - MOST_ITEMS, 0),
            months=months.get(customer_id, []),
            behaviour=_first(behaviour, customer_id),
            reasons=reasons.get(customer_id, []),
            scores=scores.get(customer_id, []),
        )


def _first(rows: Mapping[str, list[Row]], customer_id: str) -> Row | None:
    found = rows.get(customer_id)
    return found[0] if found else None


def _by_customer(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in _rows(con, query):
        found.setdefault(row["customer_id"], []).append(row)
    return found


def _rows(con: duckdb.DuckDBPyConnection, query: str, *values: object) -> list[Row]:
    result = con.execute(query, values)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _one(con: duckdb.DuckDBPyConnection, query: str) -> Row:
    (row,) = _rows(con, query)
    return row
