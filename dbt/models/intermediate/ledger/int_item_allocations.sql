{#- A view, as int_allocations is: where nothing is paid in instalments it is that, and instalments are few. -#}
{{ config(materialized='view') }}
with allocations as (
    select * from {{ ref('int_allocations') }}
),

instalments as (
    select * from {{ ref('int_instalments') }}
),

instalment_allocations as (
    select * from {{ ref('int_instalment_allocations') }}
),

-- An invoice without instalments is one item, and each allocation lies on it whole.
pieces as (
    select
        allocations.document_key as item_key,
        allocations.invoice_id as item_id,
        allocations.due_date,
        allocations.amount,
        allocations.effective_on,
        allocations.ended_on,
        allocations.allocation_id,
        allocations.invoice_id,
        allocations.source_type,
        allocations.payment_id,
        allocations.credit_memo_id,
        allocations.document_type,
        allocations.document_date,
        allocations.effective_on as allocation_effective_on,
        allocations.payment_date,
        allocations.company_id,
        allocations.customer_id,
        allocations.currency,
        allocations.source_currency,
        allocations.known_at,
        allocations.end_known_at
    from allocations
    where not exists (select 1 from instalments where instalments.invoice_id = allocations.invoice_id)
    union all
    select
        instalments.item_key,
        instalments.item_id,
        instalments.due_date,
        instalment_allocations.amount,
        instalment_allocations.effective_on,
        instalment_allocations.ended_on,
        allocations.allocation_id,
        allocations.invoice_id,
        allocations.source_type,
        allocations.payment_id,
        allocations.credit_memo_id,
        allocations.document_type,
        allocations.document_date,
        allocations.effective_on as allocation_effective_on,
        allocations.payment_date,
        allocations.company_id,
        allocations.customer_id,
        allocations.currency,
        allocations.source_currency,
        allocations.known_at,
        allocations.end_known_at
    from instalment_allocations
    inner join instalments on instalment_allocations.item_id = instalments.item_id
    inner join allocations on instalment_allocations.allocation_id = allocations.allocation_id
)

select
    allocation_id,
    item_key,
    item_id,
    document_type as item_type,
    invoice_id,
    source_type,
    payment_id,
    credit_memo_id,
    amount,
    effective_on,
    ended_on,
    allocation_effective_on,
    payment_date,
    document_date,
    due_date,
    company_id,
    customer_id,
    currency,
    source_currency,
    known_at,
    coalesce(end_known_at, known_at) as end_known_at
from pieces
