with items as (
    select * from {{ ref('int_receivable_items') }}
),

allocations as (
    select * from {{ ref('int_allocations') }}
),

item_allocations as (
    select * from {{ ref('int_item_allocations') }}
),

-- Documents raise what they are; from the day of its voiding nothing of an item exists. Whatever was allocated ends by that day.
issued as (
    select
        item_id,
        item_type,
        company_id,
        customer_id,
        currency,
        document_date as moved_on,
        case item_type when 'payment' then 'cash' when 'credit_memo' then 'credit_memo' else 'billed' end as kind,
        case when item_type in ('invoice', 'debit_memo') then original_amount else -original_amount end as amount,
        first_known_at as known_at
    from items
),

voided as (
    select
        item_id,
        item_type,
        company_id,
        customer_id,
        currency,
        greatest(voided_on, document_date) as moved_on,
        case item_type when 'payment' then 'cash_reversed' else 'void' end as kind,
        case when item_type in ('invoice', 'debit_memo') then -original_amount else original_amount end as amount,
        known_at
    from items
    where voided_on is not null
),

-- Each allocation lowers the item it lies on and, where it comes from a payment or credit memo, uses that up by as much.
used_up as (
    select
        case source_type when 'payment' then 'payment/' || payment_id else credit_memo_id end as item_id,
        amount,
        effective_on,
        ended_on,
        known_at,
        end_known_at
    from allocations
    where source_type in ('payment', 'credit_memo')
),

allocation_sides as (
    select
        item_id,
        item_type,
        company_id,
        customer_id,
        currency,
        case when source_type in ('payment', 'credit_memo') then 'application' else source_type end as kind,
        -amount as amount,
        effective_on,
        ended_on,
        known_at,
        end_known_at
    from item_allocations
    union all
    select
        items.item_id,
        items.item_type,
        items.company_id,
        items.customer_id,
        items.currency,
        'application' as kind,
        used_up.amount,
        used_up.effective_on,
        used_up.ended_on,
        used_up.known_at,
        used_up.end_known_at
    from used_up
    inner join items on used_up.item_id = items.item_id
),

movements as (
    select item_id, item_type, company_id, customer_id, currency, moved_on, kind, amount, known_at from issued
    union all
    select item_id, item_type, company_id, customer_id, currency, moved_on, kind, amount, known_at from voided
    union all
    select item_id, item_type, company_id, customer_id, currency, effective_on as moved_on, kind, amount, known_at from allocation_sides
    union all
    select item_id, item_type, company_id, customer_id, currency, ended_on as moved_on, kind, -amount as amount, end_known_at as known_at
    from allocation_sides
    where ended_on is not null
)

select
    item_id,
    item_type,
    company_id,
    customer_id,
    currency,
    moved_on,
    kind,
    cast(amount as decimal(18, 4)) as amount,
    known_at
from movements
