with cash as (
    select * from {{ ref('int_cash_applied') }}
),

customer_snapshots as (
    select * from {{ ref('int_customer_snapshots') }}
),

lasting as (
    select
        invoice_id,
        min(effective_on) as paid_on
    from cash
    where is_lasting and invoice_id in (select invoice_id from cash where not is_lasting)
    group by invoice_id
),

-- What the longest window sees from the date.
seen as (
    select
        customer_snapshots.customer_id,
        customer_snapshots.snapshot_date,
        cash.month_index,
        cash.amount_reporting,
        cash.days_late,
        cash.days_to_pay,
        case
            when
                (lasting.paid_on is null or lasting.paid_on > customer_snapshots.snapshot_date)
                and cash.month_index = min(cash.month_index) over (
                    partition by customer_snapshots.customer_id, customer_snapshots.snapshot_date, cash.invoice_id
                )
                then cash.invoice_id
        end as newly_paid_invoice
    from cash
    inner join customer_snapshots
        on cash.customer_id = customer_snapshots.customer_id
        and cash.effective_on <= customer_snapshots.snapshot_date
        and (cash.ended_on is null or cash.ended_on > customer_snapshots.snapshot_date)
        and cash.month_index >= customer_snapshots.month_index - 24
    left join lasting on cash.invoice_id = lasting.invoice_id
    where not cash.is_lasting
)

select
    customer_id,
    snapshot_date,
    month_index,
    {{ paid_sums() }},
    cast(count(distinct newly_paid_invoice) as integer) as paid_invoices
from seen
group by customer_id, snapshot_date, month_index
