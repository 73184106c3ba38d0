{{ config(meta={'dagster': {'ref': {'name': 'credit_score_changes'}}, 'description': 'No score has turned over for most of its customers at once (80 became 20, 30 became 70): that is a scale that changed its good end, not a book of companies that did.'}) }}

with changes as (
    select * from {{ ref('credit_score_changes') }}
    where direction in ('improved', 'worsened')
),

mirrored as (
    select
        bureau,
        score_code,
        abs(points) >= {{ policy_value('risk_policy', 'turned_over_points') }}
        and 2 * abs(score_from + score_to - 100) < abs(points) as is_mirrored
    from changes
)

select
    bureau,
    score_code,
    count(*) as moved,
    sum(case when is_mirrored then 1 else 0 end) as turned_over
from mirrored
group by bureau, score_code
having
    sum(case when is_mirrored then 1 else 0 end) >= {{ policy_value('risk_policy', 'turned_over_customers') }}
    and 2 * sum(case when is_mirrored then 1 else 0 end) > count(*)
