{%- set rounds = 8 -%}
with payments as (
    select * from {{ ref('int_payments') }}
),

allocations as (
    select * from {{ ref('stg_erp__allocations') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

source_allocations as (
    select * from {{ ref('int_source_allocations') }}
),

allocated_payments as (
    select distinct source_id as payment_id
    from allocations
    where source_type = 'payment'
),

{% set separators = ",;:.()#" -%}
-- A number counts where it stands in the reference as a word of its own.
unallocated_payments as (
    select
        payments.payment_id,
        payments.customer_id,
        payments.currency,
        payments.payment_date,
        payments.amount,
        ' ' || translate(lower(payments.reference), '{{ separators }}', '{{ ' ' * separators | length }}') || ' ' as reference_words
    from payments
    left join allocated_payments on payments.payment_id = allocated_payments.payment_id
    where
        payments.reference is not null
        and allocated_payments.payment_id is null
        and payments.reversed_on is null
        and {{ policy_value('cash_application_policy', 'counted_matches', 'varchar') }} = 'reference'
),

standing as (
    select
        invoice_id,
        sum(amount) as amount
    from source_allocations
    where ended_on is null
    group by invoice_id
),

open_invoices as (
    select
        documents.invoice_id,
        documents.customer_id,
        documents.currency,
        documents.due_date,
        documents.document_date,
        documents.amount - coalesce(standing.amount, 0) as open_amount,
        ' ' || trim(translate(lower(documents.document_number), '{{ separators }}', '{{ ' ' * separators | length }}')) || ' ' as number_words
    from documents
    left join standing on documents.invoice_id = standing.invoice_id
    where
        documents.document_type in ('invoice', 'debit_memo')
        and documents.voided_on is null
        and documents.amount > coalesce(standing.amount, 0)
        and length(documents.document_number) >= {{ policy_value('cash_application_policy', 'shortest_number') }}
),

-- A number that two open invoices of the customer bear names neither.
pairs as (
    select
        unallocated_payments.payment_id,
        unallocated_payments.payment_date,
        unallocated_payments.amount as payment_amount,
        open_invoices.invoice_id,
        open_invoices.open_amount,
        open_invoices.due_date,
        open_invoices.document_date,
        count(*) over (partition by unallocated_payments.payment_id, open_invoices.number_words) as bearers
    from unallocated_payments
    inner join open_invoices
        on unallocated_payments.customer_id = open_invoices.customer_id
        and unallocated_payments.currency = open_invoices.currency
        and instr(unallocated_payments.reference_words, open_invoices.number_words) > 0
),

-- A payment fills the invoices it names, oldest due first; an invoice takes its payments in the order they came, and no more than is open.
-- What an invoice has no room for goes to the next one the payment names, which may push out a later payment: each round lays all
-- payments anew into the room that the round before leaves them. One round is enough where nobody names what somebody else pays.
named as (
    select
        payment_id,
        payment_date,
        payment_amount,
        invoice_id,
        open_amount,
        row_number() over (
            partition by payment_id
            order by due_date nulls last, document_date, invoice_id
        ) as place,
        open_amount as room
    from pairs
    where bearers = 1
),

{% for round in range(rounds) -%}
laid_{{ round }} as (
    select
        payment_id,
        payment_date,
        payment_amount,
        invoice_id,
        open_amount,
        place,
        least(
            room,
            greatest(payment_amount - (sum(room) over (partition by payment_id order by place) - room), 0)
        ) as amount
    from {{ 'named' if loop.first else 'left_by_' ~ (round - 1) }}
),

left_by_{{ round }} as (
    select
        payment_id,
        payment_date,
        payment_amount,
        invoice_id,
        open_amount,
        place,
        amount,
        greatest(
            open_amount - (sum(amount) over (partition by invoice_id order by payment_date, payment_id) - amount),
            0
        ) as room
    from laid_{{ round }}
),

{% endfor -%}
-- Where a chain of payments is longer than the rounds, the last of them get what is certainly there, and the rest stays unapplied.
taken as (
    select
        payment_id,
        invoice_id,
        least(amount, room) as amount
    from left_by_{{ rounds - 1 }}
)

select
    taken.payment_id,
    taken.invoice_id,
    documents.document_key,
    payments.document_key as source_key,
    payments.company_id as source_company_id,
    payments.customer_id as source_customer_id,
    documents.document_type,
    documents.document_date,
    documents.due_date,
    documents.company_id,
    documents.customer_id,
    documents.currency,
    cast(taken.amount as decimal(18, 4)) as amount,
    greatest(payments.payment_date, documents.document_date) as effective_on,
    payments.payment_date,
    payments.first_known_at as known_at
from taken
inner join documents on taken.invoice_id = documents.invoice_id
inner join payments on taken.payment_id = payments.payment_id
where taken.amount > 0
