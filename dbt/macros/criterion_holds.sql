{#- Whether a factor's value, a number or a word, stands in the criterion's relation to its threshold. An unknown value stands in none.
    `criteria` has threshold_number, threshold and operator. -#}
{% macro criterion_holds(criteria, number, word) -%}
    {%- set threshold = criteria ~ '.threshold_number' -%}
    {%- set place_in_list = "position('|' || " ~ word ~ " || '|' in '|' || " ~ criteria ~ ".threshold || '|')" -%}
    coalesce(
        case {{ criteria }}.operator
            {%- if number %}
            when '<=' then {{ number }} <= {{ threshold }}
            when '<' then {{ number }} < {{ threshold }}
            when '>=' then {{ number }} >= {{ threshold }}
            when '>' then {{ number }} > {{ threshold }}
            {%- endif %}
            {%- if word %}
            when 'in' then {{ place_in_list }} > 0
            when 'not_in' then {{ place_in_list }} = 0
            {%- endif %}
        end,
        false
    )
{%- endmacro %}
