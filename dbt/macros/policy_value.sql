{#-
    The one way to read a parameter of a policy table, as a scalar subquery: {{ policy_value('aging_policy', 'history_months') }}. What is
    not there, is there twice or has no value of its type ends the model that asks for it, by name: a null would make a rule silently untrue.
-#}
{% macro policy_value(seed, parameter, data_type='integer') -%}
    {{ policy_asked(seed, parameter) }}(
        select coalesce(try_cast({{ value_that_counts() }} as {{ data_type }}), {{ no_policy_value(seed, parameter, data_type) }})
        from {{ ref(seed).render() }} as policy_value
        where parameter = '{{ parameter }}' and {{ in_force() }}
    )
{%- endmacro %}

{#-
    Several parameters of a policy table as the columns of one row: whole numbers by their names, others with their types. A query is planned
    faster with one such row beside its rows than with a scalar subquery for each parameter, from the second on.

        policy as (
            select * from {{ policy_values('dunning_policy', 'contact_window_days', minimum_amount='decimal(18, 4)') }} as dunning_policy
        )
-#}
{% macro policy_values(seed) -%}
    {%- set types = dict.fromkeys(varargs, 'integer') -%}
    {%- do types.update(kwargs) -%}
    (
        select
            {%- for parameter, data_type in types.items() %}
            {{ policy_asked(seed, parameter) }}coalesce(
                max(case when parameter = '{{ parameter }}' then try_cast(value as {{ data_type }}) end),
                {{ no_policy_value(seed, parameter, data_type) }}
            ) as {{ parameter }}{{ ',' if not loop.last }}
            {%- endfor %}
        from (
            select
                parameter,
                {{ value_that_counts() }} as value
            from {{ ref(seed).render() }} as policy_value
            where {{ in_force() }}
            group by parameter
        ) as policy_value
    )
{%- endmacro %}

{#- Of the rows of one parameter in force, the value of the pack's one, or of the one for every pack: as policy_rows, without its window. -#}
{% macro value_that_counts() -%}
    case
        when count(*) filter (where policy <> '*') = 1 then max(value) filter (where policy <> '*')
        when count(*) = 1 then max(value)
    end
{%- endmacro %}

{% macro no_policy_value(seed, parameter, data_type) -%}
    {{ refused(
        seed ~ ".csv: " ~ parameter ~ " must stand there once, with a " ~ ("text" if data_type == "string" else "number") ~ ", for the pack " ~ var("policy")
        ~ " or for every pack (*) on " ~ as_of_text()
    ) }}
{%- endmacro %}

{#- The name of a row of a policy table as a text, where a model means that row and no other: {{ policy_name('held_reasons', 'insolvent') }}. -#}
{% macro policy_name(seed, name) -%}
    {{ policy_asked(seed, name) }}'{{ name }}'
{%- endmacro %}

{#- Writes into the manifest what a model asks for by name, so that the night can see that it is there before anything is built. -#}
{% macro policy_asked(seed, name) -%}
    {{ config(meta={'policy/' ~ seed ~ '/' ~ name: true}) }}
{%- endmacro %}
