{{ config(materialized='view') }}

with concentration as (
    select * from {{ ref('int_concentration') }}
    where not is_as_of
)

select
    month,
    company_id,
    customer_id,
    billed as billed_year,
    {%- for band in ['top5', 'next15', 'rest'] %}
    case when band = '{{ band }}' then billed else 0 end as billed_{{ band }}{{ ',' if not loop.last }}
    {%- endfor %}
from concentration
