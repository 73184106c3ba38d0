with latest as (
    {{ latest_version(source('erp', 'promises'), ['promise_id']) }}
)

select
    promise_id,
    customer_id,
    made_on,
    promised_date,
    amount,
    invoice_id,
    plan_id,
    _loaded_at as known_at
from latest
