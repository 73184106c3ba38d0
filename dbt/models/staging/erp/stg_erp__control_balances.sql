with latest as (
    {{ latest_version(source('erp', 'control_balances'), ['company_id', 'as_of']) }}
)

select
    company_id,
    as_of,
    balance,
    _loaded_at as known_at
from latest
