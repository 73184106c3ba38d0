with allocations as (
    select * from {{ ref('stg_erp__allocations') }}
    where allocated_on <= {{ as_of() }}
),

documents as (
    select * from {{ ref('stg_erp__invoices') }}
),

payments as (
    select * from {{ ref('stg_erp__payments') }}
),

judged as (
    select
        allocations.allocation_id,
        allocations.invoice_id,
        allocations.source_type,
        allocations.source_id,
        allocations.amount,
        allocations.allocated_on,
        allocations.reversed_on,
        allocations.first_known_at,
        case
            when invoices.invoice_id is null then 'no such invoice or debit memo'
            when allocations.source_type = 'payment' and payments.payment_id is null then 'no such payment'
            when allocations.source_type = 'credit_memo' and credit_memos.invoice_id is null then 'no such credit memo'
            when
                coalesce(payments.currency, credit_memos.currency, invoices.currency) <> invoices.currency
                and allocations.source_amount is null
                then 'in another currency than the invoice, without source_amount'
            when allocations.amount < 0 and allocations.source_type <> 'adjustment' then 'negative'
        end as reason
    from allocations
    left join documents as invoices
        on allocations.invoice_id = invoices.invoice_id
        and {{ is_receivable('invoices.document_type') }}
    left join payments
        on allocations.source_type = 'payment'
        and allocations.source_id = payments.payment_id
    left join documents as credit_memos
        on allocations.source_type = 'credit_memo'
        and allocations.source_id = credit_memos.invoice_id
        and credit_memos.document_type = 'credit_memo'
)

select
    allocation_id,
    invoice_id,
    source_type,
    source_id,
    amount,
    allocated_on,
    reversed_on,
    first_known_at,
    reason,
    reason like 'in another currency%' as is_without_source_amount
from judged
where reason is not null
