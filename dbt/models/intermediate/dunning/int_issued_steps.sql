{#- A part of int_dunning_steps_due, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

tier_steps as (
    select * from {{ ref('int_tier_steps') }}
),

contacts_made as (
    select * from {{ ref('int_contacts_made') }}
),

steps_made as (
    select
        candidates.item_id,
        candidates.tier,
        contacts_made.step,
        contacts_made.contacted_on
    from contacts_made
    inner join candidates on contacts_made.item_id = candidates.item_id
    union all
    select
        candidates.item_id,
        candidates.tier,
        contacts_made.step,
        contacts_made.contacted_on
    from contacts_made
    inner join candidates on contacts_made.invoice_id = candidates.invoice_id
    where contacts_made.item_id is null
)

select distinct
    steps_made.item_id,
    steps_made.contacted_on as issued_on,
    tier_steps.step,
    tier_steps.severity,
    tier_steps.offset_days
from steps_made
inner join tier_steps
    on steps_made.step = tier_steps.step
    and coalesce(steps_made.tier, '*') = tier_steps.item_tier
