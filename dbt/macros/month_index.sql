{#- Months counted from year 0, so that a window of months is a range of whole numbers. -#}
{% macro month_index(day) -%}
    cast(extract(year from {{ day }}) * 12 + extract(month from {{ day }}) as integer)
{%- endmacro %}
