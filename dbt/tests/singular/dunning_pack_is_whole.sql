{{ config(meta={'dagster': {'ref': {'name': 'dunning_steps'}}, 'description': 'The policy pack has dunning steps, each once and with a predecessor that exists and is softer, every parameter dunning and the key figures ask for, and somebody on each list of collectors.'}) }}

with steps as (
    select * from {{ ref('dunning_steps') }}
    where {{ in_force() }}
),

parameters as (
    select parameter from {{ ref('dunning_policy') }}
    where {{ in_force() }}
    union all
    select parameter from {{ ref('kpi_policy') }}
    where {{ in_force() }}
),

asked_for as (
    {%- for parameter in [
        'minimum_amount', 'promise_grace_business_days', 'min_days_between_contacts', 'contact_window_days', 'max_contacts_in_window',
        'agency_recall_days', 'large_account_amount', 'senior_tiers', 'looming_bureau_score', 'sound_bureau_score',
        'failing_current_ratio', 'failing_quick_ratio', 'missed_steps_on_days_off',
        'billed_window_days', 'countback_months', 'cost_of_capital_pct',
    ] %}
    select '{{ parameter }}' as parameter
    {%- if not loop.last %} union all {%- endif %}
    {%- endfor %}
)

select 'no step at all' as fault, '{{ var("policy") }}' as subject
from (select count(*) as steps from steps) as counted
where steps = 0
union all
select 'step defined twice' as fault, concat_ws('', tier, ' ', step) as subject
from steps
group by tier, step
having count(*) > 1
union all
select 'step without its predecessor' as fault, steps.step as subject
from steps
left join steps as required
    on steps.requires_step = required.step
    and steps.severity > required.severity
where steps.requires_step is not null and required.step is null
union all
select 'parameter missing or set twice' as fault, asked_for.parameter as subject
from asked_for
left join parameters on asked_for.parameter = parameters.parameter
group by asked_for.parameter
having count(parameters.parameter) <> 1
union all
select 'nobody on the list' as fault, lists.list as subject
from (select 'senior' as list union all select 'standard' as list) as lists
left join {{ ref('collectors') }} as collectors on lists.list = collectors.list
where collectors.collector is null
