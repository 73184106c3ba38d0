{#- A view: documents and payments are tables already, and what reads this reads a few columns of it. -#}
{{ config(materialized='view') }}
with documents as (
    select * from {{ ref('int_documents') }}
),

instalments as (
    select * from {{ ref('int_instalments') }}
),

payments as (
    select * from {{ ref('int_payments') }}
),

refunds as (
    select * from {{ ref('int_refunds') }}
),

refund_pieces as (
    select * from {{ ref('int_refund_pieces') }}
    where item_type = 'refund'
)

select
    coalesce(instalments.item_key, documents.document_key) as item_key,
    coalesce(instalments.item_id, documents.invoice_id) as item_id,
    documents.document_type as item_type,
    documents.invoice_id,
    cast(null as string) as payment_id,
    documents.document_number,
    documents.company_id,
    documents.customer_id,
    documents.document_date,
    case
        when documents.document_type = 'credit_memo' then null
        when instalments.instalment_number is null then documents.due_date
        else instalments.due_date
    end as due_date,
    case
        when documents.document_type = 'credit_memo' then 'none'
        else coalesce(instalments.due_date_source, documents.due_date_source)
    end as due_date_source,
    documents.currency,
    coalesce(instalments.amount, documents.amount) as original_amount,
    documents.voided_on,
    documents.base_currency,
    documents.reporting_currency,
    documents.product_line,
    documents.delivery_channel,
    documents.document_url,
    documents.sales_rep,
    documents.known_at,
    documents.first_known_at
from documents
left join instalments
    on documents.invoice_id = instalments.invoice_id
    and documents.document_type <> 'credit_memo'

union all

select
    document_key as item_key,
    'payment/' || payment_id as item_id,
    'payment' as item_type,
    cast(null as string) as invoice_id,
    payment_id,
    payment_id as document_number,
    company_id,
    customer_id,
    payment_date as document_date,
    cast(null as date) as due_date,
    'none' as due_date_source,
    currency,
    amount as original_amount,
    reversed_on as voided_on,
    base_currency,
    reporting_currency,
    cast(null as string) as product_line,
    cast(null as string) as delivery_channel,
    cast(null as string) as document_url,
    sales_rep,
    known_at,
    first_known_at
from payments

union all

-- What was paid back beyond all there was to give back.
select
    refund_key as item_key,
    'refund/' || refund_id as item_id,
    'refund' as item_type,
    cast(null as string) as invoice_id,
    cast(null as string) as payment_id,
    refund_id as document_number,
    company_id,
    customer_id,
    refunded_on as document_date,
    cast(null as date) as due_date,
    'none' as due_date_source,
    currency,
    amount as original_amount,
    ended_on as voided_on,
    base_currency,
    reporting_currency,
    cast(null as string) as product_line,
    cast(null as string) as delivery_channel,
    cast(null as string) as document_url,
    sales_rep,
    known_at,
    known_at as first_known_at
from refunds
where refund_key in (select item_key from refund_pieces)
