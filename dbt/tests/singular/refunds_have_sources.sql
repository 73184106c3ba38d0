{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'int_refunds'}}, 'description': 'The payment or credit memo a refund names is there, in its currency, and had not ended before it. Those listed come out of whatever the customer has unapplied, or count nowhere where what they name had ended.'}) }}

with refunds as (
    select * from {{ ref('stg_erp__refunds') }}
    where
        refunded_on <= {{ as_of() }}
        and (reversed_on is null or reversed_on > refunded_on)
        and source_id is not null
),

payments as (
    select * from {{ ref('stg_erp__payments') }}
),

credit_memos as (
    select * from {{ ref('stg_erp__invoices') }}
    where document_type = 'credit_memo'
),

counted as (
    select * from {{ ref('int_refunds') }}
)

select
    refunds.refund_id,
    refunds.source_type,
    refunds.source_id,
    refunds.currency,
    refunds.amount,
    counted.refund_id is not null as is_counted
from refunds
left join counted on refunds.refund_id = counted.refund_id
left join payments on refunds.source_id = payments.payment_id
left join credit_memos on refunds.source_id = credit_memos.invoice_id
where
    (counted.refund_id is not null and counted.source_key is null)
    or (counted.refund_id is null and coalesce(payments.reversed_on, credit_memos.voided_on) <= refunds.refunded_on)
