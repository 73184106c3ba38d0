{#- A view: both halves are tables already, and what reads this reads a few columns of it. -#}
{{ config(materialized='view') }}
with source_allocations as (
    select * from {{ ref('int_source_allocations') }}
),

reference_matches as (
    select * from {{ ref('int_reference_matches') }}
),

-- What confirms a match continues it.
confirmed_matches as (
    select * from {{ ref('int_reference_matches') }}
    where is_confirmed
)

select
    source_allocations.allocation_id,
    source_allocations.invoice_id,
    source_allocations.source_type,
    source_allocations.source_id,
    case when source_allocations.source_type = 'payment' then source_allocations.source_id end as payment_id,
    case when source_allocations.source_type = 'credit_memo' then source_allocations.source_id end as credit_memo_id,
    source_allocations.document_key,
    source_allocations.source_key,
    source_allocations.source_company_id,
    source_allocations.source_customer_id,
    source_allocations.document_type,
    source_allocations.document_date,
    source_allocations.due_date,
    source_allocations.company_id,
    source_allocations.customer_id,
    source_allocations.currency,
    source_allocations.amount,
    source_allocations.source_currency,
    source_allocations.source_amount,
    coalesce(confirmed_matches.effective_on, source_allocations.effective_on) as effective_on,
    source_allocations.ended_on,
    source_allocations.payment_date,
    source_allocations.instalment_number,
    cast(null as string) as matched_by,
    source_allocations.known_at,
    source_allocations.end_known_at
from source_allocations
left join confirmed_matches
    on source_allocations.source_key = confirmed_matches.source_key
    and source_allocations.document_key = confirmed_matches.document_key
    and source_allocations.effective_on = confirmed_matches.ended_on
    and source_allocations.amount = confirmed_matches.amount

union all

select
    'reference/' || payment_id || '/' || invoice_id as allocation_id,
    invoice_id,
    'payment' as source_type,
    payment_id as source_id,
    payment_id,
    cast(null as string) as credit_memo_id,
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
    currency as source_currency,
    amount as source_amount,
    effective_on,
    ended_on,
    payment_date,
    cast(null as integer) as instalment_number,
    'reference' as matched_by,
    known_at,
    end_known_at
from reference_matches
where not is_confirmed
