with signals as (
    select * from {{ ref('int_risk_signals') }}
),

weights as (
    select * from {{ ref('risk_weights') }}
    where policy = '{{ var("policy") }}'
),

weighed as (
    select
        signals.customer_id,
        signals.snapshot_date,
        weights.weight,
        weights.best_at,
        weights.worst_at,
        weights.negative_is_worst,
        case weights.factor
            {%- for factor in risk_factors() if factor.kind == 'number' %}
            when '{{ factor.name }}' then cast(signals.{{ factor.name }} as decimal(18, 4))
            {%- endfor %}
        end as value,
        case weights.factor
            {%- for factor in risk_factors() if factor.weight %}
            when '{{ factor.name }}' then signals.{{ factor.weight }}
            {%- endfor %}
            else 1
        end as age_weight
    from signals
    inner join weights
        on weights.valid_from <= signals.snapshot_date
        and (weights.valid_to is null or weights.valid_to >= signals.snapshot_date)
),

-- Between its two break points a value is worse by as much as it lies further from the good one; outside them it is best or worst.
normalised as (
    select
        customer_id,
        snapshot_date,
        weight,
        cast(case when value is not null then weight * age_weight else 0 end as decimal(18, 8)) as counted_weight,
        case
            when value is null then cast(0 as decimal(18, 4))
            when negative_is_worst and value < 0 then cast(100 as decimal(18, 4))
            else least(greatest({{ ratio('100 * (value - best_at)', 'worst_at - best_at') }}, 0), 100)
        end as badness
    from weighed
),

scores as (
    select
        customer_id,
        snapshot_date,
        {{ ratio('sum(counted_weight * badness)', 'sum(counted_weight)') }} as risk_score,
        {{ ratio('sum(counted_weight)', 'sum(weight)') }} as evidence
    from normalised
    group by customer_id, snapshot_date
)

select
    scores.customer_id,
    scores.snapshot_date,
    scores.risk_score,
    scores.evidence,
    case
        when
            signals.strategic_value >= {{ policy_value('risk_policy', 'tie_break_strategic_value', 'decimal(18, 4)') }}
            or signals.relationship_years >= {{ policy_value('risk_policy', 'tie_break_long_years', 'decimal(18, 4)') }}
            then -{{ policy_value('risk_policy', 'tie_break_points', 'decimal(18, 4)') }}
        when signals.relationship_years < {{ policy_value('risk_policy', 'tie_break_short_years', 'decimal(18, 4)') }}
            then {{ policy_value('risk_policy', 'tie_break_points', 'decimal(18, 4)') }}
        else 0
    end as tie_break
from scores
inner join signals
    on scores.customer_id = signals.customer_id
    and scores.snapshot_date = signals.snapshot_date
