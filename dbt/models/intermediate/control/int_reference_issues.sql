{#- A part of customer_data_issues, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

payment_terms as (
    select * from {{ ref('stg_erp__payment_terms') }}
),

-- Circles of up to five: each is followed upwards until it meets the customer itself.
parents as (
    select
        customers.customer_id,
        customers.parent_customer_id,
        parent.customer_id is null as is_unknown,
        case customers.customer_id
            when customers.parent_customer_id then 1
            when parent.parent_customer_id then 2
            when second.parent_customer_id then 3
            when third.parent_customer_id then 4
            when fourth.parent_customer_id then 5
        end as members
    from customers
    left join customers as parent on customers.parent_customer_id = parent.customer_id
    left join customers as second on parent.parent_customer_id = second.customer_id
    left join customers as third on second.parent_customer_id = third.customer_id
    left join customers as fourth on third.parent_customer_id = fourth.customer_id
    where customers.parent_customer_id is not null
),

known_terms as (
    select count(*) > 0 as has_terms
    from payment_terms
)

select
    customers.customer_id,
    {{ policy_name('customer_data_rules', 'unknown_terms') }} as rule,
    cast(null as string) as other_customer_id,
    concat_ws('', 'Payment terms ', customers.payment_terms, ' are not among the terms the source has') as detail
from customers
cross join known_terms
left join payment_terms on customers.payment_terms = payment_terms.payment_terms
where customers.payment_terms is not null and payment_terms.payment_terms is null and known_terms.has_terms and customers.status <> 'closed'

union all

select
    customers.customer_id,
    {{ policy_name('customer_data_rules', 'unknown_company') }} as rule,
    cast(null as string) as other_customer_id,
    concat_ws('', 'Entity ', customers.company_id, ' is not among the entities the source has') as detail
from customers
left join companies on customers.company_id = companies.company_id
where companies.company_id is null

union all

select
    customer_id,
    case
        when members is not null then {{ policy_name('customer_data_rules', 'parent_cycle') }}
        else {{ policy_name('customer_data_rules', 'unknown_parent') }}
    end as rule,
    parent_customer_id as other_customer_id,
    case
        when members = 1 then 'It is its own parent'
        when members is not null then concat_ws('', 'Its parent is ', parent_customer_id, ', and ', cast(members as string), ' steps up it is its own')
        else concat_ws('', 'Its parent ', parent_customer_id, ' is not in the list')
    end as detail
from parents
where is_unknown or members is not null
