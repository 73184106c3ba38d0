with latest as (
    {{ latest_version(source('erp', 'credit_reviews'), ['review_id']) }}
)

select
    review_id,
    customer_id,
    reviewed_on,
    reviewer,
    tier,
    credit_limit,
    note,
    _loaded_at as known_at
from latest
