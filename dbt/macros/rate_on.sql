{#- Whether a joined row of int_exchange_rates is the rate of a day from one currency to another; `converted` reads it. -#}
{% macro rate_on(day, currency, to_currency, rates='exchange_rates') -%}
    {{ currency }} = {{ rates }}.from_currency
    and {{ to_currency }} = {{ rates }}.to_currency
    and {{ spans(day, rates) }}
{%- endmacro %}
