{#- A view: read once, by int_match_amounts. -#}
{{ config(materialized='view') }}
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

refunds as (
    select * from {{ ref('int_refunds') }}
    where payment_id is not null
),

-- What comes of a payment and an invoice it names is found on the day when both are there, and ends with the first of them, or when the
-- source begins to apply the payment itself.
named as (
    select
        named_documents.source_key,
        named_documents.document_key,
        named_documents.number,
        named_documents.named_on,
        named_documents.allocated_on,
        payments.payment_id,
        payments.payment_date,
        payments.amount as payment_amount,
        documents.invoice_id,
        documents.document_date,
        documents.due_date,
        documents.amount as document_amount,
        documents.voided_on,
        least(payments.reversed_on, named_documents.allocated_on) as payment_ends_on
    from named_documents
    inner join payments on named_documents.source_key = payments.document_key
    inner join documents on named_documents.document_key = documents.document_key
    where {{ policy_value('cash_application_policy', 'counted_matches', 'string') }} = 'reference'
),

paid_back as (
    select
        days.source_key,
        days.named_on,
        sum(refunds.amount) as amount
    from (select distinct source_key, named_on from named where source_key in (select source_key from refunds)) as days
    inner join refunds
        on days.source_key = refunds.source_key
        and refunds.effective_on <= days.named_on
        and (refunds.ended_on is null or refunds.ended_on > days.named_on)
    group by days.source_key, days.named_on
),

-- Each invoice is asked for itself, and so is every other that bears its number and is there that day: one that is open too makes it
-- unclear which is meant.
asked as (
    select
        named.source_key,
        named.document_key,
        named.named_on,
        named.payment_id,
        named.payment_date,
        named.payment_amount - coalesce(paid_back.amount, 0) as payment_amount,
        paid_back.amount is not null as is_paid_back,
        named.invoice_id,
        named.document_date,
        named.due_date,
        named.payment_ends_on,
        named.voided_on,
        bearers.document_key as asked_key,
        bearers.document_amount as asked_amount,
        named.document_key = bearers.document_key as is_meant
    from named
    inner join named as bearers
        on named.source_key = bearers.source_key
        and named.number = bearers.number
        and bearers.document_date <= named.named_on
        and (bearers.voided_on is null or bearers.voided_on > named.named_on)
    left join paid_back
        on named.source_key = paid_back.source_key
        and named.named_on = paid_back.named_on
    where
        (named.payment_ends_on is null or named.payment_ends_on > named.named_on)
        and (named.voided_on is null or named.voided_on > named.named_on)
),

open_that_day as (
    select
        asked.source_key,
        asked.document_key,
        asked.asked_key,
        max(asked.asked_amount) - coalesce(sum(source_allocations.amount), 0) as open_amount
    from asked
    left join source_allocations
        on asked.asked_key = source_allocations.document_key
        and source_allocations.effective_on <= asked.named_on
        and (source_allocations.ended_on is null or source_allocations.ended_on > asked.named_on)
    group by asked.source_key, asked.document_key, asked.asked_key
    having max(asked.asked_amount) > coalesce(sum(source_allocations.amount), 0)
)

select
    asked.source_key,
    asked.document_key,
    asked.asked_key,
    asked.is_meant,
    asked.named_on,
    asked.payment_id,
    asked.payment_date,
    asked.payment_amount,
    asked.is_paid_back,
    asked.payment_ends_on,
    asked.invoice_id,
    asked.document_date,
    asked.due_date,
    asked.voided_on,
    open_that_day.open_amount,
    count(*) over (partition by asked.asked_key) as askers,
    count(*) over (partition by asked.source_key) as asks
from asked
inner join open_that_day
    on asked.source_key = open_that_day.source_key
    and asked.document_key = open_that_day.document_key
    and asked.asked_key = open_that_day.asked_key
