{#- A part of int_review_reasons, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with accounts as (
    select * from {{ ref('int_review_accounts') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

signals as (
    select * from {{ ref('int_risk_signals') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

triggers as (
    select * from {{ policy_rows('review_triggers') }} as review_triggers
),

-- The newest month end on which it was not yet so. What stands today stands since the one after it.
last_without as (
    select
        accounts.customer_id,
        min(signals.snapshot_date) as first_snapshot_date,
        max(case when coalesce(tier_history.tier_indicated, '') = accounts.tier_in_force then signals.snapshot_date end) as no_drift_on,
        max(case when coalesce(signals.dbt_direction, '') <> 'rising' then signals.snapshot_date end) as not_rising_on,
        max(case when coalesce(signals.bureau_status, '') <> accounts.bureau_status then signals.snapshot_date end) as other_status_on,
        max(case when coalesce(signals.credit_used_share, 0) <= over_limit.threshold then signals.snapshot_date end) as within_limit_on,
        max(case when coalesce(signals.credit_used_share, 0) <= accounts.review_use_share then signals.snapshot_date end) as below_mark_on
    from accounts
    inner join signals on accounts.customer_id = signals.customer_id and not signals.is_as_of
    left join tier_history
        on signals.customer_id = tier_history.customer_id
        and signals.snapshot_date = tier_history.snapshot_date
    left join triggers as over_limit on over_limit.trigger = 'over_limit'
    group by accounts.customer_id
),

following as (
    select
        snapshot_date,
        lead(snapshot_date) over (order by snapshot_date) as next_snapshot_date
    from snapshot_dates
),

dated_by_month as (
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'tier_drift') }} as trigger,
        last_without.no_drift_on as last_without_on,
        accounts.tier_indicated as value,
        accounts.tier_in_force as before,
        cast(null as string) as source,
        cast(null as string) as threshold
    from accounts
    left join last_without on accounts.customer_id = last_without.customer_id
    where accounts.tier_indicated <> accounts.tier_in_force
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'direction_rising') }} as trigger,
        last_without.not_rising_on as last_without_on,
        {{ for_people('accounts.dbt_days_recent', "'days'") }} as value,
        {{ for_people('accounts.dbt_days_prior', "'days'") }} as before,
        cast(null as string) as source,
        cast(null as string) as threshold
    from accounts
    left join last_without on accounts.customer_id = last_without.customer_id
    where accounts.dbt_direction = 'rising'
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'insolvency') }} as trigger,
        last_without.other_status_on as last_without_on,
        accounts.bureau_status as value,
        cast(null as string) as before,
        accounts.bureau_status_source as source,
        cast(null as string) as threshold
    from accounts
    left join last_without on accounts.customer_id = last_without.customer_id
    where accounts.status <> 'insolvent' and accounts.bureau_status in ('insolvent', 'dissolved')
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'over_limit') }} as trigger,
        last_without.within_limit_on as last_without_on,
        accounts.limit_detail as value,
        cast(null as string) as before,
        cast(null as string) as source,
        {{ for_people('triggers.threshold', "'percent'") }} as threshold
    from accounts
    inner join triggers on triggers.trigger = 'over_limit'
    left join last_without on accounts.customer_id = last_without.customer_id
    where accounts.used_amount > 0 and accounts.used_amount > accounts.credit_limit * triggers.threshold
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'use_above_share') }} as trigger,
        last_without.below_mark_on as last_without_on,
        {{ for_people('accounts.credit_used_share', "'percent'") }} as value,
        accounts.tier_in_force as before,
        cast(null as string) as source,
        {{ for_people('accounts.review_use_share', "'percent'") }} as threshold
    from accounts
    inner join triggers as over_limit on over_limit.trigger = 'over_limit'
    left join last_without on accounts.customer_id = last_without.customer_id
    where
        accounts.used_amount > accounts.credit_limit * accounts.review_use_share
        and accounts.used_amount <= accounts.credit_limit * over_limit.threshold
)

select
    dated_by_month.customer_id,
    dated_by_month.trigger,
    coalesce(
        following.next_snapshot_date,
        case when dated_by_month.last_without_on is null then last_without.first_snapshot_date end,
        {{ as_of() }}
    ) as since,
    dated_by_month.value,
    dated_by_month.before,
    dated_by_month.source,
    dated_by_month.threshold
from dated_by_month
left join following on dated_by_month.last_without_on = following.snapshot_date
left join last_without on dated_by_month.customer_id = last_without.customer_id
