{#- An amount in another currency: rounded half up to 2 places where it is converted, untouched where there is nothing to convert,
    and null, never a silent 1.0, where the rate is missing. -#}
{% macro converted(amount, currency, to_currency, rate) -%}
    case
        when {{ currency }} = {{ to_currency }} then cast({{ amount }} as decimal(18, 4))
        else cast(round({{ amount }} * {{ rate }}, 2) as decimal(18, 4))
    end
{%- endmacro %}
