{#- The days around the due date that a payment curve has, as contract.md names them. -#}
{% macro first_curve_day() %}-60{% endmacro %}
{% macro last_curve_day() %}120{% endmacro %}

{#- Days late as they count in a mean: no later than policy's cap, no earlier than the curve begins. -#}
{% macro capped_days(days) -%}
    greatest(least({{ days }}, {{ policy_value('forecast_policy', 'usual_cap_days') }}), {{ first_curve_day() }})
{%- endmacro %}

{#- Days late as a day of the curve: what is earlier or later than it is its first or last day. -#}
{% macro curve_day(days) -%}
    greatest(least({{ days }}, {{ last_curve_day() }}), {{ first_curve_day() }})
{%- endmacro %}

{#- By how many days a paid item (a row of int_payment_delays) surprised whoever knew all of its customer's (int_payment_habits) but this one. -#}
{% macro surprise(item, habits) -%}
    (
        {{ curve_day(item ~ '.habit_days') }}
        - (
            cast({{ habits }}.weighted_days - {{ item }}.weight * {{ capped_days(item ~ '.habit_days') }} as double)
            + {{ habits }}.shrinkage * {{ habits }}.book_usual
        )
        / (cast({{ habits }}.weight - {{ item }}.weight as double) + {{ habits }}.shrinkage)
    )
{%- endmacro %}
