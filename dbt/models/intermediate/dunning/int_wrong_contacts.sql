{{ config(materialized='view') }}
with contacts_made as (
    select * from {{ ref('int_contacts_made') }}
),

rules as (
    select * from {{ policy_rows('customer_data_rules') }} as customer_data_rules
),

told as (
    select
        contacts_made.customer_id,
        contacts_made.contacted_on,
        contacts_made.is_reached,
        position('|' || lower(replace(contacts_made.outcome, '_', ' ')) || '|' in '|' || rules.words || '|') > 0 as is_wrong
    from contacts_made
    inner join rules on rules.rule = {{ policy_name('customer_data_rules', 'wrong_contact') }}
),

outcomes as (
    select
        customer_id,
        max(case when is_wrong then contacted_on end) as wrong_on,
        max(case when is_reached and not is_wrong then contacted_on end) as reached_on
    from told
    group by customer_id
)

select
    customer_id,
    wrong_on
from outcomes
where wrong_on > coalesce(reached_on, {{ days_after('wrong_on', -1) }})
