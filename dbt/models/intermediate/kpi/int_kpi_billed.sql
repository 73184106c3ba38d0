with billed_daily as (
    select * from {{ ref('int_billed_daily') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

-- Which days count towards which month is found once a day, not once a customer and day.
billed_days as (
    select
        days.moved_on,
        months.month,
        days.month = months.month as is_month,
        days.moved_on > months.before_window and days.moved_on <= months.snapshot_date as is_window,
        days.moved_on >= months.quarter_start and days.moved_on <= months.snapshot_date as is_quarter,
        days.moved_on > months.before_year_before and days.moved_on <= months.year_before as is_year_before
    from (select distinct moved_on, month from billed_daily) as days
    inner join months
        on (days.moved_on <= months.snapshot_date and days.moved_on > months.before_window)
        or (days.moved_on <= months.snapshot_date and days.moved_on >= months.quarter_start)
        or (days.moved_on <= months.year_before and days.moved_on > months.before_year_before)
),

billed as (
    select
        billed_days.month,
        billed_daily.company_id,
        billed_daily.customer_id,
        sum(case when billed_days.is_month then billed_daily.billed else 0 end) as billed_month,
        sum(case when billed_days.is_window then billed_daily.billed else 0 end) as billed_window,
        sum(case when billed_days.is_quarter then billed_daily.billed else 0 end) as billed_quarter,
        sum(case when billed_days.is_year_before then billed_daily.billed else 0 end) as billed_year_before
    from billed_daily
    inner join billed_days on billed_daily.moved_on = billed_days.moved_on
    group by billed_days.month, billed_daily.company_id, billed_daily.customer_id
)

select
    month,
    company_id,
    customer_id,
    cast(billed_month as decimal(18, 4)) as billed_month,
    cast(billed_window as decimal(18, 4)) as billed_window,
    cast(billed_quarter as decimal(18, 4)) as billed_quarter,
    cast(billed_year_before as decimal(18, 4)) as billed_year_before,
    case when billed_year_before > 0 then 1 else 0 end as customers_year_before,
    case when billed_year_before > 0 and billed_window > 0 then 1 else 0 end as customers_kept
from billed
