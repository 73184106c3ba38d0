"""What others and the marts must agree on: by name, a query over the marts and one over the floor (`TIES`) or over what pandas made of
the same files (`PANDAS`) that give the same set of rows.

Belongs here: counts and sums of each mart that they have, by whatever is not a measure. Does not belong here: how the two are built or run.
"""

from __future__ import annotations

from datetime import date

AS_OF = date(2025, 6, 18)
"""The morning of the books of `ledgers.sql`; the floor has the holidays around it written out."""


def same(table: str, columns: str) -> tuple[str, str]:
    """The same query, by whatever is not a measure, over a mart and the floor's table of its name."""
    query = f"select {columns} from {{}}{table} group by all"
    return query.format("marts."), query.format("")


TIES = {
    "open items": (
        "select currency, item_type, count(*), sum(open_amount), sum(open_amount_reporting) from marts.open_items group by all",
        "select currency, item_type, count(*), sum(open_amount), sum(open_reporting) from open_items group by all",
    ),
    "aging by bucket": (
        "select currency, aging_bucket, count(*), sum(open_amount) from marts.open_items group by all",
        "select currency, aging_bucket, count(*), sum(open_amount) from open_items group by all",
    ),
    "aging by customer": (
        "select customer_id, currency, current_amount, d1_30, d31_60, d61_90, d90_plus, credits, balance from marts.aging_by_customer",
        "select customer_id, currency, current_amount, d1_30, d31_60, d61_90, d90_plus, credits, balance from aging_by_customer",
    ),
    "aging history": (
        "select snapshot_date, company_id, currency, sum(current_amount), sum(d90_plus), sum(balance) from marts.aging_history "
        "group by all",
        "select snapshot_date, company_id, currency, sum(current_amount), sum(d90_plus), sum(balance) from aging_history group by all",
    ),
    "days beyond terms": (
        "select month, sum(paid_amount), sum(past_due_amount), count(*) from marts.days_beyond_terms_monthly group by all",
        "select cast(date_trunc('month', month_end) as date), sum(paid), sum(past_due), count(*) from days_beyond_terms_monthly "
        f"where month_end > date '{AS_OF}' - interval 24 month group by all",
    ),
    "tier history": same(
        "risk_tier_history",
        "snapshot_date, tier_indicated, count(*), count(distinct customer_id), sum(risk_score), sum(evidence)",
    ),
    "tiers": same(
        "risk_tiers",
        "tier_indicated, tier_in_force, drift, tie_break, last_reviewed_tier, next_review_due, count(*), sum(risk_score), sum(evidence), "
        "sum(net_days_max), sum(credit_limit_policy)",
    ),
    "tier reasons": same(
        "risk_tier_reasons",
        "tier, factor, operator, threshold, source, effect, passed, on_the_way_up, count(*), sum(value_number), sum(distance), "
        "count(distinct reason)",
    ),
    "tier migration": same(
        "risk_tier_migration", "snapshot_date, prior_snapshot_date, from_tier, to_tier, direction, customers, exposure_amount"
    ),
    "payment behaviour": same(
        "payment_behaviour",
        "direction, payer_pattern, hidden_stress, active_months, count(*), sum(dbt_days_3m), sum(dbt_days_6m), sum(dbt_days_12m), "
        "sum(dbt_days_24m), sum(dbt_slope), sum(dbt_stddev), sum(dbt_days_recent), sum(dbt_days_prior), sum(paydex_equivalent), "
        "sum(paid_amount_12m), sum(past_due_amount), sum(days_to_pay_12m), sum(late_share_12m), sum(on_time_share_12m), "
        "sum(on_time_share_24m), sum(bureau_dbt), sum(bureau_dbt_change_6m)",
    ),
    "credit limit use": same(
        "credit_limit_use",
        "company_id, status, tier_in_force, limit_source, hold_candidate, hold_reason, on_hold, release_candidate, count(*), "
        "sum(credit_limit), sum(balance), sum(past_due_amount), sum(oldest_past_due_days), sum(credit_used_share), sum(headroom_amount)",
    ),
    "credit exceptions": same(
        "credit_exceptions",
        "dated_on, company_id, tier, granted, allowed, count(*), count(distinct customer_id), min(invoice_id)",
    ),
    "credit score changes": same(
        "credit_score_changes",
        "bureau, score_code, direction, alerting, months_between, scored_on_from, scored_on_to, has_status_changed, count(*), "
        "sum(points), sum(score_from), sum(score_to), sum(points_since_review)",
    ),
    "credit reviews due": same(
        "credit_reviews_due",
        "due_on, trigger, all_triggers, has_news, is_cycle_overdue, tier_in_force, tier_indicated, count(*), sum(days_overdue), "
        "sum(exposure_amount), sum(credit_limit), sum(oldest_past_due_days), sum(dbt_days_recent), sum(bureau_score)",
    ),
    "key figures": (
        "select kpi, scope, count(*), count(value), sum(n), cast(sum(numerator) as decimal(28, 3)), "
        "cast(sum(denominator) as decimal(28, 3)), sum(value), count(prior_value), count_if(tripped) from marts.kpi_monthly "
        "where scope <> 'product_line' group by all",
        "select kpi, scope, count(*), count(value), sum(n), cast(sum(numerator) as decimal(28, 3)), "
        "cast(sum(denominator) as decimal(28, 3)), sum(value), count(prior_value), count_if(tripped) from kpi_monthly group by all",
    ),
    "key figures of the newest month": (
        "select scope, scope_value, kpi, numerator, denominator, n, value, prior_value, target, tripped from marts.kpi_monthly "
        "where month = (select max(month) from marts.kpi_monthly) and scope <> 'product_line'",
        "select scope, scope_value, kpi, numerator, denominator, n, value, prior_value, target, tripped from kpi_monthly "
        "where month = (select max(month) from kpi_monthly)",
    ),
    "alerts": (
        "select month, kpi, scope, count(*), sum(value), sum(prior_value), count(moved_most), min(moved_most) from marts.kpi_alerts "
        "where scope <> 'product_line' group by all",
        "select month, kpi, scope, count(*), sum(value), sum(prior_value), count(moved_most), min(moved_most) from kpi_alerts group by all",
    ),
    "concentration": (
        "select band, customers, billed, billed_share, days_to_pay, risk from marts.concentration",
        "select band, customers, billed, cast(cast(billed_share as decimal(28, 10)) as decimal(18, 4)), "
        "cast(cast(days_to_pay as decimal(28, 10)) as decimal(18, 4)), cast(cast(risk as decimal(28, 10)) as decimal(18, 4)) "
        "from concentration",
    ),
    "roll-forward": (
        "select company_id, month, opening, billed, cash, credits, write_offs, fx, closing, difference from marts.roll_forward",
        "select company_id, month, opening, billed, cash, credits, write_offs, fx, closing, difference from roll_forward",
    ),
    "control accounts": (
        "select company_id, currency, subledger_balance, control_balance, difference, state from marts.control_reconciliation",
        "select company_id, currency, subledger_balance, control_balance, difference, state from control_reconciliation",
    ),
    "items to dun": (
        "select company_id, currency, step, all_held_reasons, held_list, held_until, next_step, next_step_on, count(*), sum(open_amount), "
        "sum(disputed_amount), sum(covered_amount), sum(dunnable_amount), sum(dunnable_amount_reporting), sum(late_fee_preview) "
        "from marts.dunning_items group by all",
        "select company_id, currency, step, all_held_reasons, held_list, held_until, next_step, next_step_on, count(*), sum(open_amount), "
        "sum(disputed_amount), sum(covered_amount), sum(dunnable_amount), sum(dunnable_reporting), "
        "sum(round(cast(late_fee as decimal(24, 6)), 2)) from dunning_items group by all",
    ),
    "call list": (
        "select rank, customer_id, collector, step, channel, tone, past_due_amount, not_due_amount, item_count, oldest_days_past_due, "
        "priority, late_fee_preview, disputed_amount, held_item_count, credit_available, last_contact_on, promised_on "
        "from marts.dunning_worklist",
        "select rank, customer_id, collector, step, channel, tone, past_due_amount, not_due_amount, item_count, oldest_days_past_due, "
        "priority, late_fee_preview, disputed_amount, held_item_count, credit_available, last_contact_on, promised_on "
        "from dunning_worklist",
    ),
    "changes of the call list": (
        "select collector, change, step, currency, count(*), sum(open_amount) from marts.dunning_changes group by all",
        "select collector, change, step, currency, count(*), sum(open_amount) from dunning_changes group by all",
    ),
    "cash to apply": (
        "select customer_id, rule, confidence, count(*), sum(amount), min(payment_id), min(invoice_id) "
        "from marts.cash_application_suggestions group by all",
        "select customer_id, rule, confidence, count(*), sum(amount), min(payment_id), min(invoice_id) from cash_application_suggestions "
        "group by all",
    ),
    "collectors' promises": (
        "select collector, month, promises_taken, promised_amount, kept_amount, broken_amount from marts.collector_activity",
        "select collector, month, promises_taken, promised_amount, kept_amount, broken_amount from collector_activity",
    ),
    # Nothing is wrong in these books: a count keeps the rows from being none.
    "invoices in error": (
        "select count(*), min(rule) from marts.invoice_errors",
        "select count(*), min(rule) from invoice_errors",
    ),
    "customers' records": (
        "select count(*), min(issue) from marts.customer_data_issues",
        "select count(*), min(issue) from customer_data_issues",
    ),
}

