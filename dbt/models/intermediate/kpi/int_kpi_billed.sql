with billed_daily as (
    select * from {{ ref('int_billed_daily') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

-- Which days count towards which month is found once a day, not once a customer, line and day.
billed_days as (
    select
        days.moved_on,
        months.month,
        days.month = months.month as is_month,
        days.moved_on > months.before_window as is_window,
        days.moved_on >= months.quarter_start as is_quarter
    from (select distinct moved_on, month from billed_daily) as days
    inner join months
        on days.moved_on <= months.snapshot_date
        and (days.moved_on > months.before_window or days.moved_on >= months.quarter_start)
)

select
    billed_days.month,
    billed_daily.company_id,
    billed_daily.customer_id,
    billed_daily.product_line,
    max(case when billed_days.is_window then 1 else 0 end) = 1 as is_of_window,
    cast(sum(case when billed_days.is_month then billed_daily.billed else 0 end) as decimal(18, 4)) as billed_month,
    cast(sum(case when billed_days.is_window then billed_daily.billed else 0 end) as decimal(18, 4)) as billed_window,
    cast(sum(case when billed_days.is_quarter then billed_daily.billed else 0 end) as decimal(18, 4)) as billed_quarter
from billed_daily
inner join billed_days on billed_daily.moved_on = billed_days.moved_on
group by billed_days.month, billed_daily.company_id, billed_daily.customer_id, billed_daily.product_line
