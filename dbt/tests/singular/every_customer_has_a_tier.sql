{{ config(meta={'dagster': {'ref': {'name': 'risk_tiers'}}, 'description': 'Every customer has a verdict and a payment behaviour, and tonight stands in the history as in the tiers.'}) }}

with customers as (
    select * from {{ ref('int_customers') }}
),

tiers as (
    select * from {{ ref('risk_tiers') }}
),

behaviour as (
    select * from {{ ref('payment_behaviour') }}
),

tonight as (
    select * from {{ ref('risk_tier_history') }}
    where snapshot_date = {{ as_of() }}
)

select
    customers.customer_id,
    tiers.tier_indicated,
    tonight.tier_indicated as tier_in_history,
    behaviour.payer_pattern
from customers
left join tiers on customers.customer_id = tiers.customer_id
left join behaviour on customers.customer_id = behaviour.customer_id
left join tonight on customers.customer_id = tonight.customer_id
where
    tiers.customer_id is null
    or behaviour.customer_id is null
    or tonight.customer_id is null
    or tonight.tier_indicated <> tiers.tier_indicated
