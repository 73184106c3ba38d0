with disputes as (
    select * from {{ ref('stg_erp__disputes') }}
    where
        opened_on <= {{ as_of() }}
        and (resolved_on is null or resolved_on > {{ as_of() }})
),

open_items as (
    select * from {{ ref('int_items_snapshot') }}
    where is_as_of and item_type in ('invoice', 'debit_memo')
),

open_invoices as (
    select
        invoice_id,
        sum(open_amount) as open_amount
    from open_items
    group by invoice_id
    having sum(open_amount) > 0
),

disputed as (
    select
        invoice_id,
        sum(amount) as amount,
        count(*) as dispute_count,
        count(*) - count(amount) as whole_invoice_disputes,
        min(opened_on) as opened_on,
        min(reason) as reason
    from disputes
    group by invoice_id
)

select
    disputed.invoice_id,
    cast(
        case
            when disputed.whole_invoice_disputes > 0 then open_invoices.open_amount
            else least(open_invoices.open_amount, disputed.amount)
        end as decimal(18, 4)
    ) as disputed_amount,
    disputed.opened_on,
    disputed.reason,
    cast(disputed.dispute_count as integer) as dispute_count
from disputed
inner join open_invoices on disputed.invoice_id = open_invoices.invoice_id
