{#- How much of its weight bureau evidence of that age keeps: all of it at first, then less by the day, at last none. `policy` has both ages. -#}
{% macro bureau_weight(age_days, policy) -%}
    case
        when {{ age_days }} is null or {{ age_days }} >= {{ policy }}.bureau_no_weight_days then cast(0 as decimal(18, 4))
        when {{ age_days }} <= {{ policy }}.bureau_full_weight_days then cast(1 as decimal(18, 4))
        else {{ ratio(
            policy ~ '.bureau_no_weight_days - ' ~ age_days, policy ~ '.bureau_no_weight_days - ' ~ policy ~ '.bureau_full_weight_days'
        ) }}
    end
{%- endmacro %}
