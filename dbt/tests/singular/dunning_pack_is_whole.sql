{{ config(meta={'dagster': {'ref': {'name': 'dunning_steps'}}, 'description': 'The policy pack has dunning steps, each with a predecessor that exists and is softer and short enough for a collector\'s day, a first contact that can always be made, and somebody on each list of collectors.'}) }}

with steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
),

first_contacts as (
    select * from {{ policy_rows('first_contact_steps') }} as first_contact_steps
),

limits as (
    select cast(value as integer) as minutes_a_day
    from {{ policy_rows('dunning_policy') }} as dunning_policy
    where parameter = 'collector_minutes_a_day'
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
select 'step longer than a collector''s day' as fault, steps.step as subject
from steps
cross join limits
where steps.minutes > limits.minutes_a_day
union all
select 'no row that says how firm a first contact may be' as fault, '{{ var("policy") }}' as subject
from (select count(*) as rows_for_any from first_contacts where tier = '*' and more_than_days_late <= 0) as counted
where rows_for_any = 0
union all
select 'first contact that is no step, lapses or needs a predecessor' as fault, first_contacts.step as subject
from first_contacts
left join steps
    on first_contacts.step = steps.step
    and steps.tier in ('*', first_contacts.tier)
    and steps.lapses_after_days is null
    and steps.requires_step is null
where steps.step is null
union all
select 'nobody on the list' as fault, lists.list as subject
from (select 'senior' as list union all select 'standard' as list) as lists
left join {{ policy_rows('collectors') }} as collectors on lists.list = collectors.list
where collectors.collector is null
