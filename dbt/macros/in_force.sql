{#- Which rows of a policy seed count this morning: those of the selected pack, or of every pack (`*`), valid on the date.
    Both ends of a row's validity are inclusive; an empty end is open. -#}
{% macro in_force(alias='') -%}
    {%- set prefix = alias ~ '.' if alias else '' -%}
    {{ prefix }}policy in ('*', '{{ var("policy") }}')
        and {{ prefix }}valid_from <= {{ as_of() }}
        and ({{ prefix }}valid_to is null or {{ prefix }}valid_to >= {{ as_of() }})
{%- endmacro %}
