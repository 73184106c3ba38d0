with documents as (
    select * from {{ ref('int_documents') }}
    where document_type = 'invoice' and voided_on is null
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

in_error as (
    select distinct invoice_id
    from {{ ref('int_invoice_errors') }}
)

select
    months.month,
    documents.company_id,
    documents.customer_id,
    coalesce(documents.product_line, 'unknown') as product_line,
    count(*) as invoices_issued,
    count(in_error.invoice_id) as invoices_in_error
from documents
inner join months on {{ dbt.date_trunc('month', 'documents.document_date') }} = months.month
left join in_error on documents.invoice_id = in_error.invoice_id
group by months.month, documents.company_id, documents.customer_id, coalesce(documents.product_line, 'unknown')
