with families as (
    select * from {{ ref('int_families') }}
),

billed_daily as (
    select * from {{ ref('int_billed_daily') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
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
        on billed_daily.moved_on <= snapshot_dates.snapshot_date
        and billed_daily.moved_on > {{ dbt.dateadd('year', -1, 'snapshot_dates.snapshot_date') }}
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
        coalesce(families.ultimate_parent_id, billed_year.customer_id) as ultimate_parent_id
    from billed_year
    left join families on billed_year.customer_id = families.customer_id
),

placed as (
    select
        snapshot_date,
        ultimate_parent_id,
        row_number() over (partition by snapshot_date order by sum(billed) desc, ultimate_parent_id nulls last) as place
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
