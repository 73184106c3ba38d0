with due_dates as (
    select * from {{ ref('stg_erp__due_dates') }}
),

originals as (
    select
        invoice_id,
        due_date as original_due_date
    from due_dates
    where previous_due_date is null
),

documents as (
    select * from {{ ref('int_documents') }}
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(due_dates.invoice_id as string) as invoice_id,
    cast(documents.company_id as string) as company_id,
    cast(documents.customer_id as string) as customer_id,
    cast(originals.original_due_date as date) as original_due_date,
    cast(due_dates.previous_due_date as date) as previous_due_date,
    cast(due_dates.due_date as date) as due_date,
    cast({{ dbt.datediff('due_dates.previous_due_date', 'due_dates.due_date', 'day') }} as integer) as shift_days,
    cast(due_dates.seen_on as date) as seen_on
from due_dates
inner join originals on due_dates.invoice_id = originals.invoice_id
inner join documents on due_dates.invoice_id = documents.invoice_id
where due_dates.previous_due_date is not null
