with calendars as (
    select distinct calendar
    from {{ ref('int_companies') }}
),

holidays as (
    select distinct
        calendar,
        holiday_date
    from {{ ref('stg_reference__holidays') }}
),

-- 800 days back hold every promise of the trailing 24 months; 450 ahead, the next step of anything invoiced today.
numbers as (
    {{ dbt.generate_series(1250) }}
),

dates as (
    select {{ days_after(as_of(), 'cast(generated_number as integer) - 800') }} as date_day
    from numbers
),

-- 1 January 2001 was a Monday: counting from it needs no engine's own idea of the first day of a week.
calendar_dates as (
    select
        calendars.calendar,
        dates.date_day,
        holidays.holiday_date is null
            and {{ dbt.datediff("cast('2001-01-01' as date)", 'dates.date_day', 'day') }} % 7 not in (5, 6) as is_business_day
    from calendars
    cross join dates
    left join holidays
        on calendars.calendar = holidays.calendar
        and dates.date_day = holidays.holiday_date
)

select
    calendar,
    date_day,
    is_business_day,
    min(case when is_business_day then date_day end) over (
        partition by calendar order by date_day rows between current row and unbounded following
    ) as next_business_day,
    cast(sum(case when is_business_day then 1 else 0 end) over (
        partition by calendar order by date_day rows between unbounded preceding and current row
    ) as integer) as business_day_number
from calendar_dates
