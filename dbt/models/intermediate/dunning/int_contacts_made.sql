-- Only what happened before as_of: a morning does not read what it wrote itself, so running it twice gives the same bytes.
with issued_steps as (
    select * from {{ ref('stg_delivery__issued_steps') }}
    where worklist_date < {{ as_of() }}
),

activities as (
    select * from {{ ref('stg_erp__activities') }}
    where cast(occurred_at as date) < {{ as_of() }}
),

dunning_steps as (
    select distinct
        step,
        in_cadence
    from {{ ref('dunning_steps') }}
    where {{ in_force() }}
)

select
    issued_steps.customer_id,
    issued_steps.invoice_id,
    issued_steps.item_id,
    issued_steps.worklist_date as contacted_on,
    issued_steps.step,
    issued_steps.step as outcome,
    'issued' as source,
    coalesce(dunning_steps.in_cadence, true) as in_cadence
from issued_steps
left join dunning_steps on issued_steps.step = dunning_steps.step
union all
select
    activities.customer_id,
    activities.invoice_id,
    cast(null as varchar) as item_id,
    cast(activities.occurred_at as date) as contacted_on,
    activities.step,
    coalesce(activities.outcome, activities.channel, 'contacted') as outcome,
    'activity' as source,
    true as in_cadence
from activities
