with open_items as (
    select * from {{ ref('int_open_items') }}
    where {{ is_receivable('item_type') }}
),

disputes as (
    select * from {{ ref('int_disputes') }}
),

-- A dispute is about an invoice; over instalments it lies on the oldest first, as allocations do.
placed as (
    select
        open_items.item_key,
        open_items.invoice_id,
        greatest(open_items.open_amount, 0) as open_amount,
        disputes.disputed_amount,
        coalesce(sum(greatest(open_items.open_amount, 0)) over (
            partition by open_items.invoice_id
            order by open_items.due_date nulls last, open_items.item_key
            rows between unbounded preceding and 1 preceding
        ), 0) as open_before
    from open_items
    inner join disputes on open_items.invoice_id = disputes.invoice_id
)

select
    item_key,
    invoice_id,
    cast(least(open_amount, disputed_amount - open_before) as decimal(18, 4)) as disputed_amount
from placed
where open_amount > 0 and disputed_amount > open_before
