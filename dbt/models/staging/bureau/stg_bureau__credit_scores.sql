with latest as (
    {{ latest_version(source('bureau', 'credit_scores'), ['bureau', 'score_code', 'scored_on', 'customer_id', 'registration_number']) }}
)

select
    bureau,
    scored_on,
    score_code,
    raw_score,
    customer_id,
    registration_number,
    model_code,
    risk_class,
    status,
    dbt,
    industry_dbt,
    recommended_limit,
    currency,
    current_ratio,
    quick_ratio,
    debt_to_equity,
    match_confidence,
    fetched_at,
    _loaded_at as known_at
from latest
