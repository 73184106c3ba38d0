with holidays as (
    select * from {{ source('reference', 'holidays') }}
)

select
    calendar,
    holiday_date,
    name
from holidays
