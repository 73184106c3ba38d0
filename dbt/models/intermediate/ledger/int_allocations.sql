{#- A view: both halves are tables already, and what reads this reads a few columns of it. -#}
{{ config(materialized='view') }}
with source_allocations as (
    select * from {{ ref('int_source_allocations') }}
),

reference_matches as (
    select * from {{ ref('int_reference_matches') }}
)

select
    allocation_id,
    invoice_id,
    source_type,
    source_id,
    case when source_type = 'payment' then source_id end as payment_id,
    case when source_type = 'credit_memo' then source_id end as credit_memo_id,
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
    'reference/' || payment_id || '/' || invoice_id as allocation_id,
    invoice_id,
    'payment' as source_type,
    payment_id as source_id,
    payment_id,
    cast(null as varchar) as credit_memo_id,
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
    effective_on,
    cast(null as date) as ended_on,
    payment_date,
    cast(null as integer) as instalment_number,
    'reference' as matched_by,
    known_at,
    cast(null as timestamp) as end_known_at
from reference_matches
