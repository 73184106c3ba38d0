{#- An amount as people write it: 20559.58 is 20,559.58. Cut and joined as text: the formatting functions of the engines differ, and
    some of them go through a float. -#}
{% macro amount_for_people(amount) -%}
    {%- set digits = 'lpad(cast(cast(abs(' ~ amount ~ ") as decimal(18, 2)) as varchar), 21, ' ')" -%}
    concat_ws('',
        case when {{ amount }} <= -0.005 then '-' else '' end,
        trim(leading ' ,' from concat_ws('',
            {%- for place in range(1, 19, 3) %}
            substr({{ digits }}, {{ place }}, 3){{ ", ','," if not loop.last }}
            {%- endfor %}
        )),
        substr({{ digits }}, 19, 3)
    )
{%- endmacro %}
