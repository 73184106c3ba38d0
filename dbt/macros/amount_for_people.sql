{#- An amount as people write it: 20559.5 is 20,559.50 where its currency has two digits, 20,560 is of one that has none. What an amount has more
    is shown. Cut and joined as text: the formatting functions of the engines differ, and some of them go through a float. -#}
{% macro amount_for_people(amount, digits) -%}
    {%- set written = 'cast(cast(abs(' ~ amount ~ ') as decimal(22, 4)) as string)' -%}
    {%- set fraction = 'right(' ~ written ~ ', 4)' -%}
    concat_ws('',
        case when {{ amount }} < 0 then '-' else '' end,
        {{ in_thousands('split_part(' ~ written ~ ", '.', 1)") }},
        trim(trailing '.' from concat_ws('',
            '.', substr({{ fraction }}, 1, cast(greatest({{ digits }}, length(trim(trailing '0' from {{ fraction }}))) as integer))
        ))
    )
{%- endmacro %}

{#- The digits of a whole number with a comma before every three but the first: 1234567 is 1,234,567. -#}
{% macro in_thousands(whole) -%}
    reverse(trim(trailing ',' from {{ adapter.dispatch('after_every_three')('reverse(' ~ whole ~ ')') }}))
{%- endmacro %}

{% macro default__after_every_three(whole) -%}
    regexp_replace({{ whole }}, '(...)', '\1,', 'g')
{%- endmacro %}

{% macro spark__after_every_three(whole) -%}
    regexp_replace({{ whole }}, '(...)', '$1,')
{%- endmacro %}