PANDAS = {
    "aging by customer": (
        "select customer_id, company_id, currency, cast(100 * current_amount as bigint), cast(100 * d1_30 as bigint), "
        "cast(100 * d31_60 as bigint), cast(100 * d61_90 as bigint), cast(100 * d90_plus as bigint), cast(100 * credits as bigint), "
        "cast(100 * balance as bigint) from marts.aging_by_customer",
        "select customer_id, company_id, currency, current_amount, d1_30, d31_60, d61_90, d90_plus, credits, balance from aging",
    ),
    "DSO": (
        "select month, scope_value, cast(100 * numerator as bigint), cast(100 * denominator as bigint), value from marts.kpi_monthly "
        "where kpi = 'dso' and scope in ('total', 'company')",
        "select cast(date_trunc('month', date '1970-01-01' + cast(month_end as integer)) as date), company_id, receivables, billed, "
        "cast(cast(dso as decimal(28, 10)) as decimal(18, 4)) from dso",
    ),
    "days beyond terms": (
        "select customer_id, month, cast(100 * paid_amount as bigint), cast(100 * past_due_amount as bigint), dbt_days "
        "from marts.days_beyond_terms_monthly",
        "select customer_id, cast(date_trunc('month', date '1970-01-01' + cast(month_end as integer)) as date), paid, past_due, "
        "cast(cast(dbt_days as decimal(28, 10)) as decimal(18, 4)) from days_beyond_terms",
    ),
}
