with scores as (
    select * from {{ ref('int_bureau_scores') }}
),

risk_policy as (
    select * from {{ policy_values('risk_policy', 'bureau_full_weight_days', 'bureau_no_weight_days') }} as risk_policy
),

snapshot_dates as (
    select
        snapshot_date,
        cast({{ dbt.dateadd('month', -6, 'snapshot_date') }} as date) as half_year_before
    from {{ ref('int_snapshot_dates') }}
),

days as (
    select snapshot_date as day from snapshot_dates
    union
    select half_year_before as day from snapshot_dates
),

-- What each bureau and code said last, on each of those days.
answers as (
    select
        scores.customer_id,
        days.day,
        scores.bureau,
        scores.score_code,
        scores.model_code,
        scores.scored_on,
        scores.score
    from scores
    inner join days
        on scores.scored_on <= days.day
        and (scores.score_until is null or scores.score_until > days.day)
    where scores.speaks and scores.score is not null
),

usable_answers as (
    select
        answers.customer_id,
        snapshot_dates.snapshot_date,
        answers.bureau,
        answers.score_code,
        answers.score,
        answers.score - before.score as change_6m,
        {{ dbt.datediff('answers.scored_on', 'snapshot_dates.snapshot_date', 'day') }} as age_days,
        row_number() over (
            partition by answers.customer_id, snapshot_dates.snapshot_date
            order by answers.score nulls last, answers.scored_on desc, answers.bureau, answers.score_code nulls last
        ) as caution
    from answers
    inner join snapshot_dates on answers.day = snapshot_dates.snapshot_date
    left join answers as before
        on answers.customer_id = before.customer_id
        and answers.bureau = before.bureau
        and answers.score_code = before.score_code
        and coalesce(answers.model_code, '') = coalesce(before.model_code, '')
        and snapshot_dates.half_year_before = before.day
    cross join risk_policy
    where {{ dbt.datediff('answers.scored_on', 'snapshot_dates.snapshot_date', 'day') }} < risk_policy.bureau_no_weight_days
),

-- Bureaus that disagree are not averaged: the most cautious one counts, as long as it has not expired.
score_signals as (
    select
        customer_id,
        snapshot_date,
        min(score) as bureau_score,
        max(case when caution = 1 then bureau || '/' || score_code end) as bureau_score_source,
        min(change_6m) as bureau_score_change_6m,
        min(age_days) as score_age_days
    from usable_answers
    group by customer_id, snapshot_date
),

facts as (
    select
        scores.customer_id,
        days.day,
        scores.bureau,
        scores.scored_on,
        scores.bureau_dbt,
        scores.industry_dbt,
        scores.current_ratio,
        scores.quick_ratio,
        scores.debt_to_equity,
        scores.status,
        scores.status_severity
    from scores
    inner join days
        on scores.scored_on <= days.day
        and (scores.facts_until is null or scores.facts_until > days.day)
    where scores.has_facts
),

aged_facts as (
    select
        facts.*,
        snapshot_dates.snapshot_date,
        facts.bureau_dbt - before.bureau_dbt as bureau_dbt_change_6m,
        {{ dbt.datediff('facts.scored_on', 'snapshot_dates.snapshot_date', 'day') }} as age_days,
        {{ dbt.datediff('facts.scored_on', 'snapshot_dates.snapshot_date', 'day') }} < risk_policy.bureau_no_weight_days as is_usable,
        facts.current_ratio is not null or facts.quick_ratio is not null or facts.debt_to_equity is not null as has_ratios
    from facts
    inner join snapshot_dates on facts.day = snapshot_dates.snapshot_date
    left join facts as before
        on facts.customer_id = before.customer_id
        and facts.bureau = before.bureau
        and snapshot_dates.half_year_before = before.day
    cross join risk_policy
),

ranked_facts as (
    select
        aged_facts.*,
        row_number() over (
            partition by customer_id, snapshot_date
            order by
                case when is_usable and bureau_dbt is not null then 0 else 1 end,
                bureau_dbt desc,
                scored_on desc,
                bureau
        ) as slowest,
        row_number() over (
            partition by customer_id, snapshot_date
            order by case when has_ratios then 0 else 1 end, scored_on desc, bureau
        ) as freshest_ratios,
        row_number() over (
            partition by customer_id, snapshot_date
            order by case when status is null then -1 else status_severity end desc, scored_on desc, bureau
        ) as gravest
    from aged_facts
),

-- Days and ratios grow old as scores do. A status does not: who was dissolved stays so until the bureau says otherwise.
fact_signals as (
    select
        customer_id,
        snapshot_date,
        max(case when slowest = 1 and is_usable then bureau end) as bureau_dbt_source,
        max(case when slowest = 1 and is_usable then bureau_dbt end) as bureau_dbt,
        max(case when slowest = 1 and is_usable then industry_dbt end) as industry_dbt,
        max(case when slowest = 1 and is_usable then bureau_dbt_change_6m end) as bureau_dbt_change_6m,
        min(case when is_usable and bureau_dbt is not null then age_days end) as bureau_dbt_age_days,
        max(case when freshest_ratios = 1 and is_usable then bureau end) as ratios_source,
        max(case when freshest_ratios = 1 and is_usable then current_ratio end) as current_ratio,
        max(case when freshest_ratios = 1 and is_usable then quick_ratio end) as quick_ratio,
        max(case when freshest_ratios = 1 and is_usable then debt_to_equity end) as debt_to_equity,
        max(case when freshest_ratios = 1 and is_usable then age_days end) as ratios_age_days,
        max(case when gravest = 1 then status end) as bureau_status,
        max(case when gravest = 1 then bureau end) as bureau_status_source
    from ranked_facts
    group by customer_id, snapshot_date
)

select
    coalesce(score_signals.customer_id, fact_signals.customer_id) as customer_id,
    coalesce(score_signals.snapshot_date, fact_signals.snapshot_date) as snapshot_date,
    score_signals.bureau_score,
    score_signals.bureau_score_source,
    score_signals.bureau_score_change_6m,
    {{ bureau_weight('score_signals.score_age_days', 'risk_policy') }} as bureau_score_weight,
    fact_signals.bureau_dbt,
    fact_signals.bureau_dbt_source,
    fact_signals.industry_dbt,
    fact_signals.bureau_dbt_change_6m,
    {{ bureau_weight('fact_signals.bureau_dbt_age_days', 'risk_policy') }} as bureau_dbt_weight,
    fact_signals.current_ratio,
    fact_signals.quick_ratio,
    fact_signals.debt_to_equity,
    fact_signals.ratios_source,
    {{ bureau_weight('fact_signals.ratios_age_days', 'risk_policy') }} as ratios_weight,
    fact_signals.bureau_status,
    fact_signals.bureau_status_source
from score_signals
full outer join fact_signals
    on score_signals.customer_id = fact_signals.customer_id
    and score_signals.snapshot_date = fact_signals.snapshot_date
cross join risk_policy
