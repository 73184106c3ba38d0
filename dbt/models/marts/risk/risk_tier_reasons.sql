with factors as (
    select * from {{ ref('int_risk_factors') }}
    where is_as_of
),

verdicts as (
    select * from {{ ref('int_risk_verdicts') }}
    where policy = '{{ var("policy") }}' and snapshot_date = {{ as_of() }}
),

criteria as (
    select
        *,
        try_cast(threshold as decimal(18, 4)) as threshold_number
    from {{ policy_rows('risk_criteria') }} as risk_criteria
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

judged as (
    select
        factors.customer_id,
        factors.factor,
        factors.value_number,
        factors.value_text,
        factors.source,
        factors.tie_break,
        criteria.tier,
        tier_terms.tier_rank,
        criteria.operator,
        criteria.threshold,
        criteria.threshold_number,
        criteria.effect,
        criteria.unit,
        criteria.sentence,
        criteria.sentence_missing,
        factors.value_number is not null or factors.value_text is not null as is_known,
        case criteria.effect
            when 'requires' then {{ criterion_holds('criteria', 'factors.value_number + factors.tie_break', 'factors.value_text') }}
            when 'forces' then not {{ criterion_holds('criteria', 'factors.value_number + factors.tie_break', 'factors.value_text') }}
        end as passed,
        -- The tier a customer would have to reach next, and whether this criterion stands before it.
        case criteria.effect
            when 'requires' then tier_terms.tier_rank = verdicts.tier_rank - 1
            when 'forces' then tier_terms.tier_rank >= verdicts.tier_rank
        end as concerns_next_tier
    from factors
    inner join criteria on factors.factor = criteria.factor
    inner join tier_terms on criteria.tier = tier_terms.tier
    inner join verdicts on factors.customer_id = verdicts.customer_id
)

select
    cast(customer_id as string) as customer_id,
    cast(tier as string) as tier,
    cast(factor as string) as factor,
    cast(operator as string) as operator,
    cast(threshold as string) as threshold,
    cast(coalesce({{ for_people('value_number', 'unit') }}, value_text) as string) as value,
    cast(value_number as decimal(18, 4)) as value_number,
    cast(source as string) as source,
    cast(passed as boolean) as passed,
    cast(effect as string) as effect,
    cast(not passed and concerns_next_tier as boolean) as on_the_way_up,
    cast(case when not passed then abs(value_number + tie_break - threshold_number) end as decimal(18, 4)) as distance,
    cast(
        replace(
            replace(
                case when is_known then sentence else sentence_missing end,
                '{value}',
                coalesce({{ for_people('value_number', 'unit') }}, replace(value_text, '_', ' '), '')
            ),
            '{threshold}',
            coalesce({{ for_people('threshold_number', 'unit') }}, replace(replace(threshold, '|', ' or '), '_', ' '))
        )
        || case
            when value_number is null or abs(value_number - threshold_number) > abs(tie_break) then ''
            when tie_break < 0 then ', ' || {{ for_people('-tie_break', "'number'") }} || ' more in a long or strategic relationship'
            when tie_break > 0 then ', ' || {{ for_people('tie_break', "'number'") }} || ' less in a new relationship'
            else ''
        end
        as string
    ) as reason
from judged
