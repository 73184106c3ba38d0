{#- How much of its weight bureau evidence of that age keeps: all of it at first, then less by the day, at last none. -#}
{% macro bureau_weight(age_days) -%}
    {%- set full_until = policy_value('risk_policy', 'bureau_full_weight_days') -%}
    {%- set none_from = policy_value('risk_policy', 'bureau_no_weight_days') -%}
    case
        when {{ age_days }} is null or {{ age_days }} >= {{ none_from }} then cast(0 as decimal(18, 4))
        when {{ age_days }} <= {{ full_until }} then cast(1 as decimal(18, 4))
        else {{ ratio(none_from ~ ' - ' ~ age_days, none_from ~ ' - ' ~ full_until) }}
    end
{%- endmacro %}
