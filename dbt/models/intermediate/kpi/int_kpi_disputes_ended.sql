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
    count(*) as disputes_resolved,
    sum({{ dbt.datediff('disputes.opened_on', 'disputes.resolved_on', 'day') }}) as dispute_days
from disputes
inner join months on {{ dbt.date_trunc('month', 'disputes.resolved_on') }} = months.month
group by months.month, disputes.company_id, disputes.customer_id, coalesce(disputes.product_line, 'unknown')
