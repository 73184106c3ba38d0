{#-
    The one way to read a parameter of a policy table, as a scalar subquery: {{ policy_value('aging_policy', 'history_months') }}. What is
    not there, is there twice or has no value of its type ends the model that asks for it, by name: a null would make a rule silently untrue.
-#}
{% macro policy_value(seed, parameter, data_type='integer') -%}
    {{ policy_asked(seed, parameter) }}(
        select
            case
                when count(*) = 1 and try_cast(max(value) as {{ data_type }}) is not null then cast(max(value) as {{ data_type }})
                else {{ refused(
                    seed ~ ".csv: " ~ parameter ~ " must stand there once, with a " ~ ("text" if data_type == "string" else "number") ~ ", for the pack " ~ var("policy")
                    ~ " or for every pack (*) on " ~ as_of_text()
                ) }}
            end
        from {{ policy_rows(seed) }} as policy_value
        where parameter = '{{ parameter }}'
    )
{%- endmacro %}

{#- The name of a row of a policy table as a text, where a model means that row and no other: {{ policy_name('held_reasons', 'insolvent') }}. -#}
{% macro policy_name(seed, name) -%}
    {{ policy_asked(seed, name) }}'{{ name }}'
{%- endmacro %}

{#- Writes into the manifest what a model asks for by name, so that the night can see that it is there before anything is built. -#}
{% macro policy_asked(seed, name) -%}
    {{ config(meta={'policy/' ~ seed ~ '/' ~ name: true}) }}
{%- endmacro %}
