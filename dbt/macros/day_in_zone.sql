{#- The day of a UTC time where a legal entity is: 00:30 of the 26th is still the 25th in Los Angeles. Without a time zone (null), UTC's.
    `timezone`: a name that int_companies lets through, since an engine stops at one it does not know. -#}
{% macro day_in_zone(moment, timezone) -%}
    {{- return(adapter.dispatch('day_in_zone')(moment, timezone)) -}}
{%- endmacro %}

{% macro default__day_in_zone(moment, timezone) -%}
    cast(timezone(coalesce({{ timezone }}, 'UTC'), timezone('UTC', {{ moment }})) as date)
{%- endmacro %}

{% macro spark__day_in_zone(moment, timezone) -%}
    cast(from_utc_timestamp({{ moment }}, coalesce({{ timezone }}, 'UTC')) as date)
{%- endmacro %}
