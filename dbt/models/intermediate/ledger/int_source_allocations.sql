with allocations as (
    select * from {{ ref('stg_erp__allocations') }}
    where allocated_on <= {{ as_of() }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

payments as (
    select * from {{ ref('int_payments') }}
),

-- Its parents must exist, and where they are in two currencies it must say what it takes of each: int_left_out_allocations has the others.
-- An allocation takes effect on the latest of its own and its parents' dates and ends with the first of them to end.
dated as (
    select
        allocations.allocation_id,
        allocations.invoice_id,
        allocations.source_type,
        allocations.source_id,
        documents.document_key,
        coalesce(payments.document_key, credit_memos.document_key) as source_key,
        coalesce(payments.company_id, credit_memos.company_id) as source_company_id,
        coalesce(payments.customer_id, credit_memos.customer_id) as source_customer_id,
        documents.document_type,
        documents.document_date,
        documents.due_date,
        documents.company_id,
        documents.customer_id,
        documents.currency,
        allocations.amount,
        coalesce(payments.currency, credit_memos.currency, documents.currency) as source_currency,
        case
            when coalesce(payments.currency, credit_memos.currency) <> documents.currency then allocations.source_amount
            else allocations.amount
        end as source_amount,
        greatest(
            allocations.allocated_on,
            documents.document_date,
            coalesce(payments.payment_date, credit_memos.document_date, allocations.allocated_on)
        ) as effective_on,
        least(
            allocations.reversed_on,
            documents.voided_on,
            payments.reversed_on,
            credit_memos.voided_on
        ) as ended_on,
        payments.payment_date,
        allocations.instalment_number,
        allocations.first_known_at as known_at,
        greatest(allocations.known_at, documents.known_at) as end_known_at
    from allocations
    inner join documents
        on allocations.invoice_id = documents.invoice_id
        and {{ is_receivable('documents.document_type') }}
    left join payments
        on allocations.source_type = 'payment'
        and allocations.source_id = payments.payment_id
    left join documents as credit_memos
        on allocations.source_type = 'credit_memo'
        and allocations.source_id = credit_memos.invoice_id
        and credit_memos.document_type = 'credit_memo'
    where
        case allocations.source_type
            when 'payment' then payments.currency = documents.currency or (payments.currency is not null and allocations.source_amount is not null)
            when 'credit_memo' then credit_memos.currency = documents.currency or (credit_memos.currency is not null and allocations.source_amount is not null)
            else true
        end
)

select
    allocation_id,
    invoice_id,
    source_type,
    source_id,
    document_key,
    source_key,
    source_company_id,
    source_customer_id,
    document_type,
    document_date,
    due_date,
    company_id,
    customer_id,
    currency,
    amount,
    source_currency,
    source_amount,
    effective_on,
    case when ended_on <= {{ as_of() }} then ended_on end as ended_on,
    payment_date,
    instalment_number,
    known_at,
    case when ended_on <= {{ as_of() }} then end_known_at end as end_known_at
from dated
where
    effective_on <= {{ as_of() }}
    and (ended_on is null or ended_on > effective_on)
