{#- Whether a span of days (valid_from to the day before valid_to, without an end while it lasts) has a day: rates and balances are kept so. Of
    policy, whose last day counts, valid_on asks. -#}
{% macro spans(day, alias='') -%}
    {%- set prefix = alias ~ '.' if alias else '' -%}
    {{ prefix }}valid_from <= {{ day }} and ({{ prefix }}valid_to is null or {{ prefix }}valid_to > {{ day }})
{%- endmacro %}
