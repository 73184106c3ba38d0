with latest as (
    {{ latest_version(source('erp', 'companies'), ['company_id']) }}
)

select
    company_id,
    name,
    currency,
    country,
    timezone,
    calendar,
    _loaded_at as known_at
from latest
