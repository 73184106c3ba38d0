{{ config(materialized='view') }}

with disputed_items as (
    select * from {{ ref('int_disputed_items') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
)

select
    months.month,
    disputed_items.company_id,
    disputed_items.customer_id,
    coalesce(documents.product_line, 'unknown') as product_line,
    sum(
        {{ share_of(
            'disputed_items.open_amount_reporting',
            'disputed_items.disputed_amount',
            'disputed_items.invoice_open_amount',
            'reporting.digits'
        ) }}
    ) as disputed
from disputed_items
inner join months on disputed_items.snapshot_date = months.snapshot_date
left join documents on disputed_items.invoice_id = documents.invoice_id
cross join {{ reporting_digits() }} as reporting
group by months.month, disputed_items.company_id, disputed_items.customer_id, coalesce(documents.product_line, 'unknown')
