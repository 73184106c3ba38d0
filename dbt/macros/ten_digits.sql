{#- The digits 0 to 9, a row each: crossed with themselves they count, on any engine. -#}
{% macro ten_digits() -%}
    {%- for digit in range(10) -%}
    select {{ digit }} as digit{% if not loop.last %} union all {% endif %}
    {%- endfor -%}
{%- endmacro %}
