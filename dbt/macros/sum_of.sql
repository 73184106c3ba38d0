{#- A sum of many numbers, added by halves: with each addition a decimal grows by a digit, and what has grown past 38 loses digits on some engines. -#}
{% macro sum_of(terms) -%}
    {%- set half = terms | length // 2 -%}
    {%- if half -%}({{ sum_of(terms[:half]) }} + {{ sum_of(terms[half:]) }}){%- else -%}{{ terms[0] }}{%- endif -%}
{%- endmacro %}
