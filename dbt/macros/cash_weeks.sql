{#- Weeks of cash ahead, as contract.md has them: the first begins on the day after the morning. -#}
{% macro weeks_ahead() %}13{% endmacro %}

{#- A relation of the whole numbers from `first` to `last`, in a column n; at most 1,000 of them. -#}
{% macro whole_numbers(first, last) -%}
    (
        select hundreds.digit * 100 + tens.digit * 10 + ones.digit + {{ first }} as n
        from {{ _digits() }} as hundreds
        cross join {{ _digits() }} as tens
        cross join {{ _digits() }} as ones
        where hundreds.digit * 100 + tens.digit * 10 + ones.digit <= {{ last }} - {{ first }}
    )
{%- endmacro %}

{% macro _digits() -%}
    (select 0 as digit{% for digit in range(1, 10) %} union all select {{ digit }}{% endfor %})
{%- endmacro %}

{#- The amount that so many of a hundred weeks stay below, by the mean and variance of a sum of amounts (Wilson and Hilferty's cube of a normal number
    for one that cannot be negative): `z` is the normal number's, as 0.8416 for 80 of 100. -#}
{% macro quantile_of_sum(mean, variance, z) -%}
    case
        when {{ mean }} <= 0 or {{ variance }} <= 0 then greatest({{ mean }}, 0)
        else {{ mean }} * power(greatest(
            1 - {{ variance }} / ({{ mean }} * {{ mean }}) / 9 + {{ z }} * sqrt({{ variance }}) / {{ mean }} / 3, 0
        ), 3)
    end
{%- endmacro %}
