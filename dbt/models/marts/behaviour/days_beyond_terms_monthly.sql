with months as (
    select * from {{ ref('int_payment_months') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
)

select
    cast(months.customer_id as string) as customer_id,
    cast(snapshot_dates.month as date) as month,
    cast(months.paid_amount as decimal(18, 4)) as paid_amount,
    cast(months.past_due_amount as decimal(18, 4)) as past_due_amount,
    cast(months.dbt_days_paid as decimal(18, 4)) as dbt_days_paid,
    cast(months.days_late_signed as decimal(18, 4)) as days_late_signed,
    cast(months.dbt_days_open as decimal(18, 4)) as dbt_days_open,
    cast(months.dbt_days as decimal(18, 4)) as dbt_days,
    cast(months.days_to_pay as decimal(18, 4)) as days_to_pay,
    cast(months.on_time_share as decimal(18, 4)) as on_time_share
from months
inner join snapshot_dates on months.month_end = snapshot_dates.snapshot_date
