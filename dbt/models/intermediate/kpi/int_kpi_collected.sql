with cash_applied as (
    select * from {{ ref('int_cash_applied') }}
    where stands_at_month_end
),

documents as (
    select * from {{ ref('int_documents') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
)

select
    months.month,
    cash_applied.company_id,
    cash_applied.customer_id,
    coalesce(documents.product_line, 'unknown') as product_line,
    sum(cash_applied.amount_reporting) as paid,
    sum(case when cash_applied.days_late is not null then cash_applied.amount_reporting else 0 end) as paid_with_due_date,
    sum(case when cash_applied.days_late <= 0 then cash_applied.amount_reporting else 0 end) as paid_on_time,
    sum(cash_applied.amount_reporting * greatest(coalesce(cash_applied.days_late, 0), 0)) as paid_x_days_late,
    sum(case when cash_applied.is_late then cash_applied.amount_reporting else 0 end) as paid_past_due
from cash_applied
inner join months on cash_applied.month_end = months.snapshot_date
left join documents on cash_applied.invoice_id = documents.invoice_id
group by months.month, cash_applied.company_id, cash_applied.customer_id, coalesce(documents.product_line, 'unknown')
