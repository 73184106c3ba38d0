{#- An exact number as an amount, rounded half up to the digits of its currency (table currencies; two where it is not there). Each branch is
    an amount of its own: what several roundings have in common would be the type of the coarsest. -#}
{% macro rounded(amount, digits) -%}
    case {{ digits }}
        {%- for known in [0, 1, 3, 4] %}
        when {{ known }} then cast(round({{ amount }}, {{ known }}) as decimal(18, 4))
        {%- endfor %}
        else cast(round({{ amount }}, 2) as decimal(18, 4))
    end
{%- endmacro %}

{#- The smallest amount there is in a currency of so many digits. -#}
{% macro smallest_amount(digits) -%}
    case {{ digits }}
        {%- for known, unit in [(0, '1'), (1, '0.1'), (3, '0.001'), (4, '0.0001')] %}
        when {{ known }} then cast({{ unit }} as decimal(18, 4))
        {%- endfor %}
        else cast(0.01 as decimal(18, 4))
    end
{%- endmacro %}
