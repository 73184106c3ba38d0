{#- dbt's own for Spark leaves out the order, without which the same rows say something else tomorrow; Spark has the standard's since 4.0. -#}
{% macro spark__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
    listagg({{ measure }}, {{ delimiter_text }}){% if order_by_clause %} within group ({{ order_by_clause }}){% endif %}
{%- endmacro %}
