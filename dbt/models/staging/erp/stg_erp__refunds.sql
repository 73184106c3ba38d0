with latest as (
    {{ latest_version(source('erp', 'refunds'), ['refund_id']) }}
)

select
    refund_id,
    customer_id,
    refunded_on,
    currency,
    amount,
    source_type,
    source_id,
    company_id,
    method,
    reversed_on,
    updated_at,
    _loaded_at as known_at,
    _first_loaded_at as first_known_at
from latest
