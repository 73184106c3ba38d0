{{ config(materialized='view') }}
with turns as (
    select * from {{ ref('int_dunning_turns') }}
    where not is_waiting
),

contacts as (
    select * from {{ ref('stg_erp__contacts') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

ways_to_reach as (
    select
        customer_id,
        role,
        contact_id,
        name,
        email,
        phone
    from contacts
    union all
    select
        customer_id,
        'customer' as role,
        '' as contact_id,
        cast(null as string) as name,
        email,
        phone
    from customers
)

-- Someone of the audience the step speaks to, else anyone the step's channel reaches, else the customer's own line.
select
    customer_id,
    name,
    email,
    phone
from (
    select
        turns.customer_id,
        ways_to_reach.name,
        ways_to_reach.email,
        ways_to_reach.phone,
        row_number() over (
            partition by turns.customer_id
            order by
                case
                    when turns.channel = 'email' and ways_to_reach.email is not null then 0
                    when turns.channel <> 'email' and ways_to_reach.phone is not null then 0
                    else 1
                end,
                case
                    when ways_to_reach.role = turns.audience then 0
                    when ways_to_reach.role = 'accounts_payable' then 1
                    when ways_to_reach.role = 'customer' then 3
                    else 2
                end,
                ways_to_reach.contact_id nulls last
        ) as preference
    from turns
    inner join ways_to_reach on turns.customer_id = ways_to_reach.customer_id
    where ways_to_reach.email is not null or ways_to_reach.phone is not null
) as reachable
where preference = 1
