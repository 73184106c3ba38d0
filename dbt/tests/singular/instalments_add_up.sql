{{ config(meta={'dagster': {'ref': {'name': 'int_instalments'}}, 'description': 'The instalments of an invoice add up to it, but for what rounding leaves.'}) }}

with documents as (
    select * from {{ ref('int_documents') }}
),

instalments as (
    select * from {{ ref('int_instalments') }}
),

schedules as (
    select
        invoice_id,
        sum(amount) as amount,
        sum(own_amount) as own_amount
    from instalments
    group by invoice_id
)

select
    documents.invoice_id,
    documents.amount as invoice_amount,
    schedules.own_amount as instalments_amount
from documents
inner join schedules on documents.invoice_id = schedules.invoice_id
where documents.amount <> schedules.amount
