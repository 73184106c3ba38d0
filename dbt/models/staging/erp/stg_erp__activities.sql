with latest as (
    {{ latest_version(source('erp', 'activities'), ['activity_id']) }}
)

select
    activity_id,
    customer_id,
    occurred_at,
    invoice_id,
    step,
    channel,
    outcome,
    note,
    actor,
    _loaded_at as known_at
from latest
