{#- An amount as people write it: 20559.5 is 20,559.50 where its currency has two digits, 20,560 is of one that has none. What an amount has more
    is shown. Cut and joined as text: the formatting functions of the engines differ, and some of them go through a float. -#}
{% macro amount_for_people(amount, digits) -%}
    {%- set written = 'lpad(cast(cast(abs(' ~ amount ~ ") as decimal(22, 4)) as string), 23, ' ')" -%}
    {%- set fraction = 'substr(' ~ written ~ ', 20, 4)' -%}
    concat_ws('',
        case when {{ amount }} < 0 then '-' else '' end,
        trim(leading ' ,' from concat_ws('',
            {%- for place in range(1, 19, 3) %}
            substr({{ written }}, {{ place }}, 3){{ ", ','," if not loop.last }}
            {%- endfor %}
        )),
        trim(trailing '.' from concat_ws('',
            '.', substr({{ fraction }}, 1, cast(greatest({{ digits }}, length(trim(trailing '0' from {{ fraction }}))) as integer))
        ))
    )
{%- endmacro %}
