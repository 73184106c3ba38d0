with invoice_errors as (
    select * from {{ ref('int_invoice_errors') }}
)

select
    invoice_id,
    document_number,
    company_id,
    customer_id,
    document_date,
    rule,
    detail
from invoice_errors
