{#-
    How a part of a model is built that nothing else reads: within it. Spark would plan and run what stands within a statement once for every
    mention of it, so that there it is a table.
-#}
{% macro part() %}
    {{- return(adapter.dispatch('part')()) -}}
{% endmacro %}

{% macro default__part() %}
    {{- return('ephemeral') -}}
{% endmacro %}

{% macro spark__part() %}
    {{- return('table') -}}
{% endmacro %}
