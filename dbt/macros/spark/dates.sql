{#-
    dbt's own macros for dates on Spark write a date several times over, once for each thing they assert of it: of dates worked out from
    dates, as due dates are, that makes gigabytes of SQL. What is added to and compared here are dates.
-#}
{% macro spark__dateadd(datepart, interval, from_date_or_timestamp) -%}
    {%- if datepart == 'day' -%}
    date_add(cast({{ from_date_or_timestamp }} as date), cast({{ interval }} as integer))
    {%- else -%}
    add_months(cast({{ from_date_or_timestamp }} as date), cast(({{ interval }}) * {{ {'month': 1, 'year': 12}[datepart] }} as integer))
    {%- endif -%}
{%- endmacro %}

{% macro spark__datediff(first_date, second_date, datepart) -%}
    {%- if datepart == 'day' -%}
    datediff(cast({{ second_date }} as date), cast({{ first_date }} as date))
    {%- else -%}
    (
        (year({{ second_date }}) - year({{ first_date }})) * {{ {'month': 12, 'year': 1}[datepart] }}
        {%- if datepart == 'month' %} + month({{ second_date }}) - month({{ first_date }}){% endif %}
    )
    {%- endif -%}
{%- endmacro %}

{% macro spark__last_day(date, datepart) -%}
    {{ {'month': 'last_day'}[datepart] }}(cast({{ date }} as date))
{%- endmacro %}
