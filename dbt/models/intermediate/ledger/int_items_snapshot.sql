with balances as (
    select * from {{ ref('int_item_balances') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

aging_buckets as (
    select * from {{ policy_rows('aging_buckets') }} as aging_buckets
),

rates_at as (
    select
        snapshot_dates.snapshot_date,
        exchange_rates.from_currency,
        exchange_rates.to_currency,
        exchange_rates.rate,
        exchange_rates.to_digits
    from snapshot_dates
    inner join exchange_rates
        on {{ spans('snapshot_dates.snapshot_date', 'exchange_rates') }}
),

open_at as (
    select
        snapshot_dates.snapshot_date,
        snapshot_dates.is_as_of,
        balances.item_key,
        balances.open_amount
    from balances
    inner join snapshot_dates
        on {{ spans('snapshot_dates.snapshot_date', 'balances') }}
),

aged as (
    select
        open_at.snapshot_date,
        open_at.is_as_of,
        open_at.open_amount,
        items.item_key,
        items.item_type,
        items.invoice_id,
        items.product_line,
        items.company_id,
        items.customer_id,
        items.currency,
        items.document_date,
        items.due_date,
        items.base_currency,
        items.reporting_currency,
        {{ is_receivable('items.item_type') }} as is_receivable,
        case
            when not {{ is_receivable('items.item_type') }} then null
            when {{ policy_value('aging_policy', 'basis', 'string') }} = 'invoice_date'
                then {{ dbt.datediff('items.document_date', 'open_at.snapshot_date', 'day') }}
            else {{ dbt.datediff('items.due_date', 'open_at.snapshot_date', 'day') }}
        end as aging_days,
        case
            when {{ is_receivable('items.item_type') }} then {{ dbt.datediff('items.due_date', 'open_at.snapshot_date', 'day') }}
        end as days_past_due
    from open_at
    inner join items on open_at.item_key = items.item_key
)

select
    aged.snapshot_date,
    aged.is_as_of,
    aged.item_key,
    aged.item_type,
    aged.invoice_id,
    aged.product_line,
    aged.company_id,
    aged.customer_id,
    aged.currency,
    aged.document_date,
    aged.due_date,
    aged.open_amount,
    cast(aged.aging_days as integer) as aging_days,
    cast(aged.days_past_due as integer) as days_past_due,
    case
        when not aged.is_receivable then null
        when aged.aging_days is null then 'no_due_date'
        else aging_buckets.bucket
    end as aging_bucket,
    case
        when not aged.is_receivable then 'credits'
        when aged.aging_days is null then 'no_due_date'
        else aging_buckets.amount_column
    end as aging_column,
    {{ converted('aged.open_amount', 'aged.currency', 'aged.base_currency', 'base_rates') }} as open_amount_base,
    {{ converted('aged.open_amount', 'aged.currency', 'aged.reporting_currency', 'reporting_rates') }} as open_amount_reporting
from aged
left join aging_buckets
    on (aging_buckets.from_days is null or aged.aging_days >= aging_buckets.from_days)
    and (aging_buckets.to_days is null or aged.aging_days <= aging_buckets.to_days)
left join rates_at as base_rates
    on aged.snapshot_date = base_rates.snapshot_date
    and aged.currency = base_rates.from_currency
    and aged.base_currency = base_rates.to_currency
left join rates_at as reporting_rates
    on aged.snapshot_date = reporting_rates.snapshot_date
    and aged.currency = reporting_rates.from_currency
    and aged.reporting_currency = reporting_rates.to_currency
