{#- No more payments than that: a refund's key is below every payment's. -#}
{%- set keys_of_payments = 'cast(1000000000000 as bigint)' %}
with refunds as (
    select * from {{ ref('stg_erp__refunds') }}
    where refunded_on <= {{ as_of() }}
),

source_payments as (
    select * from {{ ref('stg_erp__payments') }}
),

source_credit_memos as (
    select * from {{ ref('stg_erp__invoices') }}
    where document_type = 'credit_memo'
),

payments as (
    select * from {{ ref('int_payments') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

-- What a refund names counts where it is there, in the refund's currency: the test `refunds_have_sources` names the others.
dated as (
    select
        refunds.refund_id,
        refunds.customer_id,
        {{ owning_company('refunds.company_id', 'customers.company_id') }} as company_id,
        refunds.currency,
        refunds.amount,
        refunds.refunded_on,
        source_payments.payment_id,
        source_credit_memos.invoice_id as credit_memo_id,
        greatest(
            refunds.refunded_on,
            coalesce(source_payments.payment_date, source_credit_memos.invoice_date, refunds.refunded_on)
        ) as effective_on,
        least(refunds.reversed_on, source_payments.reversed_on, source_credit_memos.voided_on) as ended_on,
        refunds.first_known_at as known_at,
        greatest(refunds.known_at, source_payments.known_at, source_credit_memos.known_at) as end_known_at
    from refunds
    left join source_payments
        on refunds.source_id = source_payments.payment_id
        and refunds.currency = source_payments.currency
        and coalesce(refunds.source_type, 'payment') = 'payment'
    left join source_credit_memos
        on refunds.source_id = source_credit_memos.invoice_id
        and refunds.currency = source_credit_memos.currency
        and coalesce(refunds.source_type, 'credit_memo') = 'credit_memo'
        and source_payments.payment_id is null
    left join customers on refunds.customer_id = customers.customer_id
    left join companies as only_company on only_company.is_only
)

select
    -{{ keys_of_payments }} - {{ row_key('dated.refund_id') }} as refund_key,
    dated.refund_id,
    dated.customer_id,
    dated.company_id,
    dated.currency,
    dated.amount,
    dated.refunded_on,
    coalesce(payments.document_key, documents.document_key) as source_key,
    dated.payment_id,
    dated.effective_on,
    case when dated.ended_on <= {{ as_of() }} then dated.ended_on end as ended_on,
    customers.sales_rep,
    companies.currency as base_currency,
    companies.reporting_currency,
    dated.known_at,
    case when dated.ended_on <= {{ as_of() }} then dated.end_known_at end as end_known_at
from dated
left join payments on dated.payment_id = payments.payment_id
left join documents on dated.credit_memo_id = documents.invoice_id
left join customers on dated.customer_id = customers.customer_id
left join companies on dated.company_id = companies.company_id
where
    dated.effective_on <= {{ as_of() }}
    and (dated.ended_on is null or dated.ended_on > dated.effective_on)
