{{ config(meta={'dagster': {'ref': {'name': 'open_items'}}, 'description': 'Amounts, their standing allocations and refunds, the open items and the aging agree per customer, entity and currency: nothing lost, nothing counted twice.'}) }}

-- Counted anew from the documents and payments that stand and the allocations on them, without the way the balances went.
with items as (
    select * from {{ ref('int_receivable_items') }}
    where item_type <> 'refund'
),

items_used_up as (
    select * from {{ ref('int_receivable_items') }}
    where voided_on is null and item_type in ('payment', 'credit_memo')
),

allocations as (
    select * from {{ ref('int_allocations') }}
    where ended_on is null
),

allocations_from_sources as (
    select * from {{ ref('int_allocations') }}
    where ended_on is null and source_type in ('payment', 'credit_memo')
),

refunds as (
    select * from {{ ref('int_refunds') }}
    where ended_on is null
),

open_items as (
    select * from {{ ref('open_items') }}
),

aging as (
    select * from {{ ref('aging_by_customer') }}
),

allocated_from_sources as (
    select
        source_key,
        sum(source_amount) as amount
    from allocations_from_sources
    group by source_key
),

recounted as (
    select
        company_id,
        customer_id,
        currency,
        sum(case when {{ is_receivable('item_type') }} then original_amount else -original_amount end) as amount
    from items
    where voided_on is null
    group by company_id, customer_id, currency
    union all
    select
        company_id,
        customer_id,
        currency,
        -sum(amount) as amount
    from allocations
    group by company_id, customer_id, currency
    union all
    select
        items_used_up.company_id,
        items_used_up.customer_id,
        items_used_up.currency,
        sum(allocated_from_sources.amount) as amount
    from allocated_from_sources
    inner join items_used_up on allocated_from_sources.source_key = items_used_up.item_key
    group by items_used_up.company_id, items_used_up.customer_id, items_used_up.currency
    union all
    select
        coalesce(items.company_id, refunds.company_id) as company_id,
        coalesce(items.customer_id, refunds.customer_id) as customer_id,
        refunds.currency,
        refunds.amount
    from refunds
    left join items on refunds.source_key = items.item_key
),

views as (
    select company_id, customer_id, currency, amount as recounted, 0 as open_items, 0 as aging from recounted
    union all
    select company_id, customer_id, currency, 0 as recounted, open_amount as open_items, 0 as aging from open_items
    union all
    select company_id, customer_id, currency, 0 as recounted, 0 as open_items, balance as aging from aging
)

select
    company_id,
    customer_id,
    currency,
    sum(recounted) as recounted,
    sum(open_items) as open_items,
    sum(aging) as aging
from views
group by company_id, customer_id, currency
having sum(views.recounted) <> sum(views.open_items) or sum(views.open_items) <> sum(views.aging)
