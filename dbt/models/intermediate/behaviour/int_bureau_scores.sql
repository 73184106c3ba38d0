with scores as (
    select * from {{ ref('stg_bureau__credit_scores') }}
    where scored_on <= {{ as_of() }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

scales as (
    select * from {{ policy_rows('bureau_scales') }} as bureau_scales
),

classes as (
    select * from {{ policy_rows('bureau_classes') }} as bureau_classes
),

statuses as (
    select * from {{ policy_rows('bureau_statuses') }} as bureau_statuses
),

-- A registration number is one legal entity; each of its accounts gets what the bureau says of it.
matched as (
    select
        scores.*,
        customers.customer_id as matched_customer_id,
        case when scores.customer_id is not null then 'customer_id' else 'registration_number' end as matched_by
    from scores
    inner join customers on scores.customer_id = customers.customer_id
    where scores.customer_id is not null
    union all
    select
        scores.*,
        customers.customer_id as matched_customer_id,
        'registration_number' as matched_by
    from scores
    inner join customers
        on upper(trim(scores.registration_number)) = upper(trim(customers.registration_number))
    where scores.customer_id is null
),

believed as (
    select * from matched
    where match_confidence is null or match_confidence >= {{ policy_value('risk_policy', 'match_confidence_min') }}
),

latest as (
    select *
    from {{ first_of(
        'believed',
        "matched_customer_id, bureau, score_code, coalesce(model_code, ''), scored_on",
        'fetched_at desc nulls last, matched_by, known_at desc, raw_score'
    ) }} as versions
),

scaled as (
    select
        latest.*,
        upper(trim(latest.raw_score)) as raw_text,
        coalesce(exact_scale.raw_min, any_scale.raw_min) as raw_min,
        coalesce(exact_scale.raw_max, any_scale.raw_max) as raw_max,
        coalesce(exact_scale.direction, any_scale.direction) as direction,
        coalesce(exact_scale.sentinels, any_scale.sentinels) as sentinels,
        coalesce(exact_scale.usable, any_scale.usable) as usable
    from latest
    left join scales as exact_scale
        on lower(latest.bureau) = exact_scale.bureau
        and lower(latest.score_code) = exact_scale.score_code
        and lower(latest.model_code) = exact_scale.model_code
    left join scales as any_scale
        on lower(latest.bureau) = any_scale.bureau
        and lower(latest.score_code) = any_scale.score_code
        and any_scale.model_code = '*'
),

-- A class written instead of a score counts as the lowest of the raw scores that go with it.
numbered as (
    select
        scaled.*,
        coalesce(try_cast(scaled.raw_text as decimal(18, 6)), classes.raw_from) as raw_number
    from scaled
    left join classes
        on lower(scaled.bureau) = classes.bureau
        and lower(scaled.score_code) = classes.score_code
        and (classes.model_code = '*' or lower(scaled.model_code) = classes.model_code)
        and scaled.raw_text like classes.written
),

-- What the bureau's own class says of the score beside it: a score whose scale turned over without a word is far from its class.
classed as (
    select
        numbered.*,
        stated.class_rank as stated_rank,
        banded.class_rank as banded_rank
    from numbered
    left join classes as stated
        on lower(numbered.bureau) = stated.bureau
        and lower(numbered.score_code) = stated.score_code
        and (stated.model_code = '*' or lower(numbered.model_code) = stated.model_code)
        and upper(trim(numbered.risk_class)) = stated.written
    left join classes as banded
        on lower(numbered.bureau) = banded.bureau
        and lower(numbered.score_code) = banded.score_code
        and (banded.model_code = '*' or lower(numbered.model_code) = banded.model_code)
        and floor(numbered.raw_number) between banded.raw_from and banded.raw_to
),

-- A sentinel ("UN", 0) is an answer in words; it never becomes a number.
read_out as (
    select
        classed.*,
        case
            when usable is null then 'unmapped'
            when not usable then 'not_counted'
            when raw_text is null or raw_text = '' then 'blank'
            when position('|' || raw_text || '|' in '|' || upper(coalesce(sentinels, '')) || '|') > 0 then 'sentinel'
            when raw_number is null then 'unreadable'
            when raw_number not between raw_min and raw_max then 'out_of_range'
            when abs(stated_rank - banded_rank) > {{ policy_value('risk_policy', 'class_distance_max') }} then 'contradicts_class'
        end as unused_reason
    from classed
),

normalised as (
    select
        read_out.*,
        case
            when unused_reason is not null then null
            when direction = 'high_good' then {{ ratio('100 * (raw_number - raw_min)', 'raw_max - raw_min') }}
            when direction = 'low_good' then {{ ratio('100 * (raw_max - raw_number)', 'raw_max - raw_min') }}
        end as score,
        coalesce(unused_reason, '') not in ('unmapped', 'not_counted', 'contradicts_class') as speaks,
        dbt is not null
        or industry_dbt is not null
        or current_ratio is not null
        or quick_ratio is not null
        or debt_to_equity is not null
        or status is not null as has_facts
    from read_out
)

select
    normalised.matched_customer_id as customer_id,
    normalised.bureau,
    normalised.score_code,
    normalised.model_code,
    normalised.scored_on,
    normalised.matched_by,
    normalised.match_confidence,
    normalised.raw_score,
    normalised.score,
    normalised.unused_reason,
    normalised.risk_class,
    normalised.speaks,
    -- The newest answer of a bureau and code holds until it gives another, a sentinel included.
    case when normalised.speaks then
        lead(normalised.scored_on) over (
            partition by normalised.matched_customer_id, normalised.bureau, normalised.score_code, normalised.speaks
            order by normalised.scored_on, coalesce(normalised.model_code, '')
        )
    end as score_until,
    normalised.has_facts,
    normalised.dbt as bureau_dbt,
    normalised.industry_dbt,
    normalised.current_ratio,
    normalised.quick_ratio,
    normalised.debt_to_equity,
    case when normalised.status is not null then coalesce(statuses.canonical, 'unknown') end as status,
    coalesce(statuses.severity, 1) as status_severity,
    case when normalised.has_facts then
        lead(normalised.scored_on) over (
            partition by normalised.matched_customer_id, normalised.bureau, normalised.has_facts
            order by normalised.scored_on, normalised.score_code nulls last, coalesce(normalised.model_code, '')
        )
    end as facts_until,
    normalised.recommended_limit,
    normalised.currency
from normalised
left join statuses on lower(trim(normalised.status)) = statuses.status
