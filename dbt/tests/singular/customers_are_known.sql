{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'int_receivable_items'}}, 'description': 'Whoever owes or has paid is in the customer list. Those who are not count all the same, without a name, a region or a collector.'}) }}

with items as (
    select * from {{ ref('int_receivable_items') }}
),

customers as (
    select * from {{ ref('int_customers') }}
)

select
    items.customer_id,
    count(*) as items
from items
left join customers on items.customer_id = customers.customer_id
where customers.customer_id is null
group by items.customer_id
