{{ config(materialized='view') }}

with disputes as (
    select * from {{ ref('stg_erp__disputes') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
)

select
    months.month,
    documents.company_id,
    documents.customer_id,
    count(*) as disputes_resolved,
    sum({{ dbt.datediff('disputes.opened_on', 'disputes.resolved_on', 'day') }}) as dispute_days
from disputes
inner join months on {{ dbt.date_trunc('month', 'disputes.resolved_on') }} = months.month
inner join documents on disputes.invoice_id = documents.invoice_id
group by months.month, documents.company_id, documents.customer_id
