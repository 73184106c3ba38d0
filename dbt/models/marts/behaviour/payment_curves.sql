with curves as (
    select * from {{ ref('int_payment_curves') }}
)

select
    cast(customer_id as string) as customer_id,
    cast(days_late as integer) as days_late,
    cast(exp(cast(log_still_open as double)) as decimal(18, 4)) as still_open
from curves
