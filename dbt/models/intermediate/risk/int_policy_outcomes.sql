with snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
    where not is_as_of
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
    where not is_as_of
),

snapshot as (
    select * from {{ ref('int_items_snapshot') }}
    where {{ is_receivable('item_type') }} and open_amount > 0 and not is_as_of
),

movements as (
    select * from {{ ref('int_item_movements') }}
    where kind = 'write_off'
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

-- A rounding that is let go is no loss.
write_offs as (
    select
        movements.customer_id,
        movements.moved_on
    from movements
    left join companies on movements.company_id = companies.company_id
    left join exchange_rates
        on movements.currency = exchange_rates.from_currency
        and companies.reporting_currency = exchange_rates.to_currency
        and {{ spans('movements.moved_on', 'exchange_rates') }}
    where
        movements.amount < 0
        and not {{ below_trifle(converted('-movements.amount', 'movements.currency', 'companies.reporting_currency', 'exchange_rates')) }}
),

verdicts as (
    select * from {{ ref('int_risk_verdicts') }}
),

tier_terms as (
    select * from {{ policy_history('risk_tier_terms', every_pack=true) }} as risk_tier_terms
),

hold_rules as (
    select * from {{ policy_history('credit_holds', every_pack=true) }} as credit_holds
),

-- Month ends after which there were enough others to see what became of who owed then.
asked as (
    select
        snapshot_date,
        cast({{ dbt.last_day(dbt.dateadd('month', policy_value('risk_policy', 'backtest_months'), 'snapshot_date'), 'month') }} as date) as judged_on
    from snapshot_dates
),

tried as (
    select
        asked.snapshot_date,
        asked.judged_on,
        row_number() over (order by asked.snapshot_date desc) as place
    from asked
    inner join snapshot_dates as judged on asked.judged_on = judged.snapshot_date
),

month_ends as (
    select
        snapshot_date,
        judged_on
    from tried
    where place <= {{ policy_value('risk_policy', 'backtest_month_ends') }}
),

accounts as (
    select
        month_ends.snapshot_date,
        month_ends.judged_on,
        customer_balances.customer_id,
        sum(customer_balances.balance_reporting - customer_balances.trifle_reporting) as used_amount,
        sum(customer_balances.owed_reporting) as owed_amount,
        max(customer_balances.oldest_days_late) as oldest_days_late
    from month_ends
    inner join customer_balances on month_ends.snapshot_date = customer_balances.snapshot_date
    group by month_ends.snapshot_date, month_ends.judged_on, customer_balances.customer_id
    having sum(customer_balances.owed_reporting) > 0
),

late_after as (
    select
        accounts.snapshot_date,
        accounts.customer_id,
        max(later.oldest_days_late) as oldest_days_late
    from accounts
    inner join customer_balances as later
        on accounts.customer_id = later.customer_id
        and later.snapshot_date > accounts.snapshot_date
        and later.snapshot_date <= accounts.judged_on
    group by accounts.snapshot_date, accounts.customer_id
),

written_off_after as (
    select distinct
        accounts.snapshot_date,
        accounts.customer_id
    from accounts
    inner join write_offs
        on accounts.customer_id = write_offs.customer_id
        and write_offs.moved_on > accounts.snapshot_date
        and write_offs.moved_on <= accounts.judged_on
),

outcomes as (
    select
        accounts.*,
        coalesce(accounts.oldest_days_late > {{ policy_value('risk_policy', 'backtest_bad_after_days') }}, false) as was_bad,
        coalesce(late_after.oldest_days_late > {{ policy_value('risk_policy', 'backtest_bad_after_days') }}, false)
        or written_off_after.customer_id is not null as went_bad
    from accounts
    left join late_after
        on accounts.customer_id = late_after.customer_id
        and accounts.snapshot_date = late_after.snapshot_date
    left join written_off_after
        on accounts.customer_id = written_off_after.customer_id
        and accounts.snapshot_date = written_off_after.snapshot_date
),

judged as (
    select
        verdicts.policy,
        outcomes.*,
        verdicts.tier_indicated,
        tier_terms.tier_rank,
        tier_terms.credit_limit
    from outcomes
    inner join verdicts
        on outcomes.customer_id = verdicts.customer_id
        and outcomes.snapshot_date = verdicts.snapshot_date
    inner join tier_terms
        on verdicts.policy = tier_terms.policy
        and verdicts.tier_indicated = tier_terms.tier
        and {{ valid_on('outcomes.snapshot_date', 'tier_terms') }}
),

-- The rule of the tier, else of the pack, else of every pack.
ruled as (
    select
        judged.*,
        hold_rules.max_used_share,
        hold_rules.max_past_due_days,
        hold_rules.min_past_due_amount,
        row_number() over (
            partition by judged.policy, judged.snapshot_date, judged.customer_id
            order by case when hold_rules.policy = '*' then 1 else 0 end, case when hold_rules.tier = '*' then 1 else 0 end
        ) as closeness
    from judged
    left join hold_rules
        on hold_rules.policy in ('*', judged.policy)
        and hold_rules.tier in ('*', judged.tier_indicated)
        and {{ valid_on('judged.snapshot_date', 'hold_rules') }}
),

too_long as (
    select
        ruled.policy,
        ruled.snapshot_date,
        ruled.customer_id,
        sum(snapshot.open_amount_reporting) as amount
    from ruled
    inner join snapshot
        on ruled.customer_id = snapshot.customer_id
        and ruled.snapshot_date = snapshot.snapshot_date
        and snapshot.days_past_due > ruled.max_past_due_days
    where ruled.closeness = 1 and ruled.oldest_days_late > ruled.max_past_due_days
    group by ruled.policy, ruled.snapshot_date, ruled.customer_id
)

select
    ruled.policy,
    ruled.snapshot_date,
    ruled.judged_on,
    ruled.customer_id,
    ruled.tier_indicated,
    ruled.tier_rank,
    ruled.owed_amount,
    ruled.was_bad,
    ruled.went_bad,
    coalesce(ruled.used_amount > 0 and ruled.used_amount > ruled.credit_limit * ruled.max_used_share, false) as is_over_limit,
    coalesce(too_long.amount >= ruled.min_past_due_amount, false) as is_past_due_too_long
from ruled
left join too_long
    on ruled.policy = too_long.policy
    and ruled.snapshot_date = too_long.snapshot_date
    and ruled.customer_id = too_long.customer_id
where ruled.closeness = 1
