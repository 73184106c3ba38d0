{#- A figure as people write it: whole where it is whole, else one decimal; a share as per cent. -#}
{% macro for_people(number, unit) -%}
    case
        when {{ unit }} = 'percent' then
            regexp_replace(cast(cast(round(100 * {{ number }}, 1) as decimal(18, 1)) as string), '[.]0$', '') || ' %'
        else regexp_replace(cast(cast(round({{ number }}, 1) as decimal(18, 1)) as string), '[.]0$', '')
    end
{%- endmacro %}
