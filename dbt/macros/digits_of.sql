{#- The digits that amounts in a currency have (table currencies), as a scalar subquery; two where it is not there, as most have. -#}
{% macro digits_of(currency) -%}
    coalesce(
        (select max(known.digits) from {{ policy_rows('currencies') }} as known where known.currency = {{ currency }}),
        2
    )
{%- endmacro %}

{#- Those of the reporting currency, of which there is one, as a row: cross join {{ reporting_digits() }} as reporting. In what is written
    several times, as by `rounded`, a scalar subquery would be read as often. -#}
{% macro reporting_digits() -%}
    (select max(reporting_digits) as digits from {{ ref('int_companies') }})
{%- endmacro %}
