with customers as (
    select * from {{ ref('int_customers') }}
),

scores as (
    select * from {{ ref('int_risk_scores') }}
    where policy = '{{ var("policy") }}' and snapshot_date = {{ as_of() }}
),

verdicts as (
    select * from {{ ref('int_risk_verdicts') }}
    where policy = '{{ var("policy") }}' and snapshot_date = {{ as_of() }}
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

last_reviews as (
    select * from {{ ref('int_reviews') }}
    where next_reviewed_on is null
),

review_plan as (
    select * from {{ ref('int_review_plan') }}
),

-- A review's own tier sets its cycle; one that names no tier of this pack runs by tonight's.
cycles as (
    select
        customers.customer_id,
        scores.risk_score,
        scores.evidence,
        scores.tie_break,
        verdicts.tier_indicated,
        last_reviews.reviewed_on,
        reviewed_terms.tier as reviewed_tier,
        case
            when last_reviews.reviewed_on is not null then
                cast({{ dbt.dateadd(
                    'month',
                    'coalesce(reviewed_terms.review_months, indicated_terms.review_months)',
                    'last_reviews.reviewed_on'
                ) }} as date)
        end as cycle_ends_on
    from customers
    inner join scores on customers.customer_id = scores.customer_id
    inner join verdicts on customers.customer_id = verdicts.customer_id
    left join last_reviews on customers.customer_id = last_reviews.customer_id
    left join tier_terms as reviewed_terms on last_reviews.tier = upper(reviewed_terms.tier)
    left join tier_terms as indicated_terms on verdicts.tier_indicated = indicated_terms.tier
),

in_force as (
    select
        cycles.*,
        case when cycle_ends_on >= {{ as_of() }} then coalesce(reviewed_tier, tier_indicated) else tier_indicated end as tier_in_force
    from cycles
)

select
    cast(in_force.customer_id as string) as customer_id,
    cast('{{ var("policy") }}' as string) as policy,
    cast(in_force.risk_score as decimal(18, 4)) as risk_score,
    cast(in_force.evidence as decimal(18, 4)) as evidence,
    cast(in_force.tie_break as decimal(18, 4)) as tie_break,
    cast(in_force.tier_indicated as string) as tier_indicated,
    cast(in_force.tier_in_force as string) as tier_in_force,
    cast(in_force.tier_in_force <> in_force.tier_indicated as boolean) as drift,
    cast(tier_terms.name as string) as tier_name,
    cast(tier_terms.net_days as integer) as net_days,
    cast(tier_terms.net_days_max as integer) as net_days_max,
    cast(tier_terms.credit_limit as decimal(18, 4)) as credit_limit_policy,
    cast(tier_terms.deposit_pct as decimal(18, 4)) as deposit_pct,
    cast(in_force.reviewed_on as date) as last_reviewed_on,
    cast(in_force.reviewed_tier as string) as last_reviewed_tier,
    cast(coalesce(in_force.cycle_ends_on, review_plan.planned_on, {{ as_of() }}) as date) as next_review_due
from in_force
left join tier_terms on in_force.tier_in_force = tier_terms.tier
left join review_plan on in_force.customer_id = review_plan.customer_id
