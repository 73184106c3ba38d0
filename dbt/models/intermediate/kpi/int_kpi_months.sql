with snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
    where not is_as_of
),

billed_window as (
    select {{ policy_value('kpi_policy', 'billed_window_days') }} as days
)

select
    snapshot_dates.month,
    snapshot_dates.snapshot_date,
    {{ days_after('snapshot_dates.snapshot_date', '-billed_window.days') }} as before_window,
    cast({{ dbt.dateadd('month', -2, 'snapshot_dates.month') }} as date) as quarter_start,
    cast({{ dbt.dateadd('year', -1, 'snapshot_dates.snapshot_date') }} as date) as year_before,
    {{ days_after(dbt.dateadd('year', -1, 'snapshot_dates.snapshot_date'), '-billed_window.days') }} as before_year_before,
    cast({{ dbt.datediff('snapshot_dates.month', 'snapshot_dates.snapshot_date', 'day') }} + 1 as integer) as days_in_month,
    cast(billed_window.days as integer) as window_days
from snapshot_dates
cross join billed_window
