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

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

-- Every day on which a row begins or another has ended, and every day the book is looked back at, is a day on which its pack must be
-- whole; a pack that has ended altogether is no longer one.
risk_rows as (
    select policy, valid_from, valid_to
    from {{ ref('int_pack_rows') }}
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
        and {{ valid_on('pack_days.day', 'terms') }}
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
        and {{ valid_on('pack_days.day', 'weights') }}
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
        and {{ valid_on('pack_days.day', 'criteria') }}
    left join terms
        on criteria.policy = terms.policy
        and criteria.tier = terms.tier
        and {{ valid_on('pack_days.day', 'terms') }}
)

select
    case when terms_on.tiers > 0 and terms_on.ranks = terms_on.tiers and terms_on.best_rank = 1 and terms_on.worst_rank = terms_on.tiers
        then 'risk_criteria.csv' else 'risk_tier_terms.csv' end as file,
    terms_on.policy,
    'tiers on ' || cast(terms_on.day as string) as subject,
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

union

select
    'risk_weights.csv' as file,
    policy,
    'weights on ' || cast(day as string) as subject,
    case
        when weight is null then 'there are none: give the pack weights that add up to 100'
        when weight <> 100 then 'do not add up to 100: they come to ' || {{ for_people('weight', "'number'") }}
    end as fault
from weights_on

union

select
    'risk_criteria.csv' as file,
    criteria_on.policy,
    'tier ' || criteria_on.tier || ' on ' || cast(criteria_on.day as string) as subject,
    case
        when criteria_on.tier_rank is null then 'has criteria and no terms: give the tier a row in risk_tier_terms.csv, or take its criteria out'
        when criteria_on.effect = 'requires' and criteria_on.tier_rank = terms_on.worst_rank
            then 'is the worst tier and has requirements: somebody would be in no tier, take them out'
    end as fault
from criteria_on
inner join terms_on
    on criteria_on.policy = terms_on.policy
    and criteria_on.day = terms_on.day

union

select
    'risk_criteria.csv' as file,
    terms_on.policy,
    'tier ' || terms.tier || ' on ' || cast(terms_on.day as string) as subject,
    'has no criteria: say what the tier requires, or what forces a customer down to it' as fault
from terms_on
inner join terms
    on terms_on.policy = terms.policy
    and terms.tier_rank < terms_on.worst_rank
    and {{ valid_on('terms_on.day', 'terms') }}
left join criteria_on
    on terms_on.policy = criteria_on.policy
    and terms_on.day = criteria_on.day
    and terms.tier = criteria_on.tier
where criteria_on.tier is null
