{{ config(materialized='view') }}
with contacts_made as (
    select * from {{ ref('int_contacts_made') }}
),

policy_steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
),

contacts_by_recency as (
    select
        customer_id,
        contacted_on,
        outcome,
        row_number() over (partition by customer_id order by contacted_on desc, source, outcome) as recency
    from (select distinct customer_id, contacted_on, source, outcome from contacts_made) as contacts_told_apart
),

recent_contacts as (
    select
        customer_id,
        max(case when recency = 1 then contacted_on end) as last_contact_on,
        max(case when recency = 1 then outcome end) as last_contact_outcome,
        {{ dbt.listagg("concat_ws('', cast(contacted_on as string), ' ', replace(outcome, '_', ' '))", "'; '", 'order by recency') }} as told
    from contacts_by_recency
    where recency <= 3
    group by customer_id
),

step_severities as (
    select
        step,
        max(severity) as severity
    from policy_steps
    group by step
),

-- The firmest step of the last list the customer was on.
last_lists as (
    select
        customer_id,
        severity
    from (
        select
            contacts_made.customer_id,
            max(step_severities.severity) as severity,
            row_number() over (partition by contacts_made.customer_id order by contacts_made.contacted_on desc) as recency
        from contacts_made
        left join step_severities on contacts_made.step = step_severities.step
        where contacts_made.source = 'issued'
        group by contacts_made.customer_id, contacts_made.contacted_on
    ) as lists
    where recency = 1
)

select
    recent_contacts.customer_id,
    recent_contacts.last_contact_on,
    recent_contacts.last_contact_outcome,
    recent_contacts.told as recent_contacts,
    last_lists.customer_id is not null as is_listed_before,
    last_lists.severity as last_list_severity
from recent_contacts
left join last_lists on recent_contacts.customer_id = last_lists.customer_id
