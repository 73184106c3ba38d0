with curves as (
    select * from {{ ref('int_payment_curves') }}
)

select
    cast(customer_id as string) as customer_id,
    cast(days_late as integer) as days_late,
    {{ rounded_once('exp(cast(log_still_open as double))') }} as still_open
from curves
