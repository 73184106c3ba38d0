with billed_daily as (
    select * from {{ ref('int_billed_daily') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

-- Which days count towards which month is found once a day, not once a customer and day.
days_year_before as (
    select
        days.moved_on,
        months.month
    from (select distinct moved_on from billed_daily) as days
    inner join months
        on days.moved_on > months.before_year_before
        and days.moved_on <= months.year_before
),

year_before as (
    select
        days_year_before.month,
        billed_daily.company_id,
        billed_daily.customer_id,
        sum(billed_daily.billed) as billed
    from billed_daily
    inner join days_year_before on billed_daily.moved_on = days_year_before.moved_on
    group by days_year_before.month, billed_daily.company_id, billed_daily.customer_id
),

billed_now as (
    select
        month,
        company_id,
        customer_id
    from {{ ref('int_kpi_billed') }}
    group by month, company_id, customer_id
    having sum(billed_window) > 0
)

select
    year_before.month,
    year_before.company_id,
    year_before.customer_id,
    case when year_before.billed > 0 then 1 else 0 end as customers_year_before,
    case when year_before.billed > 0 and billed_now.customer_id is not null then 1 else 0 end as customers_kept
from year_before
left join billed_now
    on year_before.month = billed_now.month
    and year_before.company_id = billed_now.company_id
    and year_before.customer_id = billed_now.customer_id
