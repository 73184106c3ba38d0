{#- A part of int_pack_faults, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with terms as (
    select * from {{ ref('risk_tier_terms') }}
),

weights as (
    select * from {{ ref('risk_weights') }}
),

criteria as (
    select * from {{ ref('risk_criteria') }}
),

known_factors as (
    {%- for factor in risk_factors() %}
    select '{{ factor.name }}' as factor, '{{ factor.kind }}' as kind union all
    {%- endfor %}
    select 'risk_score' as factor, 'number' as kind union all
    select 'evidence' as factor, 'number' as kind
)

select
    'risk_tier_terms.csv' as file,
    policy,
    'tier ' || tier as subject,
    case
        when net_days is null or credit_limit is null or deposit_pct is null or review_months is null
            then 'a term is missing: fill in net_days, credit_limit, deposit_pct and review_months'
        when net_days < 0 or net_days_max < net_days or credit_limit < 0 or deposit_pct not between 0 and 100 or review_months < 1
            then 'a term is impossible: mend net_days, net_days_max, credit_limit, deposit_pct or review_months'
    end as fault
from terms

union all

select
    'risk_criteria.csv' as file,
    criteria.policy,
    'tier ' || criteria.tier || ' ' || criteria.effect || ' ' || criteria.factor || ' ' || criteria.operator as subject,
    case
        when known_factors.factor is null then 'unknown factor: take one that macros/risk_factors.sql lists, risk_score or evidence'
        when criteria.effect not in ('requires', 'forces') then 'unknown effect: it is requires or forces'
        when criteria.operator not in ('<=', '<', '>=', '>', 'in', 'not_in') then 'unknown operator: it is <=, <, >=, >, in or not_in'
        when (criteria.operator in ('in', 'not_in')) <> (known_factors.kind = 'text')
            then 'the operator does not fit the factor: words take in and not_in, numbers the others'
        when known_factors.kind = 'number' and try_cast(criteria.threshold as decimal(18, 4)) is null
            then 'the threshold is no number: ' || coalesce(criteria.threshold, 'there is none')
        when criteria.threshold is null then 'there is no threshold: name the words it is held against, separated by |'
        when criteria.sentence is null or criteria.sentence_missing is null
            then 'a sentence is missing: fill in sentence and sentence_missing, which the reasons are told in'
    end as fault
from criteria
left join known_factors on criteria.factor = known_factors.factor

union all

select
    'risk_weights.csv' as file,
    weights.policy,
    'factor ' || weights.factor as subject,
    case
        when known_factors.factor is null then 'unknown factor: take one that macros/risk_factors.sql lists'
        when known_factors.kind <> 'number' or weights.factor in ('risk_score', 'evidence')
            then 'the factor cannot be weighed: only numbers can that are not made from the weights'
        when coalesce(weights.weight, 0) <= 0 then 'a weight must be above 0: take the row out instead'
        when weights.best_at is null or weights.worst_at is null then 'a break point is missing: fill in best_at and worst_at'
        when weights.best_at = weights.worst_at then 'the two break points are one: best_at and worst_at must differ'
    end as fault
from weights
left join known_factors on weights.factor = known_factors.factor
