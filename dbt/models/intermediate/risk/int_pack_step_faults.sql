{#- A part of int_pack_faults, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with terms as (
    select * from {{ ref('risk_tier_terms') }}
),

steps as (
    select * from {{ ref('dunning_steps') }}
)

select
    'dunning_steps.csv' as file,
    steps.policy,
    'tier ' || steps.tier || ' step ' || steps.step as subject,
    case
        when count(required.step) = 0 then 'requires a step that the pack does not have: ' || steps.requires_step
        else 'requires a step that is no softer than itself: ' || steps.requires_step
    end as fault
from steps
left join steps as required
    on steps.requires_step = required.step
    and steps.policy = required.policy
    and (steps.tier = '*' or required.tier in ('*', steps.tier))
where steps.requires_step is not null
group by steps.policy, steps.tier, steps.step, steps.severity, steps.requires_step
having coalesce(min(required.severity), steps.severity) >= steps.severity

union all

select
    'dunning_steps.csv' as file,
    steps.policy,
    'tier ' || steps.tier || ' step ' || steps.step as subject,
    'is for a tier that the pack does not have: * is any' as fault
from steps
left join terms
    on steps.policy = terms.policy
    and steps.tier = terms.tier
where steps.tier <> '*' and terms.tier is null
