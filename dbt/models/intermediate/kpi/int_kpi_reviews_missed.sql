with customer_snapshots as (
    select * from {{ ref('int_customer_snapshots') }}
    where not is_as_of
),

customers as (
    select * from {{ ref('int_customers') }}
),

review_cycles as (
    select * from {{ ref('int_review_cycles') }}
),

review_plan as (
    select * from {{ ref('int_review_plan') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

tier_terms as (
    select * from {{ policy_history('risk_tier_terms') }} as risk_tier_terms
),

adopted as (
    select * from {{ ref('policy_adopted') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
)

-- Past the end of the last review's cycle; who never had one is given a cycle of its tier's length from its first day, or its day of the
-- plan where it was there before policy bound. Nothing was due before that.
select
    months.month,
    customers.company_id,
    customer_snapshots.customer_id,
    1 as overdue_reviews
from customer_snapshots
inner join months on customer_snapshots.snapshot_date = months.snapshot_date
inner join customers on customer_snapshots.customer_id = customers.customer_id
left join review_cycles
    on customer_snapshots.customer_id = review_cycles.customer_id
    and customer_snapshots.snapshot_date >= review_cycles.reviewed_on
    and (review_cycles.next_reviewed_on is null or review_cycles.next_reviewed_on > customer_snapshots.snapshot_date)
left join tier_history
    on customer_snapshots.customer_id = tier_history.customer_id
    and customer_snapshots.snapshot_date = tier_history.snapshot_date
left join tier_terms
    on tier_history.tier_indicated = tier_terms.tier
    and {{ valid_on('customer_snapshots.snapshot_date', 'tier_terms') }}
left join review_plan on customer_snapshots.customer_id = review_plan.customer_id
cross join adopted
where
    customers.status <> 'closed'
    and customer_snapshots.snapshot_date > adopted.adopted_on
    and customer_snapshots.snapshot_date > coalesce(
        review_cycles.next_review_due,
        review_plan.planned_on,
        {{ dbt.dateadd('month', 'tier_terms.review_months', 'customer_snapshots.customer_since') }}
    )
