{#- An exact number as an amount, rounded half up to the digits of its currency (table currencies; two where it is not there). Each branch is
    an amount of its own: what several roundings have in common would be the type of the coarsest. -#}
{% macro rounded(amount, digits) -%}
    case {{ digits }}
        {%- for known in [0, 1, 3, 4] %}
        when {{ known }} then cast(round({{ amount }}, {{ known }}) as decimal(18, 4))
        {%- endfor %}
        else cast(round({{ amount }}, 2) as decimal(18, 4))
    end
{%- endmacro %}

{#- A number that passed through a float as a figure: first to ten places, where what the float left of a tie or added to it is gone, then half up
    to four. At once, 5390.45 / 13000 = 0.41465 would be what an engine makes of 0.41464999999999996. DuckDB divides numbers of 128 bits thirty
    times slower than those of 64, which hold ten places of whatever is below a hundred million. -#}
{% macro rounded_once(number) -%}
    {{ return(adapter.dispatch('rounded_once')(number)) }}
{%- endmacro %}

{% macro default__rounded_once(number) -%}
    coalesce(
        cast(try_cast({{ number }} as decimal(18, 10)) as decimal(18, 4)), cast(cast({{ number }} as decimal(28, 10)) as decimal(18, 4))
    )
{%- endmacro %}

{% macro spark__rounded_once(number) -%}
    cast(cast({{ number }} as decimal(28, 10)) as decimal(18, 4))
{%- endmacro %}

{#- One amount over a number, for `rounded` to round to its digits: exact to the sixth place of what stands below ten thousand million. -#}
{% macro quotient(amount, divisor) -%}
    cast(cast({{ amount }} as double) / nullif(cast({{ divisor }} as double), 0) as decimal(24, 6))
{%- endmacro %}

{#- So many per cent of an amount, to the last digit: wide enough for a book in yen, and no wider than 38 digits hold. -#}
{% macro per_cent_of(amount, pct) -%}
    cast({{ amount }} as decimal(24, 4)) * cast({{ pct }} as decimal(9, 4)) * 0.01
{%- endmacro %}

{#- The smallest amount there is in a currency of so many digits. -#}
{% macro smallest_amount(digits) -%}
    case {{ digits }}
        {%- for known, unit in [(0, '1'), (1, '0.1'), (3, '0.001'), (4, '0.0001')] %}
        when {{ known }} then cast({{ unit }} as decimal(18, 4))
        {%- endfor %}
        else cast(0.01 as decimal(18, 4))
    end
{%- endmacro %}
