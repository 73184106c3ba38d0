with cash as (
    select * from {{ ref('int_cash_applied') }}
    where is_lasting
),

first_paid as (
    select
        customer_id,
        invoice_id,
        min(month_index) as month_index
    from cash
    group by customer_id, invoice_id
),

newly_paid as (
    select
        customer_id,
        month_index,
        count(*) as paid_invoices
    from first_paid
    group by customer_id, month_index
),

months as (
    select
        customer_id,
        month_index,
        {{ paid_sums() }}
    from cash
    group by customer_id, month_index
)

select
    months.customer_id,
    months.month_index,
    months.paid,
    months.paid_with_days,
    months.paid_x_days_to_pay,
    months.paid_with_due_date,
    months.paid_x_days_late,
    months.paid_on_time,
    months.max_days_late,
    cast(coalesce(newly_paid.paid_invoices, 0) as integer) as paid_invoices
from months
left join newly_paid
    on months.customer_id = newly_paid.customer_id
    and months.month_index = newly_paid.month_index
