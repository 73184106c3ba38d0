with verdicts as (
    select * from {{ ref('int_risk_verdicts') }}
    where policy = '{{ var("policy") }}'
),

scores as (
    select * from {{ ref('int_risk_scores') }}
)

select
    cast(verdicts.snapshot_date as date) as snapshot_date,
    cast(verdicts.customer_id as string) as customer_id,
    cast(verdicts.tier_indicated as string) as tier_indicated,
    cast(scores.risk_score as decimal(18, 4)) as risk_score,
    cast(scores.evidence as decimal(18, 4)) as evidence
from verdicts
inner join scores
    on verdicts.policy = scores.policy
    and verdicts.customer_id = scores.customer_id
    and verdicts.snapshot_date = scores.snapshot_date
