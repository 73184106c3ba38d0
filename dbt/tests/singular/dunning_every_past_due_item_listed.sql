{{ config(meta={'dagster': {'ref': {'name': 'dunning_items'}}, 'description': 'Every open item past its due date or without one is acted on or held, exactly once; nothing is lost and nothing else is listed.'}) }}

with open_items as (
    select
        item_id,
        due_date
    from {{ ref('open_items') }}
    where {{ is_receivable('item_type') }}
),

dunning_items as (
    select
        item_id,
        count(*) as times
    from {{ ref('dunning_items') }}
    group by item_id
)

select
    coalesce(open_items.item_id, dunning_items.item_id) as item_id,
    open_items.due_date,
    coalesce(dunning_items.times, 0) as times
from open_items
full outer join dunning_items on open_items.item_id = dunning_items.item_id
where
    open_items.item_id is null
    or dunning_items.times > 1
    or (dunning_items.times is null and (open_items.due_date is null or open_items.due_date < {{ as_of() }}))
