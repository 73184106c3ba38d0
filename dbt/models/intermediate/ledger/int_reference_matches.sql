with named_documents as (
    select * from {{ ref('int_named_documents') }}
),

payments as (
    select * from {{ ref('int_payments') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

source_allocations as (
    select * from {{ ref('int_source_allocations') }}
),

matched as (
    select * from {{ ref('int_match_amounts') }}
),

-- Where the source begins by saying the same, one allocation confirms the match: what is paid is paid once, on the match's day.
confirmed as (
    select
        matched.source_key,
        matched.document_key
    from matched
    inner join named_documents
        on matched.source_key = named_documents.source_key
        and matched.document_key = named_documents.document_key
    inner join source_allocations
        on matched.source_key = source_allocations.source_key
        and matched.document_key = source_allocations.document_key
        and named_documents.allocated_on = source_allocations.effective_on
        and matched.amount = source_allocations.amount
    group by matched.source_key, matched.document_key
    having count(*) = 1
),

dated as (
    select
        matched.source_key,
        matched.document_key,
        matched.amount,
        named_documents.named_on,
        least(payments.reversed_on, named_documents.allocated_on, documents.voided_on) as ended_on,
        payments.payment_id,
        payments.company_id as source_company_id,
        payments.customer_id as source_customer_id,
        payments.payment_date,
        payments.first_known_at,
        greatest(payments.known_at, documents.known_at) as known_at,
        documents.invoice_id,
        documents.document_type,
        documents.document_date,
        documents.due_date,
        documents.company_id,
        documents.customer_id,
        documents.currency
    from matched
    inner join named_documents
        on matched.source_key = named_documents.source_key
        and matched.document_key = named_documents.document_key
    inner join payments on matched.source_key = payments.document_key
    inner join documents on matched.document_key = documents.document_key
)

select
    dated.payment_id,
    dated.invoice_id,
    dated.document_key,
    dated.source_key,
    dated.source_company_id,
    dated.source_customer_id,
    dated.document_type,
    dated.document_date,
    dated.due_date,
    dated.company_id,
    dated.customer_id,
    dated.currency,
    cast(dated.amount as decimal(18, 4)) as amount,
    dated.named_on as effective_on,
    case when dated.ended_on <= {{ as_of() }} then dated.ended_on end as ended_on,
    dated.payment_date,
    confirmed.source_key is not null as is_confirmed,
    dated.first_known_at as known_at,
    case when dated.ended_on <= {{ as_of() }} then dated.known_at end as end_known_at
from dated
left join confirmed
    on dated.source_key = confirmed.source_key
    and dated.document_key = confirmed.document_key
