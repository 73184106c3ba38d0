with payment_windows as (
    select * from {{ ref('int_payment_windows') }}
),

trends as (
    select * from {{ ref('int_payment_trends') }}
),

balances as (
    select * from {{ ref('int_customer_balances') }}
),

disputed_items as (
    select * from {{ ref('int_disputed_items') }}
    where not is_trifle
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

promises as (
    select * from {{ ref('int_promises') }}
    where state = 'broken'
),

bureau_signals as (
    select * from {{ ref('int_bureau_signals') }}
),

-- Whether the source keeps disputes and promises at all: without the dataset the figure is unknown, not none.
kept_records as (
    select
        (select count(*) from {{ ref('stg_erp__disputes') }}) > 0 as has_disputes,
        (select count(*) from {{ ref('stg_erp__promises') }}) > 0 as has_promises
),

open_on as (
    select
        customer_id,
        snapshot_date,
        sum(balance_reporting - trifle_reporting) as balance,
        sum(owed_reporting) as owed,
        sum(late_30_reporting) as past_due_30,
        sum(late_60_reporting) as past_due_60,
        max(oldest_days_late) as oldest_past_due
    from balances
    group by customer_id, snapshot_date
),

disputed_invoices as (
    select
        customer_id,
        snapshot_date,
        invoice_id,
        max(invoice_open_amount) as open_amount,
        max(disputed_amount) as disputed_amount,
        sum(open_amount_reporting) as open_amount_reporting
    from disputed_items
    group by customer_id, snapshot_date, invoice_id
),

disputed_on as (
    select
        customer_id,
        snapshot_date,
        sum(
            case
                when disputed_amount = open_amount then open_amount_reporting
                else cast(open_amount_reporting as decimal(19, 4)) * {{ ratio('disputed_amount', 'open_amount') }}
            end
        ) as disputed
    from disputed_invoices
    group by customer_id, snapshot_date
),

broken_on as (
    select
        promises.customer_id,
        snapshot_dates.snapshot_date,
        count(*) as broken_promises
    from promises
    inner join snapshot_dates
        on promises.grace_until < snapshot_dates.snapshot_date
        and promises.promised_date > {{ dbt.dateadd('month', -12, 'snapshot_dates.snapshot_date') }}
    group by promises.customer_id, snapshot_dates.snapshot_date
),

limits as (
    select
        customers.customer_id,
        customers.credit_limit,
        coalesce(customers.currency, companies.currency) as currency,
        companies.reporting_currency
    from customers
    left join companies on customers.company_id = companies.company_id
    where customers.credit_limit > 0
),

-- One rate a snapshot date and pair of currencies, found once and not once a customer.
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
)

select
    payment_windows.customer_id,
    payment_windows.snapshot_date,
    payment_windows.is_as_of,
    payment_windows.dbt_days_24m,
    payment_windows.dbt_days_6m,
    trends.dbt_slope,
    trends.direction as dbt_direction,
    payment_windows.max_days_late_12m,
    -- Nothing past due is a known nought, not a missing value.
    coalesce(open_on.oldest_past_due, 0) as oldest_past_due,
    {{ ratio('open_on.past_due_30', 'open_on.owed') }} as past_due_share_30,
    {{ ratio('open_on.past_due_60', 'open_on.owed') }} as past_due_share_60,
    payment_windows.on_time_share_24m,
    payment_windows.paid_invoices_24m,
    {{ ratio(dbt.datediff('payment_windows.customer_since', 'payment_windows.snapshot_date', 'day'), '365.25') }} as relationship_years,
    case when kept_records.has_disputes then {{ ratio('coalesce(disputed_on.disputed, 0)', 'open_on.owed') }} end as disputed_share,
    case when kept_records.has_promises then coalesce(broken_on.broken_promises, 0) end as broken_promises_12m,
    -- The source says what the account is today, not since when: history must not inherit it.
    case when payment_windows.is_as_of then customers.status end as account_status,
    {{ ratio(
        'coalesce(open_on.balance, 0)',
        converted('limits.credit_limit', 'limits.currency', 'limits.reporting_currency', 'rates_at')
    ) }} as credit_used_share,
    customers.gross_margin_pct,
    customers.strategic_value,
    bureau_signals.bureau_score,
    bureau_signals.bureau_score_source,
    bureau_signals.bureau_score_weight,
    bureau_signals.bureau_score_change_6m,
    bureau_signals.bureau_dbt,
    bureau_signals.bureau_dbt_source,
    bureau_signals.bureau_dbt_weight,
    bureau_signals.bureau_dbt - bureau_signals.industry_dbt as industry_dbt_gap,
    bureau_signals.bureau_status,
    bureau_signals.bureau_status_source,
    bureau_signals.current_ratio,
    bureau_signals.quick_ratio,
    bureau_signals.debt_to_equity,
    bureau_signals.ratios_source,
    bureau_signals.ratios_weight
from payment_windows
cross join kept_records
inner join customers on payment_windows.customer_id = customers.customer_id
left join trends
    on payment_windows.customer_id = trends.customer_id
    and payment_windows.last_complete_month_index = trends.month_index
left join open_on
    on payment_windows.customer_id = open_on.customer_id
    and payment_windows.snapshot_date = open_on.snapshot_date
left join disputed_on
    on payment_windows.customer_id = disputed_on.customer_id
    and payment_windows.snapshot_date = disputed_on.snapshot_date
left join broken_on
    on payment_windows.customer_id = broken_on.customer_id
    and payment_windows.snapshot_date = broken_on.snapshot_date
left join limits on payment_windows.customer_id = limits.customer_id
left join rates_at
    on payment_windows.snapshot_date = rates_at.snapshot_date
    and limits.currency = rates_at.from_currency
    and limits.reporting_currency = rates_at.to_currency
left join bureau_signals
    on payment_windows.customer_id = bureau_signals.customer_id
    and payment_windows.snapshot_date = bureau_signals.snapshot_date
