with calendars as (
    select distinct
        calendar,
        customer_calendar
    from {{ ref('int_dunning_candidates') }}
),

business_days as (
    select * from {{ ref('int_business_days') }}
),

quiet_days as (
    select * from {{ policy_rows('dunning_quiet_days') }} as dunning_quiet_days
),

-- A stretch of every year may run over its end: then it is what is after its first day or before its last.
quiet_dates as (
    select distinct
        business_days.calendar,
        business_days.date_day
    from business_days
    inner join quiet_days
        on quiet_days.calendar in ('*', business_days.calendar)
        and case
            when length(quiet_days.first_day) > 5
                then cast(business_days.date_day as string) between quiet_days.first_day and quiet_days.last_day
            when quiet_days.first_day <= quiet_days.last_day
                then substr(cast(business_days.date_day as string), 6, 5) between quiet_days.first_day and quiet_days.last_day
            else substr(cast(business_days.date_day as string), 6, 5) >= quiet_days.first_day
                or substr(cast(business_days.date_day as string), 6, 5) <= quiet_days.last_day
        end
),

calendar_days as (
    select
        business_days.calendar,
        business_days.date_day,
        business_days.is_business_day and quiet_dates.date_day is null as is_open
    from business_days
    left join quiet_dates
        on business_days.calendar = quiet_dates.calendar
        and business_days.date_day = quiet_dates.date_day
),

contact_days as (
    select
        calendars.calendar,
        calendars.customer_calendar,
        entity_days.date_day,
        entity_days.is_open and customer_days.is_open as is_open
    from calendars
    inner join calendar_days as entity_days on calendars.calendar = entity_days.calendar
    inner join calendar_days as customer_days
        on calendars.customer_calendar = customer_days.calendar
        and entity_days.date_day = customer_days.date_day
)

select
    calendar,
    customer_calendar,
    date_day,
    is_open,
    min(case when is_open then date_day end) over (
        partition by calendar, customer_calendar order by date_day rows between current row and unbounded following
    ) as next_open_day
from contact_days
