{#- An amount in another currency, by the joined row of int_exchange_rates (`rates`): rounded to that currency's digits where it is converted,
    untouched where there is nothing to convert, and null, never a silent 1.0, where the rate is missing. A wider product than that of eighteen
    and nineteen digits is cut to fewer places on some engines, which rounds twice. -#}
{% macro converted(amount, currency, to_currency, rates) -%}
    case
        when {{ currency }} = {{ to_currency }} then cast({{ amount }} as decimal(18, 4))
        else {{ rounded('cast(' ~ amount ~ ' as decimal(18, 4)) * cast(' ~ rates ~ '.rate as decimal(19, 10))', rates ~ '.to_digits') }}
    end
{%- endmacro %}
