{#- How much of its weight bureau evidence of that age keeps: all of it at first, then less by the day, at last none. -#}
{% macro bureau_weight(age_days) -%}
    {%- set full_until = policy_value('risk_policy', 'bureau_full_weight_days') -%}
    {%- set none_from = policy_value('risk_policy', 'bureau_no_weight_days') -%}
    cast(
        case
            when {{ age_days }} is null or {{ age_days }} >= {{ none_from }} then 0
            when {{ age_days }} <= {{ full_until }} then 1
            else cast({{ none_from }} - {{ age_days }} as double) / ({{ none_from }} - {{ full_until }})
        end as decimal(18, 4)
    )
{%- endmacro %}
