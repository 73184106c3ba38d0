{#- The one clock: the morning the run is for, as a date. -#}
{% macro as_of() -%}
    cast('{{ as_of_text() }}' as date)
{%- endmacro %}

{#- The same, as it is said in words. -#}
{% macro as_of_text() -%}
    {{ var("as_of") }}
{%- endmacro %}
