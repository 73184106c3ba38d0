with latest as (
    {{ latest_version(source('delivery', 'issued_forecasts'), ['made_on', 'week_start', 'scope', 'company_id', 'currency']) }}
)

select
    made_on,
    week_start,
    week,
    scope,
    company_id,
    currency,
    policy,
    expected,
    not_billed,
    p20,
    p80,
    naive,
    _loaded_at as known_at
from latest
