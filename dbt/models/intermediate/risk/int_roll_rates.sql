{#- Buckets only lead to later ones but for due dates that move, so as many passes as there are buckets settle what is lost in the end. -#}
{%- set passes = 10 -%}
with rolled as (
    select * from {{ ref('int_rolled_amounts') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
    where not is_as_of
),

tier_terms as (
    select distinct tier from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

newest as (
    select max(snapshot_date) as snapshot_date from snapshot_dates
),

-- Today's estimate, and that of a year before from what was over by then.
estimates as (
    select snapshot_date as estimated_on from newest
    union all
    select cast({{ dbt.last_day(dbt.dateadd('month', -12, 'snapshot_date'), 'month') }} as date) as estimated_on from newest
),

tiers as (
    select tier from tier_terms
    union
    select '*' as tier
),

seen as (
    select
        estimates.estimated_on,
        rolled.tier,
        rolled.aging_bucket,
        rolled.outcome,
        sum(rolled.amount) as amount
    from estimates
    inner join rolled on rolled.month_end <= estimates.estimated_on
    group by estimates.estimated_on, rolled.tier, rolled.aging_bucket, rolled.outcome
),

items_seen as (
    select
        estimated_on,
        aging_bucket,
        sum(items) as items
    from (
        select distinct
            estimates.estimated_on,
            rolled.month_end,
            rolled.tier,
            rolled.aging_bucket,
            rolled.items
        from estimates
        inner join rolled on rolled.month_end <= estimates.estimated_on
    ) as counted
    group by estimated_on, aging_bucket
),

book as (
    select
        estimated_on,
        aging_bucket,
        outcome,
        sum(amount) as amount,
        sum(sum(amount)) over (partition by estimated_on, aging_bucket) as bucket_amount
    from seen
    group by estimated_on, aging_bucket, outcome
),

-- A tier's own months, and some items of the whole book beside them, so that one write-off is no law.
smoothed as (
    select
        book.estimated_on,
        tiers.tier,
        book.aging_bucket,
        book.outcome,
        coalesce(seen.amount, 0)
        + cast(book.amount as double) / items_seen.items * {{ policy_value('risk_policy', 'roll_rate_prior_items') }} as amount
    from book
    cross join tiers
    inner join items_seen
        on book.estimated_on = items_seen.estimated_on
        and book.aging_bucket = items_seen.aging_bucket
    left join seen
        on book.estimated_on = seen.estimated_on
        and tiers.tier = seen.tier
        and book.aging_bucket = seen.aging_bucket
        and book.outcome = seen.outcome
    where book.bucket_amount > 0
),

exact as (
    select
        estimated_on,
        tier,
        aging_bucket,
        outcome,
        cast(amount as decimal(24, 8)) as amount
    from smoothed
    where amount > 0
),

summed as (
    select
        estimated_on,
        tier,
        aging_bucket,
        sum(amount) as amount,
        sum(case when outcome = aging_bucket then amount else 0 end) as stayed_amount,
        sum(case when outcome = 'lost' then amount else 0 end) as lost_amount
    from exact
    group by estimated_on, tier, aging_bucket
),

-- What leaves a bucket goes on to another, is paid or is lost: what stays is asked again next month.
leaving as (
    select
        estimated_on,
        tier,
        aging_bucket,
        cast(cast(lost_amount as double) / nullif(cast(amount - stayed_amount as double), 0) as decimal(20, 12)) as lost_share,
        amount - stayed_amount as leaving_amount
    from summed
),

moving as (
    select
        exact.estimated_on,
        exact.tier,
        exact.aging_bucket,
        exact.outcome,
        cast(cast(exact.amount as double) / cast(leaving.leaving_amount as double) as decimal(20, 12)) as share
    from exact
    inner join leaving
        on exact.estimated_on = leaving.estimated_on
        and exact.tier = leaving.tier
        and exact.aging_bucket = leaving.aging_bucket
        and leaving.leaving_amount > 0
    where exact.outcome not in ('lost', 'paid') and exact.outcome <> exact.aging_bucket
),

lost_0 as (
    select
        estimated_on,
        tier,
        aging_bucket,
        coalesce(lost_share, 0) as loss_rate
    from leaving
),
{% for n in range(1, passes + 1) %}
lost_{{ n }} as (
    select
        leaving.estimated_on,
        leaving.tier,
        leaving.aging_bucket,
        cast(
            coalesce(leaving.lost_share, 0)
            + coalesce(sum(cast(cast(moving.share as double) * cast(later.loss_rate as double) as decimal(20, 12))), 0)
            as decimal(20, 12)
        ) as loss_rate
    from leaving
    left join moving
        on leaving.estimated_on = moving.estimated_on
        and leaving.tier = moving.tier
        and leaving.aging_bucket = moving.aging_bucket
    left join lost_{{ n - 1 }} as later
        on moving.estimated_on = later.estimated_on
        and moving.tier = later.tier
        and moving.outcome = later.aging_bucket
    group by leaving.estimated_on, leaving.tier, leaving.aging_bucket, leaving.lost_share
),
{% endfor %}
lost as (
    select * from lost_{{ passes }}
)

select
    estimated_on,
    tier,
    aging_bucket,
    cast(loss_rate as decimal(18, 4)) as loss_rate
from lost
