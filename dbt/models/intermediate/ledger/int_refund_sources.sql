{#- A part of int_refund_pieces and of its part, within them: nothing else reads it. -#}
{{ config(materialized=part()) }}
with payments as (
    select * from {{ ref('int_payments') }}
),

credit_memos as (
    select * from {{ ref('int_documents') }}
    where document_type = 'credit_memo'
)

select
    document_key as item_key,
    'payment/' || payment_id as item_id,
    'payment' as item_type,
    1 as preference,
    company_id,
    customer_id,
    currency,
    amount,
    payment_date as began_on,
    reversed_on as ended_on
from payments
union all
select
    document_key as item_key,
    invoice_id as item_id,
    document_type as item_type,
    2 as preference,
    company_id,
    customer_id,
    currency,
    amount,
    document_date as began_on,
    voided_on as ended_on
from credit_memos
