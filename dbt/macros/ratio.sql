{#- One number over another, rounded once to 4 places; null where there is nothing to divide by. -#}
{% macro ratio(numerator, denominator) -%}
    {{ rounded_once('cast(' ~ numerator ~ ' as double) / nullif(cast(' ~ denominator ~ ' as double), 0)') }}
{%- endmacro %}
