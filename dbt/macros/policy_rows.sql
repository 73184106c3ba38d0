{#-
    The one way to read a policy table: its rows in force this morning, of the selected pack or for every pack (`*`). Of two rows with one
    key the pack's counts, so that a pack may change one row and keep the rest; a table that means something only as a whole is the pack's
    altogether, or not at all. Keys and whole tables stand in dbt_project.yml. Two rows of equal right both stay, for policy_faults to name.

        steps as (
            select * from {{ policy_rows('dunning_steps') }} as dunning_steps
        )
-#}
{% macro policy_rows(seed) -%}
    {{ policy_of_the_pack(seed, in_force()) }}
{%- endmacro %}

{#-
    The rows of a policy table of all times, for what reads each day by the rows of that day (valid_on). `every_pack`: of every pack, for
    what holds the packs against each other or looks back at what another pack did.
-#}
{% macro policy_history(seed, every_pack=false) -%}
    {%- if every_pack -%}
    {{ ref(seed).render() }}
    {%- else -%}
    {{ policy_of_the_pack(seed, "policy in ('*', '" ~ var('policy') ~ "')") }}
    {%- endif -%}
{%- endmacro %}

{% macro policy_of_the_pack(seed, condition) -%}
    {%- set key = [] if seed in var('policy_wholes') else var('policy_keys')[seed] -%}
    (
        select * from (
            select
                policy_rows.*,
                rank() over (
                    {% if key %}partition by {{ key | join(', ') }} {% endif %}order by {{ policy_precedence() }}
                ) as policy_precedence
            from {{ ref(seed).render() }} as policy_rows
            where {{ condition }}
        ) as candidates
        where policy_precedence = 1
    )
{%- endmacro %}

{#- What orders rows that could both count: the pack's before that for every pack. -#}
{% macro policy_precedence(alias='') -%}
    case when {{ alias ~ '.' if alias else '' }}policy = '*' then 1 else 0 end
{%- endmacro %}
