{#- Which rows of a policy table count this morning: those of the selected pack, or of every pack (`*`), valid on the date. -#}
{% macro in_force(alias='') -%}
    {{ alias ~ '.' if alias else '' }}policy in ('*', '{{ var("policy") }}') and {{ valid_on(as_of(), alias) }}
{%- endmacro %}

{#- Whether a policy row is valid on a day. Both ends of its validity are inclusive; an empty end is open. -#}
{% macro valid_on(day, alias='') -%}
    {%- set prefix = alias ~ '.' if alias else '' -%}
    {{ prefix }}valid_from <= {{ day }} and ({{ prefix }}valid_to is null or {{ prefix }}valid_to >= {{ day }})
{%- endmacro %}
