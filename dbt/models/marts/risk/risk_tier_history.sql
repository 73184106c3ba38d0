with risk_tier_history as (
    select * from {{ ref('int_tier_history') }}
)

select
    snapshot_date,
    customer_id,
    tier_indicated,
    risk_score,
    evidence
from risk_tier_history
