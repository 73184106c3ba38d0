with latest as (
    {{ latest_version(source('delivery', 'worklist_outcomes'), ['outcome_id']) }}
)

select
    outcome_id,
    worklist_date,
    policy,
    customer_id,
    collector,
    item_id,
    invoice_id,
    contacted,
    outcome,
    promised_date,
    promised_amount,
    dispute_reason,
    disputed_amount,
    currency,
    note,
    file_name,
    _loaded_at as known_at
from latest
