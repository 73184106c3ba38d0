with items as (
    select * from {{ ref('int_dunnable_items') }}
),

reasons as (
    select * from {{ ref('int_hold_reasons') }}
),

held_reasons as (
    select * from {{ policy_rows('held_reasons') }} as held_reasons
),

ranked as (
    select
        reasons.item_id,
        reasons.reason,
        reasons.held_until,
        held_reasons.list,
        held_reasons.rank as reason_rank,
        row_number() over (partition by reasons.item_id order by held_reasons.rank) as position
    from reasons
    left join held_reasons on reasons.reason = held_reasons.reason
),

held as (
    select
        item_id,
        max(case when position = 1 then reason end) as held_reason,
        max(case when position = 1 then held_until end) as held_until,
        max(case when position = 1 then list end) as held_list,
        {{ dbt.listagg('reason', "','", 'order by reason_rank') }} as all_held_reasons
    from ranked
    group by item_id
)

select
    items.item_id,
    held.held_reason,
    held.held_until,
    held.held_list,
    held.all_held_reasons
from items
left join held on items.item_id = held.item_id
