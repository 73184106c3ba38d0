with customers as (
    select * from {{ ref('int_customers') }}
    where status <> 'closed'
),

tiers as (
    select * from {{ ref('int_risk_tiers') }}
),

signals as (
    select * from {{ ref('int_risk_signals') }}
),

payment_trends as (
    select * from {{ ref('int_payment_behaviour') }}
),

limit_use as (
    select * from {{ ref('int_credit_limit_use') }}
),

first_days as (
    select * from {{ ref('int_customer_snapshots') }}
    where is_as_of
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

adopted as (
    select * from {{ ref('policy_adopted') }}
),

review_plan as (
    select * from {{ ref('int_review_plan') }}
)

-- Without reviews in the source nobody is late with one: what happened to an account counts all the same.
select
    customers.customer_id,
    customers.company_id,
    customers.name as customer_name,
    customers.status,
    customers.gross_margin_pct,
    customers.strategic_value,
    tiers.tier_in_force,
    tiers.tier_indicated,
    tiers.last_reviewed_on,
    tiers.next_review_due,
    kept_records.has_reviews,
    adopted.adopted_on,
    review_plan.planned_on,
    coalesce(
        review_plan.planned_on,
        cast({{ dbt.dateadd('month', 'indicated_terms.review_months', 'first_days.customer_since') }} as date)
    ) as first_cycle_ends_on,
    terms_in_force.review_use_share,
    limit_use.reporting_currency,
    limit_use.balance,
    limit_use.used_amount,
    limit_use.credit_limit,
    limit_use.credit_used_share,
    limit_use.past_due_amount,
    limit_use.oldest_past_due_days,
    limit_use.detail as limit_detail,
    signals.dbt_direction,
    payment_trends.dbt_days_recent,
    payment_trends.dbt_days_prior,
    signals.bureau_score,
    signals.bureau_status,
    signals.bureau_status_source
from customers
cross join (select count(*) > 0 as has_reviews from tiers where last_reviewed_on is not null) as kept_records
cross join adopted
inner join tiers on customers.customer_id = tiers.customer_id
inner join limit_use on customers.customer_id = limit_use.customer_id
left join signals on customers.customer_id = signals.customer_id and signals.is_as_of
left join payment_trends on customers.customer_id = payment_trends.customer_id
left join review_plan on customers.customer_id = review_plan.customer_id
left join first_days on customers.customer_id = first_days.customer_id
left join tier_terms as terms_in_force on tiers.tier_in_force = terms_in_force.tier
left join tier_terms as indicated_terms on tiers.tier_indicated = indicated_terms.tier
