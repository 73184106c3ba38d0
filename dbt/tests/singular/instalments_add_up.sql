{{ config(meta={'dagster': {'ref': {'name': 'stg_erp__instalments'}}, 'description': 'The instalments of an invoice add up to it.'}) }}

with documents as (
    select * from {{ ref('int_documents') }}
),

instalments as (
    select * from {{ ref('stg_erp__instalments') }}
),

schedules as (
    select
        invoice_id,
        sum(amount) as amount
    from instalments
    group by invoice_id
)

select
    documents.invoice_id,
    documents.amount as invoice_amount,
    schedules.amount as instalments_amount
from documents
inner join schedules on documents.invoice_id = schedules.invoice_id
where
    documents.document_type <> 'credit_memo'
    and documents.amount <> schedules.amount
