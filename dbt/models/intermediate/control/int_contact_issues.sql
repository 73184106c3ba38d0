{#- A part of customer_data_issues, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with customers as (
    select * from {{ ref('int_customers') }}
),

contacts as (
    select * from {{ ref('stg_erp__contacts') }}
),

wrong_contacts as (
    select * from {{ ref('int_wrong_contacts') }}
),

addresses as (
    select
        customer_id,
        cast(null as string) as contact_id,
        email,
        phone
    from customers
    union all
    select
        customer_id,
        contact_id,
        email,
        phone
    from contacts
),

reached as (
    select
        customer_id,
        count(nullif(trim(email), '')) + count(nullif(trim(phone), '')) as ways,
        min(
            case
                when
                    trim(email) <> ''
                    and (trim(email) not like '%_@_%.__%' or trim(email) like '% %' or trim(email) like '%@%@%' or trim(email) like '%,%' or trim(email) like '%;%')
                    then concat_ws('', trim(email), coalesce(' of contact ' || contact_id, ''))
            end
        ) as malformed
    from addresses
    group by customer_id
),

reachable as (
    select sum(ways) > 0 as has_contact_data
    from reached
)

select
    customers.customer_id,
    {{ policy_name('customer_data_rules', 'no_contact') }} as rule,
    cast(null as string) as other_customer_id,
    'No e-mail address and no telephone number, here or at a contact' as detail
from customers
cross join reachable
inner join reached on customers.customer_id = reached.customer_id
where customers.status <> 'closed' and reached.ways = 0 and reachable.has_contact_data

union all

select
    customers.customer_id,
    {{ policy_name('customer_data_rules', 'malformed_email') }} as rule,
    cast(null as string) as other_customer_id,
    concat_ws('', 'Nobody can write to ', reached.malformed) as detail
from customers
inner join reached on customers.customer_id = reached.customer_id
where customers.status <> 'closed' and reached.malformed is not null

union all

select
    customers.customer_id,
    {{ policy_name('customer_data_rules', 'wrong_contact') }} as rule,
    cast(null as string) as other_customer_id,
    concat_ws('', 'Reported wrong on ', cast(wrong_contacts.wrong_on as string), '; nobody was reached since') as detail
from customers
inner join wrong_contacts on customers.customer_id = wrong_contacts.customer_id
where customers.status <> 'closed'
