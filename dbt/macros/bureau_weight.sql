{#- How much of its weight bureau evidence of that age keeps: all of it at first, then less by the day, at last none. -#}
{% macro bureau_weight(age_days) -%}
    cast(
        greatest(
            least(
                cast({{ policy_value('risk_policy', 'bureau_no_weight_days') }} - {{ age_days }} as double)
                / ({{ policy_value('risk_policy', 'bureau_no_weight_days') }} - {{ policy_value('risk_policy', 'bureau_full_weight_days') }}),
                case when {{ age_days }} is not null then 1 end
            ),
            0
        ) as decimal(18, 4)
    )
{%- endmacro %}
