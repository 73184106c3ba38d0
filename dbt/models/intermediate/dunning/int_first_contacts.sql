{#- A part of int_dunning_steps_due, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

tier_steps as (
    select * from {{ ref('int_tier_steps') }}
),

first_contact_steps as (
    select * from {{ policy_rows('first_contact_steps') }} as first_contact_steps
),

contacts_made as (
    select * from {{ ref('int_contacts_made') }}
),

never_contacted as (
    select
        candidates.customer_id,
        coalesce(max(candidates.tier), '*') as tier,
        coalesce(
            max(case when not candidates.is_trifle then candidates.days_past_due end), max(candidates.days_past_due)
        ) as days_late
    from candidates
    left join contacts_made
        on candidates.customer_id = contacts_made.customer_id
        and contacts_made.in_cadence
    where contacts_made.customer_id is null and candidates.open_amount > 0
    group by candidates.customer_id
)

select
    customer_id,
    severity
from (
    select
        never_contacted.customer_id,
        tier_steps.severity,
        row_number() over (
            partition by never_contacted.customer_id
            order by
                case when first_contact_steps.tier = '*' then 1 else 0 end,
                first_contact_steps.more_than_days_late desc
        ) as preference
    from never_contacted
    inner join first_contact_steps
        on first_contact_steps.tier in ('*', never_contacted.tier)
        and never_contacted.days_late > first_contact_steps.more_than_days_late
    inner join tier_steps
        on first_contact_steps.step = tier_steps.step
        and never_contacted.tier = tier_steps.item_tier
) as applicable
where preference = 1
