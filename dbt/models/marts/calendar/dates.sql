with business_days as (
    select * from {{ ref('int_business_days') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

-- Whole years only: tools that count from the beginning of a year ask for them.
years as (
    select
        case
            when {{ dbt.date_trunc('year', 'min(date_day)') }} = min(date_day) then min(date_day)
            else {{ dbt.dateadd('year', 1, dbt.date_trunc('year', 'min(date_day)')) }}
        end as first_day,
        {{ dbt.date_trunc('year', days_after('max(date_day)', 1)) }} as day_after_last
    from business_days
),

at_work as (
    select
        business_days.date_day,
        {{ dbt.listagg("case when business_days.is_business_day then companies.company_id end", "','", 'order by companies.company_id') }}
            as companies_at_work
    from business_days
    inner join companies on business_days.calendar = companies.calendar
    cross join years
    where business_days.date_day >= years.first_day and business_days.date_day < years.day_after_last
    group by business_days.date_day
),

weeks as (
    select
        *,
        {{ dbt.datediff("cast('2001-01-01' as date)", 'date_day', 'day') }} % 7 + 1 as iso_weekday,
        {{ days_after('date_day', '-(' ~ dbt.datediff("cast('2001-01-01' as date)", 'date_day', 'day') ~ ' % 7)') }} as week
    from at_work
),

-- A week is of the year that its Thursday is in.
numbered as (
    select
        *,
        {{ days_after('week', 3) }} as thursday
    from weeks
)

select
    cast(date_day as date) as date_day,
    cast(iso_weekday as integer) as iso_weekday,
    cast(week as date) as week,
    concat_ws(
        '-W',
        cast(extract(year from thursday) as string),
        lpad(cast(cast(floor({{ dbt.datediff(dbt.date_trunc('year', 'thursday'), 'thursday', 'day') }} / 7) + 1 as integer) as string), 2, '0')
    ) as week_label,
    cast({{ dbt.date_trunc('month', 'date_day') }} as date) as month,
    concat_ws('-', cast(extract(year from date_day) as string), lpad(cast(extract(month from date_day) as string), 2, '0')) as month_label,
    cast({{ dbt.date_trunc('quarter', 'date_day') }} as date) as quarter,
    concat_ws('-Q', cast(extract(year from date_day) as string), cast(extract(quarter from date_day) as string)) as quarter_label,
    cast(extract(year from date_day) as integer) as year,
    cast(extract(month from {{ days_after('date_day', 1) }}) <> extract(month from date_day) as boolean) as is_month_end,
    companies_at_work is not null as is_business_day,
    cast(companies_at_work as string) as companies_at_work,
    cast({{ dbt.datediff(as_of(), 'date_day', 'day') }} as integer) as days_from_as_of,
    cast({{ dbt.datediff(as_of(), 'date_day', 'month') }} as integer) as months_from_as_of
from numbered
