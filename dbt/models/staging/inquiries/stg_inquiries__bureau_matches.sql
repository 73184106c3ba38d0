with latest as (
    {{ latest_version(source('inquiries', 'bureau_matches'), ['bureau', 'customer_id', 'bureau_id']) }}
)

select
    bureau,
    customer_id,
    bureau_id,
    name,
    country,
    registration_number,
    confidence,
    matched_by,
    matched_on,
    decision,
    decided_by,
    decided_on,
    note,
    _loaded_at as known_at
from latest
