{#- A view: items and allocations are tables underneath, and what reads this reads a few columns of it. -#}
{{ config(materialized='view') }}
with items as (
    select * from {{ ref('int_receivable_items') }}
),

voided_items as (
    select * from {{ ref('int_receivable_items') }}
    where voided_on is not null
),

item_allocations as (
    select * from {{ ref('int_item_allocations') }}
),

ended_item_allocations as (
    select * from {{ ref('int_item_allocations') }}
    where ended_on is not null
),

allocations as (
    select * from {{ ref('int_allocations') }}
    where source_type in ('payment', 'credit_memo')
),

ended_allocations as (
    select * from {{ ref('int_allocations') }}
    where source_type in ('payment', 'credit_memo') and ended_on is not null
),

refund_pieces as (
    select * from {{ ref('int_refund_pieces') }}
),

ended_refund_pieces as (
    select * from {{ ref('int_refund_pieces') }}
    where ended_on is not null
),

-- Documents raise what they are; from the day of its voiding nothing of an item exists. Whatever was allocated ends by that day.
issued as (
    select
        item_key,
        item_id,
        item_type,
        company_id,
        customer_id,
        currency,
        document_date as moved_on,
        case item_type when 'payment' then 'cash' when 'credit_memo' then 'credit_memo' else 'billed' end as kind,
        case when {{ is_receivable('item_type') }} then original_amount else -original_amount end as amount,
        first_known_at as known_at,
        item_id as cause_id,
        false as is_end
    from items
    where item_type <> 'refund'
),

voided as (
    select
        item_key,
        item_id,
        item_type,
        company_id,
        customer_id,
        currency,
        greatest(voided_on, document_date) as moved_on,
        case item_type when 'payment' then 'cash_reversed' else 'void' end as kind,
        case when {{ is_receivable('item_type') }} then -original_amount else original_amount end as amount,
        known_at,
        item_id as cause_id,
        true as is_end
    from voided_items
    where item_type <> 'refund'
),

-- Each allocation lowers the item it lies on and, where it comes from a payment or credit memo, uses that up by as much. So does a refund.
{% set ends = [
    ('', 'effective_on', '-amount', 'amount', 'known_at', 'false'),
    ('ended_', 'ended_on', 'amount', '-amount', 'end_known_at', 'true'),
] -%}
{%- for ended, day, lowered, used_up, known_at, is_end in ends %}
{{ ended }}lowered as (
    select
        item_key,
        item_id,
        item_type,
        company_id,
        customer_id,
        currency,
        {{ day }} as moved_on,
        case
            when source_type not in ('payment', 'credit_memo') then source_type
            when source_currency <> currency then 'exchange'
            else 'application'
        end as kind,
        {{ lowered }} as amount,
        {{ known_at }} as known_at,
        allocation_id as cause_id,
        {{ is_end }} as is_end
    from {{ ended }}item_allocations
),

{{ ended }}used_up as (
    select
        source_key as item_key,
        case source_type when 'payment' then 'payment/' || payment_id else credit_memo_id end as item_id,
        source_type as item_type,
        source_company_id as company_id,
        source_customer_id as customer_id,
        source_currency as currency,
        {{ day }} as moved_on,
        case when source_currency <> currency then 'exchange' else 'application' end as kind,
        {{ used_up | replace('amount', 'source_amount') }} as amount,
        {{ known_at }} as known_at,
        allocation_id as cause_id,
        {{ is_end }} as is_end
    from {{ ended }}allocations
),

{{ ended }}refunded as (
    select
        item_key,
        item_id,
        item_type,
        company_id,
        customer_id,
        currency,
        {{ day }} as moved_on,
        'refund' as kind,
        {{ used_up }} as amount,
        {{ known_at }} as known_at,
        refund_id as cause_id,
        {{ is_end }} as is_end
    from {{ ended }}refund_pieces
),
{% endfor %}
movements as (
    {%- for part in ['issued', 'voided', 'lowered', 'used_up', 'refunded', 'ended_lowered', 'ended_used_up', 'ended_refunded'] %}
    select item_key, item_id, item_type, company_id, customer_id, currency, moved_on, kind, amount, known_at, cause_id, is_end from {{ part }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    item_key,
    item_id,
    item_type,
    company_id,
    customer_id,
    currency,
    moved_on,
    kind,
    cast(amount as decimal(18, 4)) as amount,
    known_at,
    cause_id,
    is_end
from movements
