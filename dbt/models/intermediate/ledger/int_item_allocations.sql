with allocations as (
    select * from {{ ref('int_allocations') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

instalment_allocations as (
    select * from {{ ref('int_instalment_allocations') }}
),

pieces as (
    select
        allocations.allocation_id,
        items.item_id,
        allocations.amount,
        allocations.effective_on,
        allocations.ended_on,
        items.due_date
    from allocations
    inner join items
        on allocations.invoice_id = items.invoice_id
        and items.instalment_number = 0
    union all
    select
        instalment_allocations.allocation_id,
        instalment_allocations.item_id,
        instalment_allocations.amount,
        instalment_allocations.effective_on,
        instalment_allocations.ended_on,
        items.due_date
    from instalment_allocations
    inner join items on instalment_allocations.item_id = items.item_id
)

select
    pieces.allocation_id,
    pieces.item_id,
    allocations.invoice_id,
    allocations.source_type,
    allocations.payment_id,
    allocations.credit_memo_id,
    pieces.amount,
    pieces.effective_on,
    pieces.ended_on,
    allocations.effective_on as allocation_effective_on,
    allocations.payment_date,
    pieces.due_date,
    allocations.company_id,
    allocations.customer_id,
    allocations.currency,
    allocations.known_at,
    coalesce(allocations.end_known_at, allocations.known_at) as end_known_at
from pieces
inner join allocations on pieces.allocation_id = allocations.allocation_id
