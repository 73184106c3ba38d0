{%- set weighable = risk_factors() | selectattr('kind', 'equalto', 'number') | list -%}
{%- set weights, products = [], [] -%}
{%- for factor in weighable -%}
    {%- do weights.append(factor.name ~ '_weight') -%}
    {%- do products.append(factor.name ~ '_weight * ' ~ factor.name ~ '_badness') -%}
{%- endfor -%}
with signals as (
    select * from {{ ref('int_risk_signals') }}
),

weights as (
    select * from {{ policy_history('risk_weights', every_pack=true) }} as risk_weights
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

risk_policy as (
    select *
    from {{ policy_values(
        'risk_policy', tie_break_points='decimal(18, 4)', tie_break_strategic_value='decimal(18, 4)',
        tie_break_long_years='decimal(18, 4)', tie_break_short_years='decimal(18, 4)'
    ) }} as risk_policy
),

-- The selected pack is held against every snapshot date, the others against this morning's book only. A pack's weights stand side by
-- side in one row, so that a score is one expression over a customer's row instead of a sum over as many rows as there are weights.
packs as (
    select
        weights.policy,
        snapshot_dates.snapshot_date,
        sum(weights.weight) as weight
        {%- for factor in weighable %},
        max(case when weights.factor = '{{ factor.name }}' then weights.weight end) as {{ factor.name }}_weight,
        max(case when weights.factor = '{{ factor.name }}' then weights.best_at end) as {{ factor.name }}_best_at,
        max(case when weights.factor = '{{ factor.name }}' then weights.worst_at end) as {{ factor.name }}_worst_at,
        max(case when weights.factor = '{{ factor.name }}' and weights.negative_is_worst then 1 else 0 end) as {{ factor.name }}_negative_is_worst
        {%- endfor %}
    from weights
    inner join snapshot_dates
        on {{ valid_on('snapshot_dates.snapshot_date', 'weights') }}
        and (weights.policy = '{{ var("policy") }}' or snapshot_dates.is_as_of)
    group by weights.policy, snapshot_dates.snapshot_date
),

-- Between its two break points a value is worse by as much as it lies further from the good one; outside them it is best or worst. Old
-- bureau evidence counts for less than its weight.
weighed as (
    select
        packs.policy,
        signals.customer_id,
        signals.snapshot_date,
        signals.strategic_value,
        signals.relationship_years,
        packs.weight
        {%- for factor in weighable %}
        {%- set value = 'cast(signals.' ~ factor.name ~ ' as decimal(18, 4))' %}
        {%- set pack = 'packs.' ~ factor.name %},
        case
            when {{ pack }}_weight is null or signals.{{ factor.name }} is null then 0
            else cast({{ pack }}_weight{{ ' * coalesce(signals.' ~ factor.weight ~ ', 0)' if factor.weight }} as decimal(18, 8))
        end as {{ factor.name }}_weight,
        cast(case
            when {{ pack }}_weight is null or signals.{{ factor.name }} is null then 0
            when {{ pack }}_negative_is_worst = 1 and {{ value }} < 0 then 100
            else cast(cast(least(greatest(
                cast(100 * ({{ value }} - {{ pack }}_best_at) as double) / nullif(cast({{ pack }}_worst_at - {{ pack }}_best_at as double), 0), 0
            ), 100) as decimal(18, 10)) as decimal(7, 4))
        end as decimal(7, 4)) as {{ factor.name }}_badness
        {%- endfor %}
    from signals
    inner join packs on signals.snapshot_date = packs.snapshot_date
),

summed as (
    select
        policy,
        customer_id,
        snapshot_date,
        strategic_value,
        relationship_years,
        weight,
        {{ sum_of(weights) }} as counted_weight,
        {{ sum_of(products) }} as counted_badness
    from weighed
)

select
    policy,
    customer_id,
    snapshot_date,
    {{ ratio('counted_badness', 'counted_weight') }} as risk_score,
    {{ ratio('counted_weight', 'weight') }} as evidence,
    case
        when
            strategic_value >= risk_policy.tie_break_strategic_value
            or relationship_years >= risk_policy.tie_break_long_years
            then -risk_policy.tie_break_points
        when relationship_years < risk_policy.tie_break_short_years
            then risk_policy.tie_break_points
        else 0
    end as tie_break
from summed
cross join risk_policy
