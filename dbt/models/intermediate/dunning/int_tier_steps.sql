{#- A part of int_dunning_steps_due and of its parts, within them: nothing else reads it. -#}
{{ config(materialized=part()) }}
with policy_steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
),

tiers as (
    select distinct coalesce(tier, '*') as tier
    from {{ ref('int_dunning_candidates') }}
),

by_preference as (
    select
        tiers.tier as item_tier,
        policy_steps.*,
        row_number() over (
            partition by tiers.tier, policy_steps.step order by case when policy_steps.tier = '*' then 1 else 0 end
        ) as preference
    from tiers
    inner join policy_steps on policy_steps.tier in ('*', tiers.tier)
)

select
    item_tier,
    step,
    severity,
    anchor,
    offset_days,
    requires_step,
    min_days_since_previous,
    lapses_after_days
from by_preference
where preference = 1
