{#- A whole number for each row, narrower to join by than its id: above zero, below a million million, and nothing to order by. Engines that spread
    their rows number them within parts that ids fall into, so that no machine has to see all of them. -#}
{% macro row_key(id) -%}
    {{ return(adapter.dispatch('row_key')(id)) }}
{%- endmacro %}

{% macro default__row_key(id) -%}
    row_number() over ()
{%- endmacro %}

{% macro spark__row_key(id) -%}
    {%- set part = 'pmod(hash(' ~ id ~ '), 256)' -%}
    (row_number() over (partition by {{ part }} order by {{ id }}) * cast(256 as bigint) + {{ part }})
{%- endmacro %}
