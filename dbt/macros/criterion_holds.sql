{#- Whether a factor's value stands in the criterion's relation to its threshold. An unknown value stands in none. -#}
{% macro criterion_holds(criteria, factors) -%}
    {%- set number = factors ~ '.value_number + ' ~ factors ~ '.tie_break' -%}
    {%- set threshold = 'try_cast(' ~ criteria ~ '.threshold as decimal(18, 4))' -%}
    {%- set place_in_list = "position('|' || " ~ factors ~ ".value_text || '|' in '|' || " ~ criteria ~ ".threshold || '|')" -%}
    coalesce(
        case {{ criteria }}.operator
            when '<=' then {{ number }} <= {{ threshold }}
            when '<' then {{ number }} < {{ threshold }}
            when '>=' then {{ number }} >= {{ threshold }}
            when '>' then {{ number }} > {{ threshold }}
            when 'in' then {{ place_in_list }} > 0
            when 'not_in' then {{ place_in_list }} = 0
        end,
        false
    )
{%- endmacro %}
