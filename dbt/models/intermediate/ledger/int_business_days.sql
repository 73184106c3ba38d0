-- Those of entities and customers; NONE is that of a customer whom neither gives one.
with calendars as (
    select calendar from {{ ref('int_companies') }}
    union
    select country as calendar from {{ ref('stg_erp__customers') }}
    where country is not null
    union
    select 'NONE' as calendar
),

known_weekends as (
    select * from {{ ref('stg_reference__weekend_days') }}
),

-- Where nobody says otherwise the week ends on Saturday and Sunday.
weekends as (
    select
        calendar,
        iso_weekday
    from known_weekends
    union all
    select
        calendars.calendar,
        usual.iso_weekday
    from calendars
    cross join (select 6 as iso_weekday union all select 7 as iso_weekday) as usual
    where calendars.calendar not in (select calendar from known_weekends)
),

holidays as (
    select distinct
        calendar,
        holiday_date
    from {{ ref('stg_reference__holidays') }}
),

-- Five years back hold what the oldest snapshot date looks back to; 450 days ahead, the next step of anything invoiced today.
numbers as (
    {{ dbt.generate_series(2276) }}
),

dates as (
    select {{ days_after(as_of(), 'cast(generated_number as integer) - 1826') }} as date_day
    from numbers
),

-- 1 January 2001 was a Monday: counting from it needs no engine's own idea of the first day of a week.
calendar_dates as (
    select
        calendars.calendar,
        dates.date_day,
        holidays.holiday_date is null and weekends.iso_weekday is null as is_business_day
    from calendars
    cross join dates
    left join holidays
        on calendars.calendar = holidays.calendar
        and dates.date_day = holidays.holiday_date
    left join weekends
        on calendars.calendar = weekends.calendar
        and {{ dbt.datediff("cast('2001-01-01' as date)", 'dates.date_day', 'day') }} % 7 + 1 = weekends.iso_weekday
)

select
    calendar,
    date_day,
    is_business_day,
    min(case when is_business_day then date_day end) over (
        partition by calendar order by date_day rows between current row and unbounded following
    ) as next_business_day,
    max(case when is_business_day then date_day end) over (
        partition by calendar order by date_day rows between unbounded preceding and current row
    ) as previous_business_day,
    cast(sum(case when is_business_day then 1 else 0 end) over (
        partition by calendar order by date_day rows between unbounded preceding and current row
    ) as integer) as business_day_number
from calendar_dates
