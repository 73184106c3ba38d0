with documents as (
    select * from {{ ref('int_documents') }}
    where document_type = 'invoice' and voided_on is null
),

companies as (
    select * from {{ ref('int_companies') }}
),

business_days as (
    select * from {{ ref('int_business_days') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
)

select
    months.month,
    documents.company_id,
    documents.customer_id,
    count(*) as deliveries_invoiced,
    cast(sum(greatest(sent_day.business_day_number - delivered_day.business_day_number, 0)) as bigint) as days_to_invoice
from documents
inner join months on {{ dbt.date_trunc('month', 'documents.sent_on') }} = months.month
inner join companies on documents.company_id = companies.company_id
inner join business_days as sent_day
    on companies.calendar = sent_day.calendar
    and documents.sent_on = sent_day.date_day
inner join business_days as delivered_day
    on companies.calendar = delivered_day.calendar
    and documents.delivered_on = delivered_day.date_day
group by months.month, documents.company_id, documents.customer_id
