with scores as (
    select * from {{ ref('int_bureau_scores') }}
),

snapshot_dates as (
    select
        snapshot_date,
        cast({{ dbt.dateadd('month', -6, 'snapshot_date') }} as date) as half_year_before
    from {{ ref('int_snapshot_dates') }}
),

answers as (
    select
        scores.customer_id,
        snapshot_dates.snapshot_date,
        snapshot_dates.half_year_before,
        scores.bureau,
        scores.score_code,
        scores.scored_on,
        scores.score,
        {{ dbt.datediff('scores.scored_on', 'snapshot_dates.snapshot_date', 'day') }} as age_days
    from scores
    inner join snapshot_dates
        on scores.scored_on <= snapshot_dates.snapshot_date
        and (scores.score_until is null or scores.score_until > snapshot_dates.snapshot_date)
    where scores.speaks and scores.score is not null
),

usable_answers as (
    select
        answers.*,
        answers.score - before.score as change_6m,
        row_number() over (
            partition by answers.customer_id, answers.snapshot_date
            order by answers.score, answers.scored_on desc, answers.bureau, answers.score_code
        ) as caution
    from answers
    left join scores as before
        on answers.customer_id = before.customer_id
        and answers.bureau = before.bureau
        and answers.score_code = before.score_code
        and before.speaks
        and before.scored_on <= answers.half_year_before
        and (before.score_until is null or before.score_until > answers.half_year_before)
    where answers.age_days < {{ policy_value('risk_policy', 'bureau_no_weight_days') }}
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
        scores.*,
        snapshot_dates.snapshot_date,
        snapshot_dates.half_year_before,
        {{ dbt.datediff('scores.scored_on', 'snapshot_dates.snapshot_date', 'day') }} as age_days
    from scores
    inner join snapshot_dates
        on scores.scored_on <= snapshot_dates.snapshot_date
        and (scores.facts_until is null or scores.facts_until > snapshot_dates.snapshot_date)
    where scores.has_facts
),

ranked_facts as (
    select
        facts.*,
        facts.age_days < {{ policy_value('risk_policy', 'bureau_no_weight_days') }} as is_usable,
        facts.bureau_dbt - before.bureau_dbt as bureau_dbt_change_6m,
        row_number() over (
            partition by facts.customer_id, facts.snapshot_date
            order by
                case when facts.age_days < {{ policy_value('risk_policy', 'bureau_no_weight_days') }} then 0 else 1 end,
                facts.bureau_dbt desc nulls last,
                facts.scored_on desc,
                facts.bureau
        ) as slowest,
        row_number() over (
            partition by facts.customer_id, facts.snapshot_date
            order by
                case when facts.current_ratio is null and facts.quick_ratio is null and facts.debt_to_equity is null then 1 else 0 end,
                facts.scored_on desc,
                facts.bureau
        ) as freshest_ratios,
        row_number() over (
            partition by facts.customer_id, facts.snapshot_date
            order by case when facts.status is null then -1 else facts.status_severity end desc, facts.scored_on desc, facts.bureau
        ) as gravest
    from facts
    left join scores as before
        on facts.customer_id = before.customer_id
        and facts.bureau = before.bureau
        and before.has_facts
        and before.scored_on <= facts.half_year_before
        and (before.facts_until is null or before.facts_until > facts.half_year_before)
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
    {{ bureau_weight('score_signals.score_age_days') }} as bureau_score_weight,
    fact_signals.bureau_dbt,
    fact_signals.bureau_dbt_source,
    fact_signals.industry_dbt,
    fact_signals.bureau_dbt_change_6m,
    {{ bureau_weight('fact_signals.bureau_dbt_age_days') }} as bureau_dbt_weight,
    fact_signals.current_ratio,
    fact_signals.quick_ratio,
    fact_signals.debt_to_equity,
    fact_signals.ratios_source,
    {{ bureau_weight('fact_signals.ratios_age_days') }} as ratios_weight,
    fact_signals.bureau_status,
    fact_signals.bureau_status_source
from score_signals
full outer join fact_signals
    on score_signals.customer_id = fact_signals.customer_id
    and score_signals.snapshot_date = fact_signals.snapshot_date
