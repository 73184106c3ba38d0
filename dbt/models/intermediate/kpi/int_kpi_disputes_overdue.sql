{{ config(materialized='view') }}

with disputes as (
    select * from {{ ref('int_dispute_clock') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
)

select
    months.month,
    disputes.company_id,
    disputes.customer_id,
    coalesce(disputes.product_line, 'unknown') as product_line,
    count(*) as overdue_disputes
from disputes
inner join months
    on disputes.resolve_by < months.snapshot_date
    and (disputes.resolved_on is null or disputes.resolved_on > months.snapshot_date)
group by months.month, disputes.company_id, disputes.customer_id, coalesce(disputes.product_line, 'unknown')
