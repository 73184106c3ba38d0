{%- set parameters = {
    'behaviour_policy': [
        'trend_min_months', 'trend_slope_days', 'trend_change_days', 'trend_erratic_days', 'one_off_on_time_share', 'chronic_late_share',
        'new_paid_invoices', 'new_account_days', 'hidden_stress_own_days', 'hidden_stress_bureau_days', 'hidden_stress_bureau_rise_days'
    ],
    'risk_policy': [
        'bureau_full_weight_days', 'bureau_no_weight_days', 'match_confidence_min', 'tie_break_points', 'tie_break_long_years',
        'tie_break_short_years', 'tie_break_strategic_value'
    ],
} -%}
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

known_factors as (
    {%- for factor in risk_factors() %}
    select '{{ factor.name }}' as factor, '{{ factor.kind }}' as kind union all
    {%- endfor %}
    select 'risk_score' as factor, 'number' as kind union all
    select 'evidence' as factor, 'number' as kind
),

pack_rows as (
    select policy, 'terms of tier ' || tier as subject, valid_from, valid_to from terms
    union all
    select policy, 'weight of ' || factor as subject, valid_from, valid_to from weights
    union all
    select policy, tier || ' ' || effect || ' ' || factor || ' ' || operator as subject, valid_from, valid_to from criteria
),

followed as (
    select
        pack_rows.*,
        lead(valid_from) over (partition by policy, subject order by valid_from, valid_to) as next_from
    from pack_rows
),

span_faults as (
    select
        policy,
        subject,
        case
            when valid_from is null then 'has no first day'
            when valid_to < valid_from then 'ends before it begins'
            when next_from is not null and (valid_to is null or valid_to >= next_from) then 'two rows are valid on one day'
            when next_from > {{ dbt.dateadd('day', 1, 'valid_to') }} then 'no row is valid for some days'
        end as fault
    from followed
),

-- Every row's first day, and every day the book is looked back at, is a day on which its pack must be whole.
pack_days as (
    select policy, valid_from as day from pack_rows
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
        terms_on.policy,
        'tiers on ' || cast(terms_on.day as varchar) as subject,
        case
            when terms_on.tiers = 0 then 'there are none'
            when terms_on.ranks <> terms_on.tiers then 'two tiers have one rank'
            when terms_on.best_rank <> 1 or terms_on.worst_rank <> terms_on.tiers then 'ranks are not 1, 2, 3 and so on'
            when not exists (
                select 1 from criteria_on
                where
                    criteria_on.policy = terms_on.policy
                    and criteria_on.day = terms_on.day
                    and criteria_on.tier_rank = 1
                    and criteria_on.effect = 'requires'
                    and criteria_on.factor in ('bureau_score', 'bureau_dbt')
            ) then 'the best tier asks for no outside evidence'
        end as fault
    from terms_on
    union all
    select
        policy,
        'weights on ' || cast(day as varchar) as subject,
        case when weight is null or weight <> 100 then 'do not add up to 100' end as fault
    from weights_on
    union all
    select
        criteria_on.policy,
        'tier ' || criteria_on.tier || ' on ' || cast(criteria_on.day as varchar) as subject,
        case
            when criteria_on.tier_rank is null then 'has criteria and no terms'
            when criteria_on.effect = 'requires' and criteria_on.tier_rank = terms_on.worst_rank then 'is the worst tier and has requirements'
        end as fault
    from criteria_on
    inner join terms_on
        on criteria_on.policy = terms_on.policy
        and criteria_on.day = terms_on.day
),

word_faults as (
    select
        criteria.policy,
        criteria.tier || ' ' || criteria.effect || ' ' || criteria.factor as subject,
        case
            when known_factors.factor is null then 'unknown factor'
            when criteria.effect not in ('requires', 'forces') then 'unknown effect'
            when criteria.operator not in ('<=', '<', '>=', '>', 'in', 'not_in') then 'unknown operator'
            when (criteria.operator in ('in', 'not_in')) <> (known_factors.kind = 'text') then 'the operator does not fit the factor'
            when known_factors.kind = 'number' and try_cast(criteria.threshold as decimal(18, 4)) is null then 'the threshold is no number'
        end as fault
    from criteria
    left join known_factors on criteria.factor = known_factors.factor
    union all
    select
        weights.policy,
        'weight of ' || weights.factor as subject,
        case
            when known_factors.factor is null then 'unknown factor'
            when known_factors.kind <> 'number' or weights.factor in ('risk_score', 'evidence') then 'the factor cannot be weighed'
            when weights.weight <= 0 then 'a weight must be above 0'
            when weights.best_at = weights.worst_at then 'the two break points are one'
        end as fault
    from weights
    left join known_factors on weights.factor = known_factors.factor
),

-- A parameter that is missing, or is there twice, would make a rule silently untrue.
parameter_rows as (
    {%- for seed in parameters %}
    select '{{ seed }}' as seed, parameter, value from {{ ref(seed) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

needed_parameters as (
    {%- for seed, names in parameters.items() %}
    {%- set last_seed = loop.last %}
    {%- for name in names %}
    select '{{ seed }}' as seed, '{{ name }}' as parameter
    {%- if not (loop.last and last_seed) %} union all{% endif %}
    {%- endfor %}
    {%- endfor %}
),

parameter_faults as (
    select
        '*' as policy,
        needed_parameters.seed || ' ' || needed_parameters.parameter as subject,
        case when count(parameter_rows.value) <> 1 then 'must have one value' end as fault
    from needed_parameters
    left join parameter_rows
        on needed_parameters.seed = parameter_rows.seed
        and needed_parameters.parameter = parameter_rows.parameter
    group by needed_parameters.seed, needed_parameters.parameter
),

faults as (
    select policy, subject, fault from span_faults
    union
    select policy, subject, fault from parameter_faults
    union
    select policy, subject, fault from day_faults
    union
    select policy, subject, fault from word_faults
)

select
    policy,
    subject,
    fault
from faults
where fault is not null
