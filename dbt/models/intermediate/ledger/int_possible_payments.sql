with open_items as (
    select * from {{ ref('int_open_items') }}
),

payments as (
    select * from {{ ref('int_payments') }}
    where reference is not null
),

documents as (
    select * from {{ ref('int_documents') }}
    where length(document_number) >= {{ policy_value('cash_application_policy', 'shortest_number') }}
),

families as (
    select * from {{ ref('int_families') }}
),

-- What the source put against an invoice in another currency, and does not say how much that took.
left_out as (
    select * from {{ ref('int_left_out_allocations') }}
    where is_without_source_amount and source_type = 'payment' and (reversed_on is null or reversed_on > {{ as_of() }})
),

every_payment as (
    select * from {{ ref('int_payments') }}
    where reversed_on is null
),

unapplied as (
    select
        payments.document_key as source_key,
        payments.payment_id,
        payments.customer_id,
        coalesce(families.ultimate_parent_id, payments.customer_id) as family_id,
        payments.currency,
        payments.named_company_id,
        payments.payment_date,
        {{ marked_words('payments.reference') }} as reference,
        -open_items.open_amount as amount
    from open_items
    inner join payments on open_items.item_key = payments.document_key
    left join families on payments.customer_id = families.customer_id
    where open_items.item_type = 'payment' and open_items.open_amount < 0
),

as_printed as (
    select
        open_items.item_key,
        open_items.invoice_id,
        open_items.company_id,
        open_items.customer_id,
        coalesce(families.ultimate_parent_id, open_items.customer_id) as family_id,
        open_items.currency,
        open_items.due_date,
        open_items.document_date,
        open_items.open_amount,
        {{ marked_words('documents.document_number') }} as number
    from open_items
    inner join documents on open_items.invoice_id = documents.invoice_id
    left join families on open_items.customer_id = families.customer_id
    where {{ is_receivable('open_items.item_type') }} and open_items.open_amount > 0
),

named as (
    select
        unapplied.payment_id,
        unapplied.payment_date,
        unapplied.amount as unapplied_amount,
        unapplied.customer_id <> as_printed.customer_id as is_family_s,
        as_printed.item_key,
        as_printed.invoice_id,
        as_printed.due_date,
        as_printed.document_date,
        as_printed.open_amount,
        {{ from_first_to_last_word('as_printed.number') }} as number
    from unapplied
    inner join as_printed
        on unapplied.family_id = as_printed.family_id
        and unapplied.currency = as_printed.currency
        and (unapplied.named_company_id is null or unapplied.named_company_id = as_printed.company_id)
    where instr(unapplied.reference, {{ from_first_to_last_word('as_printed.number') }}) > 0
),

-- The oldest due first, never more than there is.
laid as (
    select
        payment_id,
        payment_date,
        invoice_id,
        item_key,
        is_family_s,
        least(
            open_amount,
            greatest(unapplied_amount - (sum(open_amount) over (
                partition by payment_id
                order by due_date nulls last, document_date, invoice_id, item_key
                rows between unbounded preceding and current row
            ) - open_amount), 0)
        ) as amount
    from named as candidates
    -- "RE-6001-2" names RE-6001 only where there is no RE-6001-2.
    where not exists (
        select 1
        from named as longer
        where
            longer.payment_id = candidates.payment_id
            and length(longer.number) > length(candidates.number)
            and instr(longer.number, candidates.number) > 0
    )
)

select
    payment_id,
    payment_date,
    invoice_id,
    item_key,
    is_family_s,
    cast(amount as decimal(18, 4)) as amount
from laid
where amount > 0
union all
select
    left_out.source_id as payment_id,
    every_payment.payment_date,
    left_out.invoice_id,
    open_items.item_key,
    false as is_family_s,
    left_out.amount
from left_out
inner join every_payment on left_out.source_id = every_payment.payment_id
inner join open_items on left_out.invoice_id = open_items.invoice_id
