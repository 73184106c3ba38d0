{#- What no document has a part in stays out: such key figures are told of customers alone. -#}
{%- set measures = kpi_document_measures() -%}
with parts as (
    {%- for part in kpi_document_parts() %}
    select
        month,
        customer_id,
        product_line
        {%- for measure in measures %},
        cast({{ measure if measure in kpi_parts()[part] else 'null' }} as decimal({{ 24 if '_x_days' in measure else 18 }}, 4)) as {{ measure }}
        {%- endfor %}
    from {{ ref('int_kpi_' ~ part) }}
    {%- if part == 'billed' %}
    where is_of_window
    {%- endif %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    month,
    product_line,
    count(distinct customer_id) as n
    {%- for measure in measures %},
    cast(coalesce(sum({{ measure }}), 0) as decimal({{ 24 if '_x_days' in measure else 18 }}, 4)) as {{ measure }}
    {%- endfor %}
from parts
group by month, product_line
