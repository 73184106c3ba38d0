{{ config(meta={'dagster': {'ref': {'name': 'dunning_steps'}}, 'description': 'The policy pack has dunning steps, each with a predecessor that exists and is softer, and somebody on each list of collectors.'}) }}

with steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
)

select 'no step at all' as fault, '{{ var("policy") }}' as subject
from (select count(*) as steps from steps) as counted
where steps = 0
union all
select 'step without its predecessor' as fault, steps.step as subject
from steps
left join steps as required
    on steps.requires_step = required.step
    and steps.severity > required.severity
where steps.requires_step is not null and required.step is null
union all
select 'nobody on the list' as fault, lists.list as subject
from (select 'senior' as list union all select 'standard' as list) as lists
left join {{ policy_rows('collectors') }} as collectors on lists.list = collectors.list
where collectors.collector is null
