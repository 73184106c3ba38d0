{#- An expression that ends the statement with these words when it is come to, whatever the engine. -#}
{% macro refused(words) -%}
    {{ adapter.dispatch('refused')(words) }}
{%- endmacro %}

{% macro default__refused(words) -%}
    error('{{ words }}')
{%- endmacro %}

{% macro spark__refused(words) -%}
    raise_error('{{ words }}')
{%- endmacro %}
