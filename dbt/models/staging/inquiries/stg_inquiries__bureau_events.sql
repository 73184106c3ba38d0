with latest as (
    {{ latest_version(source('inquiries', 'bureau_events'), ['bureau', 'event_id']) }}
)

select
    bureau,
    event_id,
    customer_id,
    occurred_on,
    kind,
    bureau_id,
    billed,
    value_before,
    value_after,
    detail,
    _loaded_at as known_at
from latest
