with latest as (
    {{ latest_version(source('erp', 'exchange_rates'), ['rate_date', 'currency', 'base_currency']) }}
)

select
    rate_date,
    currency,
    base_currency,
    rate,
    _loaded_at as known_at
from latest
