{%- set lost -%}
    least(
            coalesce(written_off.amount, 0)
            + case when still.days_past_due > {{ policy_value('risk_policy', 'lost_after_days') }} then still.open_amount else 0 end,
            snapshot.open_amount
        )
{%- endset -%}
with open_items as (
    select * from {{ ref('int_open_items') }}
    where {{ is_receivable('item_type') }} and open_amount > 0
),

snapshot as (
    select * from {{ ref('int_items_snapshot') }}
    where {{ is_receivable('item_type') }} and open_amount > 0
),

write_offs as (
    select * from {{ ref('int_item_movements') }}
    where kind = 'write_off'
),

risk_tiers as (
    select * from {{ ref('int_risk_tiers') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

roll_rates as (
    select * from {{ ref('int_roll_rates') }}
),

losses as (
    select * from {{ policy_rows('provision_matrix') }} as provision_matrix
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
    where not is_as_of
),

companies as (
    select max(reporting_currency) as reporting_currency from {{ ref('int_companies') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

estimates as (
    select
        max(snapshot_date) as newest,
        cast({{ dbt.last_day(dbt.dateadd('month', -12, 'max(snapshot_date)'), 'month') }} as date) as year_before
    from snapshot_dates
),

-- Today's items, and those of the month end a year before the newest one with what became of them.
asked as (
    select
        false as is_year_ago,
        coalesce(risk_tiers.tier_indicated, '*') as tier,
        open_items.aging_bucket,
        open_items.days_past_due,
        open_items.open_amount_reporting as amount,
        cast(0 as decimal(18, 4)) as lost_amount
    from open_items
    left join risk_tiers on open_items.customer_id = risk_tiers.customer_id
    union all
    select
        true as is_year_ago,
        coalesce(tier_history.tier_indicated, '*') as tier,
        snapshot.aging_bucket,
        snapshot.days_past_due,
        snapshot.open_amount_reporting as amount,
        {{ ratio(
            'cast(snapshot.open_amount_reporting as double) * cast(' ~ lost ~ ' as double)',
            'snapshot.open_amount'
        ) }} as lost_amount
    from snapshot
    inner join estimates on snapshot.snapshot_date = estimates.year_before
    left join tier_history
        on snapshot.customer_id = tier_history.customer_id
        and snapshot.snapshot_date = tier_history.snapshot_date
    left join open_items as still on snapshot.item_key = still.item_key
    left join (
        select
            write_offs.item_key,
            -sum(write_offs.amount) as amount
        from write_offs
        inner join estimates on write_offs.moved_on > estimates.year_before
        group by write_offs.item_key
    ) as written_off on snapshot.item_key = written_off.item_key
),

summed as (
    select
        is_year_ago,
        tier,
        aging_bucket,
        count(*) as items,
        sum(amount) as amount,
        sum(lost_amount) as lost_amount,
        sum(case when days_past_due > {{ policy_value('risk_policy', 'lost_after_days') }} then amount else 0 end) as too_old_amount
    from asked
    group by is_year_ago, tier, aging_bucket
),

rated as (
    select
        summed.*,
        coalesce(of_tier.loss_pct, of_any.loss_pct) as loss_pct,
        roll_rates.loss_rate as roll_rate,
        currencies.digits
    from summed
    cross join estimates
    cross join companies
    left join losses as of_tier
        on summed.tier = of_tier.tier
        and summed.aging_bucket = of_tier.aging_bucket
    left join losses as of_any
        on of_any.tier = '*'
        and summed.aging_bucket = of_any.aging_bucket
    left join roll_rates
        on summed.tier = roll_rates.tier
        and summed.aging_bucket = roll_rates.aging_bucket
        and roll_rates.estimated_on = case when summed.is_year_ago then estimates.year_before else estimates.newest end
    left join currencies on companies.reporting_currency = currencies.currency
),

-- An amount may have more digits than its currency: rounded to those, all of it would be more than there is.
lost as (
    select
        rated.*,
        least({{ rounded(per_cent_of('amount', 'loss_pct'), 'digits') }}, amount) as provision,
        least({{ rounded('(amount - too_old_amount) * coalesce(roll_rate, 0) + too_old_amount', 'digits') }}, amount) as roll_rate_loss
    from rated
),

tiers_and_buckets as (
    select distinct
        tier,
        aging_bucket
    from lost
)

select
    {{ as_of() }} as as_of,
    cast(tiers_and_buckets.aging_bucket as string) as aging_bucket,
    cast(tiers_and_buckets.tier as string) as tier,
    cast(companies.reporting_currency as string) as reporting_currency,
    cast(coalesce(now_open.items, 0) as integer) as items,
    cast(coalesce(now_open.amount, 0) as decimal(18, 4)) as open_amount,
    {{ ratio('coalesce(now_open.loss_pct, then_open.loss_pct)', '100') }} as loss_rate,
    cast(coalesce(now_open.provision, 0) as decimal(18, 4)) as provision,
    cast(now_open.roll_rate as decimal(18, 4)) as roll_rate,
    cast(coalesce(now_open.roll_rate_loss, 0) as decimal(18, 4)) as roll_rate_loss,
    cast(estimates.year_before as date) as year_ago,
    cast(coalesce(then_open.amount, 0) as decimal(18, 4)) as open_amount_year_ago,
    cast(coalesce(then_open.provision, 0) as decimal(18, 4)) as provision_year_ago,
    cast(coalesce(then_open.roll_rate_loss, 0) as decimal(18, 4)) as roll_rate_loss_year_ago,
    cast(coalesce(then_open.lost_amount, 0) as decimal(18, 4)) as lost_since_year_ago
from tiers_and_buckets
cross join estimates
cross join companies
left join lost as now_open
    on tiers_and_buckets.tier = now_open.tier
    and tiers_and_buckets.aging_bucket = now_open.aging_bucket
    and not now_open.is_year_ago
left join lost as then_open
    on tiers_and_buckets.tier = then_open.tier
    and tiers_and_buckets.aging_bucket = then_open.aging_bucket
    and then_open.is_year_ago
