with adopted as (
    select * from {{ ref('policy_adopted') }}
),

customer_snapshots as (
    select * from {{ ref('int_customer_snapshots') }}
    where is_as_of
),

open_accounts as (
    select * from {{ ref('int_customers') }}
    where status <> 'closed'
),

reviews as (
    select * from {{ ref('stg_erp__credit_reviews') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
),

-- The last month end before policy bound is the same every night; who came after it is taken as first seen.
base as (
    select coalesce(max(tier_history.snapshot_date), cast('1900-01-01' as date)) as snapshot_date
    from tier_history
    inner join adopted on tier_history.snapshot_date < adopted.adopted_on
),

first_seen as (
    select
        tier_history.customer_id,
        min(tier_history.snapshot_date) as snapshot_date
    from tier_history
    inner join base on tier_history.snapshot_date >= base.snapshot_date
    group by tier_history.customer_id
),

exposures as (
    select
        customer_id,
        snapshot_date,
        sum(balance_reporting) as exposure_amount
    from customer_balances
    group by customer_id, snapshot_date
),

-- Whoever was there when policy began to bind and had never been reviewed.
never_reviewed as (
    select
        customer_snapshots.customer_id,
        adopted.adopted_on,
        tier_terms.tier_rank,
        tier_terms.review_months,
        coalesce(exposures.exposure_amount, 0) as exposure_amount
    from customer_snapshots
    inner join open_accounts on customer_snapshots.customer_id = open_accounts.customer_id
    inner join adopted on customer_snapshots.customer_since < adopted.adopted_on
    inner join first_seen on customer_snapshots.customer_id = first_seen.customer_id
    inner join tier_history
        on first_seen.customer_id = tier_history.customer_id
        and first_seen.snapshot_date = tier_history.snapshot_date
    inner join tier_terms on tier_history.tier_indicated = tier_terms.tier
    left join exposures
        on first_seen.customer_id = exposures.customer_id
        and first_seen.snapshot_date = exposures.snapshot_date
    where not exists (
        select 1 from reviews
        where
            reviews.customer_id = customer_snapshots.customer_id
            and reviews.reviewed_on < adopted.adopted_on
    )
),

-- Tiers with one cycle share its days; those with a longer one begin when the shorter has ended.
cycles as (
    select
        review_months,
        coalesce(lag(review_months) over (order by review_months nulls last), 0) as begins_after_months
    from (select distinct review_months from never_reviewed) as lengths
),

placed as (
    select
        never_reviewed.customer_id,
        cast({{ dbt.dateadd('month', 'cycles.begins_after_months', 'never_reviewed.adopted_on') }} as date) as begins_on,
        cast({{ dbt.dateadd('month', 'never_reviewed.review_months', 'never_reviewed.adopted_on') }} as date) as ends_on,
        row_number() over (
            partition by never_reviewed.review_months
            order by never_reviewed.tier_rank desc, never_reviewed.exposure_amount desc, never_reviewed.customer_id
        ) as place,
        count(*) over (partition by never_reviewed.review_months) as places
    from never_reviewed
    inner join cycles on never_reviewed.review_months = cycles.review_months
)

select
    customer_id,
    {{ days_after('begins_on', 'cast(floor((place - 1) * ' ~ dbt.datediff('begins_on', 'ends_on', 'day') ~ ' / places) as integer)') }} as planned_on
from placed
