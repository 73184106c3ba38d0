{{ config(meta={'dagster': {'ref': {'name': 'dunning_worklist'}}, 'description': 'The worklist is its items: per customer the same count, the same money and the same firmest step, and no customer on one side only.'}) }}

with actions as (
    select
        customer_id,
        item_count,
        past_due_amount,
        past_due_amount + not_due_amount as amount,
        severity
    from {{ ref('dunning_worklist') }}
),

acted_items as (
    select
        customer_id,
        count(*) as item_count,
        sum(case when days_past_due > 0 then dunnable_amount_reporting else 0 end) as past_due_amount,
        sum(dunnable_amount_reporting) as amount,
        max(severity) as severity
    from {{ ref('dunning_items') }}
    where held_reason is null
    group by customer_id
)

select
    coalesce(actions.customer_id, acted_items.customer_id) as customer_id,
    actions.past_due_amount as listed,
    acted_items.past_due_amount as acted_on
from actions
full outer join acted_items on actions.customer_id = acted_items.customer_id
where
    actions.customer_id is null
    or acted_items.customer_id is null
    or actions.item_count <> acted_items.item_count
    or actions.past_due_amount <> acted_items.past_due_amount
    or actions.amount <> acted_items.amount
    or actions.severity <> acted_items.severity
