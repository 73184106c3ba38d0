{#- An amount in another currency, by the joined row of int_exchange_rates (`rates`): rounded to that currency's digits where it is converted,
    untouched where there is nothing to convert, and null, never a silent 1.0, where the rate is missing. -#}
{% macro converted(amount, currency, to_currency, rates) -%}
    case
        when {{ currency }} = {{ to_currency }} then cast({{ amount }} as decimal(18, 4))
        else {{ rounded('(' ~ amount ~ ') * ' ~ rates ~ '.rate', rates ~ '.to_digits') }}
    end
{%- endmacro %}
