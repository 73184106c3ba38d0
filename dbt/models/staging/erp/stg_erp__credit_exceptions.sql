with latest as (
    {{ latest_version(source('erp', 'credit_exceptions'), ['exception_id']) }}
)

select
    exception_id,
    customer_id,
    kind,
    requested_by,
    requested_on,
    approved_by,
    approved_on,
    granted_terms,
    granted_limit,
    expires_on,
    reason,
    _loaded_at as known_at
from latest
