{#- How many parents above a customer are looked for: each step doubles the reach. -#}
{%- set doublings = 3 -%}
with customers as (
    select * from {{ ref('int_customers') }}
),

billed_daily as (
    select * from {{ ref('int_billed_daily') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

reach_0 as (
    select
        customer_id,
        coalesce(parent_customer_id, customer_id) as top_id
    from customers
),

{%- for step in range(1, doublings + 1) %}
reach_{{ step }} as (
    select
        below.customer_id,
        coalesce(above.top_id, below.top_id) as top_id
    from reach_{{ step - 1 }} as below
    left join reach_{{ step - 1 }} as above on below.top_id = above.customer_id
),
{%- endfor %}

-- Two customers that name each other as parent are one group, under the first of them.
parents as (
    select
        reached.customer_id,
        least(reached.top_id, coalesce(above.top_id, reached.top_id)) as ultimate_parent_id
    from reach_{{ doublings }} as reached
    left join reach_0 as above on reached.top_id = above.customer_id
),

billed_monthly as (
    select
        month,
        company_id,
        customer_id,
        sum(billed) as billed
    from billed_daily
    group by month, company_id, customer_id
),

billed_year as (
    select
        snapshot_dates.snapshot_date,
        snapshot_dates.month,
        snapshot_dates.is_as_of,
        billed_monthly.company_id,
        billed_monthly.customer_id,
        sum(billed_monthly.billed) as billed
    from billed_monthly
    inner join snapshot_dates
        on billed_monthly.month <= snapshot_dates.month
        and billed_monthly.month > {{ dbt.dateadd('year', -1, 'snapshot_dates.month') }}
    where not snapshot_dates.is_as_of
    group by
        snapshot_dates.snapshot_date, snapshot_dates.month, snapshot_dates.is_as_of, billed_monthly.company_id, billed_monthly.customer_id
    union all
    select
        snapshot_dates.snapshot_date,
        snapshot_dates.month,
        snapshot_dates.is_as_of,
        billed_daily.company_id,
        billed_daily.customer_id,
        sum(billed_daily.billed) as billed
    from billed_daily
    inner join snapshot_dates
        on billed_daily.document_date <= snapshot_dates.snapshot_date
        and billed_daily.document_date > {{ dbt.dateadd('year', -1, 'snapshot_dates.snapshot_date') }}
    where snapshot_dates.is_as_of
    group by
        snapshot_dates.snapshot_date, snapshot_dates.month, snapshot_dates.is_as_of, billed_daily.company_id, billed_daily.customer_id
),

grouped as (
    select
        billed_year.snapshot_date,
        billed_year.month,
        billed_year.is_as_of,
        billed_year.company_id,
        billed_year.customer_id,
        billed_year.billed,
        coalesce(parents.ultimate_parent_id, billed_year.customer_id) as ultimate_parent_id
    from billed_year
    left join parents on billed_year.customer_id = parents.customer_id
),

placed as (
    select
        snapshot_date,
        ultimate_parent_id,
        row_number() over (partition by snapshot_date order by sum(billed) desc, ultimate_parent_id) as place
    from grouped
    group by snapshot_date, ultimate_parent_id
)

select
    grouped.snapshot_date,
    grouped.month,
    grouped.is_as_of,
    grouped.company_id,
    grouped.customer_id,
    grouped.ultimate_parent_id,
    grouped.billed,
    case when placed.place <= 5 then 'top5' when placed.place <= 20 then 'next15' else 'rest' end as band
from grouped
inner join placed
    on grouped.snapshot_date = placed.snapshot_date
    and grouped.ultimate_parent_id = placed.ultimate_parent_id
