with latest as (
    {{ latest_version(source('erp', 'disputes'), ['dispute_id']) }}
)

select
    dispute_id,
    invoice_id,
    opened_on,
    amount,
    reason,
    owner,
    resolved_on,
    outcome,
    _loaded_at as known_at
from latest
