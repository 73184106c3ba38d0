with snapshot as (
    select * from {{ ref('int_items_snapshot') }}
    where is_as_of
)

select
    item_key,
    item_type,
    invoice_id,
    company_id,
    customer_id,
    currency,
    document_date,
    due_date,
    open_amount,
    aging_days,
    days_past_due,
    aging_bucket,
    open_amount_base,
    open_amount_reporting
from snapshot
