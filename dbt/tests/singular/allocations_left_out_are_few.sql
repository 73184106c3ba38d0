{{ config(meta={'dagster': {'ref': {'name': 'int_left_out_allocations'}}, 'description': 'Allocations between two currencies without source_amount are broken records: no more of them than landing_limits allows of a load, and one of them never stops a night.'}) }}

with allocations as (
    select * from {{ ref('stg_erp__allocations') }}
),

left_out as (
    select * from {{ ref('int_left_out_allocations') }}
    where is_without_source_amount
),

limits as (
    select * from {{ policy_rows('landing_limits') }} as landing_limits
    where dataset in ('*', 'allocations')
),

allowed as (
    select max_quarantined_share
    from limits
    order by case when dataset = '*' then 1 else 0 end
    limit 1
),

counted as (
    select
        (select count(*) from left_out) as left_out,
        (select count(*) from allocations) as allocations,
        (select min(allocation_id) from left_out) as such_as,
        (select max_quarantined_share from allowed) as allowed_share
)

select
    left_out,
    allocations,
    such_as,
    allowed_share
from counted
where left_out > 1 and left_out > allowed_share * allocations
