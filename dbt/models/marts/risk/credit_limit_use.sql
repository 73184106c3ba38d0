with limit_use as (
    select * from {{ ref('int_credit_limit_use') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

collectors as (
    select * from {{ ref('int_collectors') }}
)

select
    limit_use.customer_id,
    cast(customers.company_id as string) as company_id,
    cast(customers.name as string) as customer_name,
    cast(coalesce(collectors.collector, customers.collector) as string) as collector,
    limit_use.status,
    limit_use.tier_in_force,
    limit_use.reporting_currency,
    limit_use.limit_source,
    limit_use.credit_limit,
    limit_use.credit_limit_policy,
    limit_use.balance,
    limit_use.past_due_amount,
    limit_use.oldest_past_due_days,
    limit_use.used_amount,
    limit_use.credit_used_share,
    limit_use.headroom_amount,
    limit_use.max_used_share,
    limit_use.max_past_due_days,
    limit_use.min_past_due_amount,
    limit_use.hold_candidate,
    limit_use.hold_reason,
    limit_use.on_hold,
    limit_use.release_candidate,
    limit_use.detail
from limit_use
left join customers on limit_use.customer_id = customers.customer_id
left join collectors on limit_use.customer_id = collectors.customer_id
