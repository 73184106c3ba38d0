{{ config(materialized='view') }}
with payment_curves as (
    select * from {{ ref('int_payment_curves') }}
),

waiting_curves as (
    select * from {{ ref('int_waiting_curves') }}
)

select
    'habit' as curve,
    customer_id as curve_customer_id,
    days_late as day,
    log_still_open
from payment_curves
union all
select
    curve,
    '' as curve_customer_id,
    day,
    log_still_open
from waiting_curves
