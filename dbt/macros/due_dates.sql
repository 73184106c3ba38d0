{#- The day by which terms ask for what was invoiced on a date, before it is moved off days off: from that date or the end of its month,
    plus the net days, to the end of that month, on to the next due day of a month, each where the terms say so. `terms` has their columns. -#}
{% macro due_by_terms(terms, invoiced_on) -%}
    {%- set net_days = terms ~ '.net_days' -%}
    {%- set counted_from -%}
        case when {{ terms }}.from_month_end then {{ last_day_of_month(invoiced_on) }} else {{ invoiced_on }} end
    {%- endset -%}
    {%- set counted = days_after(counted_from, net_days) -%}
    {%- set ended %}case when {{ terms }}.to_month_end then {{ last_day_of_month(counted) }} else {{ counted }} end{% endset -%}
    {%- set next_month = dbt.dateadd('month', 1, dbt.date_trunc('month', ended)) -%}
    case
        when {{ terms }}.due_day is null then {{ ended }}
        when {{ day_of_month(ended, terms ~ '.due_day') }} >= {{ ended }} then {{ day_of_month(ended, terms ~ '.due_day') }}
        else {{ day_of_month(next_month, terms ~ '.due_day') }}
    end
{%- endmacro %}

{% macro last_day_of_month(date) -%}
    cast({{ dbt.last_day(date, 'month') }} as date)
{%- endmacro %}

{#- The day of that number in a date's month; its last one where the month is shorter. -#}
{% macro day_of_month(date, number) -%}
    least({{ days_after(dbt.date_trunc('month', date), number ~ ' - 1') }}, {{ last_day_of_month(date) }})
{%- endmacro %}

{#- A due date, unless it is one that nobody can mean: so far before the invoice date, or so far after it, that policy calls it a mistake. -#}
{% macro believed_due_date(due_date, invoiced_on) -%}
    case
        when
            {{ due_date }} >= {{ days_after(invoiced_on, '-' ~ policy_value('aging_policy', 'due_days_before_invoice')) }}
            and {{ due_date }} <= {{ days_after(invoiced_on, policy_value('aging_policy', 'due_days_after_invoice')) }}
            then {{ due_date }}
    end
{%- endmacro %}

{#- A due date, on to the next business day where policy says that lateness counts from that. `day` is its row of int_business_days. -#}
{% macro off_days_off(due_date, day) -%}
    case
        when {{ policy_value('aging_policy', 'due_on_day_off', 'string') }} = 'next_business_day'
            then coalesce({{ day }}.next_business_day, {{ due_date }})
        else {{ due_date }}
    end
{%- endmacro %}
