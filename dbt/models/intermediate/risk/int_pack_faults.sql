with terms as (
    select * from {{ ref('risk_tier_terms') }}
),

weights as (
    select * from {{ ref('risk_weights') }}
),

criteria as (
    select * from {{ ref('risk_criteria') }}
),

steps as (
    select * from {{ ref('dunning_steps') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

known_factors as (
    {%- for factor in risk_factors() %}
    select '{{ factor.name }}' as factor, '{{ factor.kind }}' as kind union all
    {%- endfor %}
    select 'risk_score' as factor, 'number' as kind union all
    select 'evidence' as factor, 'number' as kind
),

pack_rows as (
    select 'risk_tier_terms.csv' as file, policy, 'tier ' || tier as subject, valid_from, valid_to from terms
    union all
    select 'risk_weights.csv' as file, policy, 'factor ' || factor as subject, valid_from, valid_to from weights
    union all
    select
        'risk_criteria.csv' as file,
        policy,
        'tier ' || tier || ' ' || effect || ' ' || factor || ' ' || operator as subject,
        valid_from,
        valid_to
    from criteria
    union all
    select 'dunning_steps.csv' as file, policy, 'tier ' || tier || ' step ' || step as subject, valid_from, valid_to from steps
),

followed as (
    select
        pack_rows.*,
        lead(valid_from) over (partition by file, policy, subject order by valid_from, valid_to) as next_from
    from pack_rows
),

gap_faults as (
    select
        file,
        policy,
        subject,
        'no row is valid for some days: let each begin the day after the one before ends' as fault
    from followed
    where next_from > {{ dbt.dateadd('day', 1, 'valid_to') }}
),

-- Every day on which a row begins or another has ended, and every day the book is looked back at, is a day on which its pack must be
-- whole; a pack that has ended altogether is no longer one.
risk_rows as (
    select policy, valid_from, valid_to
    from pack_rows
    where file <> 'dunning_steps.csv'
),

pack_days as (
    select policy, valid_from as day from risk_rows
    union
    select ended.policy, cast({{ dbt.dateadd('day', 1, 'ended.valid_to') }} as date) as day
    from risk_rows as ended
    inner join risk_rows as others
        on ended.policy = others.policy
        and others.valid_from <= {{ dbt.dateadd('day', 1, 'ended.valid_to') }}
        and (others.valid_to is null or others.valid_to > ended.valid_to)
    union
    select '{{ var("policy") }}' as policy, snapshot_date as day from snapshot_dates
),

terms_on as (
    select
        pack_days.policy,
        pack_days.day,
        count(terms.tier) as tiers,
        count(distinct terms.tier_rank) as ranks,
        min(terms.tier_rank) as best_rank,
        max(terms.tier_rank) as worst_rank
    from pack_days
    left join terms
        on pack_days.policy = terms.policy
        and terms.valid_from <= pack_days.day
        and (terms.valid_to is null or terms.valid_to >= pack_days.day)
    group by pack_days.policy, pack_days.day
),

weights_on as (
    select
        pack_days.policy,
        pack_days.day,
        sum(weights.weight) as weight
    from pack_days
    left join weights
        on pack_days.policy = weights.policy
        and weights.valid_from <= pack_days.day
        and (weights.valid_to is null or weights.valid_to >= pack_days.day)
    group by pack_days.policy, pack_days.day
),

criteria_on as (
    select
        pack_days.policy,
        pack_days.day,
        criteria.tier,
        criteria.effect,
        criteria.factor,
        terms.tier_rank
    from pack_days
    inner join criteria
        on pack_days.policy = criteria.policy
        and criteria.valid_from <= pack_days.day
        and (criteria.valid_to is null or criteria.valid_to >= pack_days.day)
    left join terms
        on criteria.policy = terms.policy
        and criteria.tier = terms.tier
        and terms.valid_from <= pack_days.day
        and (terms.valid_to is null or terms.valid_to >= pack_days.day)
),

day_faults as (
    select
        case when terms_on.tiers > 0 and terms_on.ranks = terms_on.tiers and terms_on.best_rank = 1 and terms_on.worst_rank = terms_on.tiers
            then 'risk_criteria.csv' else 'risk_tier_terms.csv' end as file,
        terms_on.policy,
        'tiers on ' || cast(terms_on.day as varchar) as subject,
        case
            when terms_on.tiers = 0 then 'there are none: give the pack tiers that are valid that day'
            when terms_on.ranks <> terms_on.tiers then 'two tiers have one rank: give each its own tier_rank'
            when terms_on.best_rank <> 1 or terms_on.worst_rank <> terms_on.tiers then 'ranks are not 1, 2, 3 and so on: number them without a gap'
            when not exists (
                select 1 from criteria_on
                where
                    criteria_on.policy = terms_on.policy
                    and criteria_on.day = terms_on.day
                    and criteria_on.tier_rank = 1
                    and criteria_on.effect = 'requires'
                    and criteria_on.factor in ('bureau_score', 'bureau_dbt')
            ) then 'the best tier asks for no outside evidence: let it require bureau_score or bureau_dbt'
        end as fault
    from terms_on
    union all
    select
        'risk_weights.csv' as file,
        policy,
        'weights on ' || cast(day as varchar) as subject,
        case
            when weight is null then 'there are none: give the pack weights that add up to 100'
            when weight <> 100 then 'do not add up to 100: they come to ' || {{ for_people('weight', "'number'") }}
        end as fault
    from weights_on
    union all
    select
        'risk_criteria.csv' as file,
        criteria_on.policy,
        'tier ' || criteria_on.tier || ' on ' || cast(criteria_on.day as varchar) as subject,
        case
            when criteria_on.tier_rank is null then 'has criteria and no terms: give the tier a row in risk_tier_terms.csv, or take its criteria out'
            when criteria_on.effect = 'requires' and criteria_on.tier_rank = terms_on.worst_rank
                then 'is the worst tier and has requirements: somebody would be in no tier, take them out'
        end as fault
    from criteria_on
    inner join terms_on
        on criteria_on.policy = terms_on.policy
        and criteria_on.day = terms_on.day
    union all
    select
        'risk_criteria.csv' as file,
        terms_on.policy,
        'tier ' || terms.tier || ' on ' || cast(terms_on.day as varchar) as subject,
        'has no criteria: say what the tier requires, or what forces a customer down to it' as fault
    from terms_on
    inner join terms
        on terms_on.policy = terms.policy
        and terms.tier_rank < terms_on.worst_rank
        and terms.valid_from <= terms_on.day
        and (terms.valid_to is null or terms.valid_to >= terms_on.day)
    left join criteria_on
        on terms_on.policy = criteria_on.policy
        and terms_on.day = criteria_on.day
        and terms.tier = criteria_on.tier
    where criteria_on.tier is null
),

word_faults as (
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
),

step_faults as (
    select
        'dunning_steps.csv' as file,
        steps.policy,
        'tier ' || steps.tier || ' step ' || steps.step as subject,
        case
            when count(required.step) = 0 then 'requires a step that the pack does not have: ' || steps.requires_step
            else 'requires a step that is no softer than itself: ' || steps.requires_step
        end as fault
    from steps
    left join steps as required
        on steps.requires_step = required.step
        and steps.policy = required.policy
        and (steps.tier = '*' or required.tier in ('*', steps.tier))
    where steps.requires_step is not null
    group by steps.policy, steps.tier, steps.step, steps.severity, steps.requires_step
    having coalesce(min(required.severity), steps.severity) >= steps.severity
    union all
    select
        'dunning_steps.csv' as file,
        steps.policy,
        'tier ' || steps.tier || ' step ' || steps.step as subject,
        'is for a tier that the pack does not have: * is any' as fault
    from steps
    left join terms
        on steps.policy = terms.policy
        and steps.tier = terms.tier
    where steps.tier <> '*' and terms.tier is null
),

faults as (
    select file, policy, subject, fault from gap_faults
    union
    select file, policy, subject, fault from day_faults
    union
    select file, policy, subject, fault from word_faults
    union
    select file, policy, subject, fault from step_faults
)

select
    file,
    policy,
    subject,
    fault
from faults
where fault is not null
