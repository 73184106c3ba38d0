with credit_score_changes as (
    select * from {{ ref('int_credit_score_changes') }}
)

select
    customer_id,
    company_id,
    customer_name,
    bureau,
    score_code,
    direction,
    points,
    alerting,
    fell_on,
    score_from,
    score_to,
    raw_from,
    raw_to,
    scored_on_from,
    scored_on_to,
    months_between,
    points_since_review,
    model_from,
    model_to,
    risk_class_from,
    risk_class_to,
    status_from,
    status_to,
    has_status_changed,
    spread_points,
    bureaus_disagree,
    detail
from credit_score_changes
