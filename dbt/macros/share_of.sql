{#- The part of an amount that `part` is of `whole`, rounded to the digits of its currency; the amount itself, to the last digit, where it is
    all of it. -#}
{% macro share_of(amount, part, whole, digits) -%}
    case
        when {{ part }} = {{ whole }} then cast({{ amount }} as decimal(18, 4))
        else {{ rounded(
            quotient('cast(' ~ amount ~ ' as double) * cast(' ~ part ~ ' as double)', whole), digits
        ) }}
    end
{%- endmacro %}
