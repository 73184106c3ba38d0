with latest as (
    {{ latest_version(source('erp', 'payment_terms'), ['payment_terms']) }}
)

select
    payment_terms,
    net_days,
    from_month_end,
    to_month_end,
    due_day,
    business_days,
    discount_pct,
    discount_days,
    deposit_pct,
    _loaded_at as known_at
from latest
