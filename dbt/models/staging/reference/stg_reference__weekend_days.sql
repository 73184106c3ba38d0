with weekend_days as (
    select * from {{ source('reference', 'weekend_days') }}
)

select
    calendar,
    iso_weekday
from weekend_days
