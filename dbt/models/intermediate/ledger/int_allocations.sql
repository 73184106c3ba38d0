with source_allocations as (
    select * from {{ ref('int_source_allocations') }}
),

reference_matches as (
    select * from {{ ref('int_reference_matches') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

payments as (
    select * from {{ ref('stg_erp__payments') }}
)

select
    allocation_id,
    invoice_id,
    source_type,
    source_id,
    payment_id,
    credit_memo_id,
    company_id,
    customer_id,
    currency,
    amount,
    reason,
    effective_on,
    ended_on,
    payment_date,
    instalment_number,
    cast(null as varchar) as matched_by,
    known_at,
    end_known_at
from source_allocations

union all

select
    'reference/' || reference_matches.payment_id || '/' || reference_matches.invoice_id as allocation_id,
    reference_matches.invoice_id,
    'payment' as source_type,
    reference_matches.payment_id as source_id,
    reference_matches.payment_id,
    cast(null as varchar) as credit_memo_id,
    documents.company_id,
    documents.customer_id,
    documents.currency,
    reference_matches.amount,
    cast(null as varchar) as reason,
    greatest(payments.payment_date, documents.document_date) as effective_on,
    cast(null as date) as ended_on,
    payments.payment_date,
    cast(null as integer) as instalment_number,
    'reference' as matched_by,
    payments.first_known_at as known_at,
    cast(null as timestamp) as end_known_at
from reference_matches
inner join documents on reference_matches.invoice_id = documents.invoice_id
inner join payments on reference_matches.payment_id = payments.payment_id
