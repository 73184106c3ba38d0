with digits as (
    {{ ten_digits() }}
),

months_back as (
    select tens.digit * 10 + ones.digit as n
    from digits as tens
    cross join digits as ones
),

-- n = 0 is the end of the last complete month; the running month stands at the as_of day.
month_ends as (
    select
        cast({{ dbt.dateadd('day', -1, dbt.dateadd('month', '-n', dbt.date_trunc('month', as_of()))) }} as date) as snapshot_date,
        false as is_as_of
    from months_back
    where n < {{ policy_value('aging_policy', 'history_months') }}
),

snapshot_dates as (
    select snapshot_date, is_as_of from month_ends
    union all
    select {{ as_of() }} as snapshot_date, true as is_as_of
)

select
    snapshot_date,
    cast({{ dbt.date_trunc('month', 'snapshot_date') }} as date) as month,
    is_as_of
from snapshot_dates
