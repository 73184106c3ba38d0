{{ config(materialized='view') }}

{%- set factors = risk_factors() -%}
with signals as (
    select * from {{ ref('int_risk_signals') }}
),

scores as (
    select * from {{ ref('int_risk_scores') }}
    where policy = '{{ var("policy") }}'
),

names as (
    {%- for factor in factors %}
    select '{{ factor.name }}' as factor union all
    {%- endfor %}
    select 'risk_score' as factor union all
    select 'evidence' as factor
),

factors as (
    select
        signals.snapshot_date,
        signals.is_as_of,
        signals.customer_id,
        names.factor,
        case names.factor
            {%- for factor in factors if factor.kind == 'number' %}
            when '{{ factor.name }}' then cast(signals.{{ factor.name }} as decimal(18, 4))
            {%- endfor %}
            when 'risk_score' then scores.risk_score
            when 'evidence' then scores.evidence
        end as value_number,
        case names.factor
            {%- for factor in factors if factor.kind == 'text' %}
            when '{{ factor.name }}' then signals.{{ factor.name }}
            {%- endfor %}
        end as value_text,
        case names.factor
            {%- for factor in factors if factor.source != "'ledger'" %}
            when '{{ factor.name }}' then signals.{{ factor.source }}
            {%- endfor %}
            when 'risk_score' then 'policy'
            when 'evidence' then 'policy'
            else 'ledger'
        end as source,
        case when names.factor = 'risk_score' then scores.tie_break else 0 end as tie_break
    from signals
    left join scores
        on signals.customer_id = scores.customer_id
        and signals.snapshot_date = scores.snapshot_date
    cross join names
)

select
    snapshot_date,
    is_as_of,
    customer_id,
    factor,
    value_number,
    value_text,
    source,
    tie_break
from factors
