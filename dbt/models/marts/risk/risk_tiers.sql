with risk_tiers as (
    select * from {{ ref('int_risk_tiers') }}
)

select
    customer_id,
    policy,
    risk_score,
    evidence,
    tie_break,
    tier_indicated,
    tier_in_force,
    drift,
    tier_name,
    net_days,
    net_days_max,
    credit_limit_policy,
    deposit_pct,
    last_reviewed_on,
    last_reviewed_tier,
    next_review_due
from risk_tiers
