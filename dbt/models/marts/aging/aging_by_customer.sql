with aging_history as (
    select * from {{ ref('aging_history') }}
    where snapshot_date = as_of
)

select
    as_of,
    company_id,
    customer_id,
    currency,
    current_amount,
    d1_30,
    d31_60,
    d61_90,
    d90_plus,
    no_due_date,
    total_open,
    credits,
    balance,
    past_due,
    oldest_days_past_due
from aging_history
