with kpi_definitions as (
    select * from {{ policy_rows('kpi_definitions') }} as kpi_definitions
),

newest as (
    select max(month) as month
    from {{ ref('int_kpi_measures') }}
),

-- The newest month and those figures are compared with: what is older was in the alerts of its own time.
compared_months as (
    select month from newest
    union
    select cast({{ dbt.dateadd('month', '-kpi_definitions.compare_months', 'newest.month') }} as date) as month
    from newest
    cross join kpi_definitions
),

amounts as (
    {%- for kpi, figure in kpi_catalogue().items() if figure.moved_by %}
    {%- set part, amount = figure.moved_by %}
    select
        '{{ kpi }}' as kpi,
        month,
        company_id,
        customer_id,
        {{ amount }} as amount
    from {{ ref('int_kpi_' ~ part) }}
    where month in (select month from compared_months)
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    kpi,
    month,
    company_id,
    customer_id,
    cast(sum(amounts.amount) as decimal(18, 4)) as amount
from amounts
group by kpi, month, company_id, customer_id
having sum(amounts.amount) <> 0
