{#- A part of int_dunning_holds, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with contacts_made as (
    select * from {{ ref('int_contacts_made') }}
    where in_cadence
),

contact_days as (
    select
        customer_id,
        contacted_on,
        row_number() over (partition by customer_id order by contacted_on desc) as recency
    from (select distinct customer_id, contacted_on from contacts_made) as days
)

-- Left alone for some days after a contact; and where the window holds as many days with one as policy allows, until the first of
-- those leaves it.
select
    customer_id,
    greatest(
        max(case when recency = 1 then {{ days_after(
            'contacted_on', policy_value('dunning_policy', 'min_days_between_contacts')
        ) }} end),
        max(case
            when recency = {{ policy_value('dunning_policy', 'max_contacts_in_window') }}
                then {{ days_after(
                    'contacted_on', policy_value('dunning_policy', 'contact_window_days')
                ) }}
        end)
    ) as contact_allowed_on
from contact_days
group by customer_id
