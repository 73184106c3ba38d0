{#- One number of a policy seed of (parameter, value) rows, as a scalar subquery: {{ policy_value('aging_policy', 'x') }}. -#}
{% macro policy_value(seed, parameter, data_type='integer') -%}
    (select cast(value as {{ data_type }}) from {{ ref(seed) }} where parameter = '{{ parameter }}')
{%- endmacro %}
