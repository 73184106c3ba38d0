{#- A part of customer_data_issues, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with customers as (
    select * from {{ ref('int_customers') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

strangers as (
    select
        items.customer_id,
        min(items.company_id) as company_id,
        count(*) as records,
        min(items.item_id) as first_item_id,
        {{ number_key('items.customer_id') }} as number_key
    from items
    left join customers on items.customer_id = customers.customer_id
    where customers.customer_id is null
    group by items.customer_id
),

numbered as (
    select
        {{ number_key('customer_id') }} as number_key,
        min(customer_id) as customer_id
    from customers
    where status <> 'closed'
    group by {{ number_key('customer_id') }}
)

select
    strangers.customer_id,
    strangers.company_id,
    {{ policy_name('customer_data_rules', 'unknown_customer') }} as rule,
    numbered.customer_id as other_customer_id,
    concat_ws('',
        cast(strangers.records as string), case when strangers.records = 1 then ' document or payment (' else ' documents or payments (first ' end,
        strangers.first_item_id, ') name a customer that is not in the list',
        coalesce(
            '; ' || numbered.customer_id || ' has the same number but for ' || {{ but_for('strangers.customer_id', 'numbered.customer_id') }}, ''
        )
    ) as detail
from strangers
left join numbered on strangers.number_key = numbered.number_key
