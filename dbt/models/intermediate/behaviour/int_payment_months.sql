with cash as (
    select * from {{ ref('int_cash_applied') }}
    where stands_at_month_end
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
    where oldest_days_late is not null
),

balances as (
    select * from {{ ref('int_item_balances') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
    where {{ is_receivable('item_type') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

-- The trend at the oldest snapshot date looks twelve months further back: those month ends are not snapshot dates.
older_month_ends as (
    select cast({{ dbt.last_day(dbt.dateadd('month', -12, 'snapshot_dates.month'), 'month') }} as date) as month_end
    from snapshot_dates
    where {{ dbt.dateadd('month', -12, 'snapshot_dates.month') }} < (select min(month) from snapshot_dates)
),

past_due_before as (
    select
        items.company_id,
        items.customer_id,
        older_month_ends.month_end,
        {{ converted('balances.open_amount', 'items.currency', 'items.reporting_currency', 'exchange_rates') }} as amount,
        {{ dbt.datediff('items.due_date', 'older_month_ends.month_end', 'day') }} as days_late
    from balances
    inner join older_month_ends
        on {{ spans('older_month_ends.month_end', 'balances') }}
    inner join items on balances.item_key = items.item_key
    left join exchange_rates
        on {{ rate_on('older_month_ends.month_end', 'items.currency', 'items.reporting_currency') }}
    where items.due_date < older_month_ends.month_end and balances.open_amount > 0
),

weighed_before as (
    select
        *,
        {{ below_trifle('sum(amount) over (partition by month_end, company_id, customer_id)') }} as is_trifle
    from past_due_before
),

past_due as (
    select customer_id, month_end, amount, amount * days_late as amount_x_days from weighed_before where not is_trifle
    union all
    select customer_id, snapshot_date as month_end, late_reporting as amount, late_x_days_reporting as amount_x_days from customer_balances
),

weights as (
    select
        customer_id,
        month_end,
        amount_reporting as paid,
        case when days_to_pay is not null then amount_reporting end as paid_with_days,
        amount_reporting * days_to_pay as paid_x_days_to_pay,
        case when days_late is not null then amount_reporting end as paid_with_due_date,
        case when days_late <= 0 then amount_reporting end as paid_on_time,
        amount_reporting * greatest(days_late, 0) as paid_x_days_late,
        amount_reporting * days_late as paid_x_days_signed,
        cast(null as decimal(18, 4)) as past_due,
        cast(null as decimal(24, 4)) as past_due_x_days
    from cash
    union all
    select
        customer_id,
        month_end,
        null as paid,
        null as paid_with_days,
        null as paid_x_days_to_pay,
        null as paid_with_due_date,
        null as paid_on_time,
        null as paid_x_days_late,
        null as paid_x_days_signed,
        amount as past_due,
        amount_x_days as past_due_x_days
    from past_due
),

months as (
    select
        customer_id,
        month_end,
        coalesce(sum(paid), 0) as paid_amount,
        sum(paid_with_days) as paid_with_days,
        sum(paid_x_days_to_pay) as paid_x_days_to_pay,
        coalesce(sum(paid_with_due_date), 0) as paid_with_due_date,
        coalesce(sum(paid_on_time), 0) as paid_on_time,
        coalesce(sum(paid_x_days_late), 0) as paid_x_days_late,
        coalesce(sum(paid_x_days_signed), 0) as paid_x_days_signed,
        coalesce(sum(past_due), 0) as past_due_amount,
        coalesce(sum(past_due_x_days), 0) as past_due_x_days
    from weights
    group by customer_id, month_end
)

select
    customer_id,
    month_end,
    {{ month_index('month_end') }} as month_index,
    month_end = cast({{ dbt.last_day('month_end', 'month') }} as date) as is_complete,
    paid_amount,
    past_due_amount,
    past_due_x_days,
    paid_with_due_date + past_due_amount as weighed_amount,
    paid_x_days_late + past_due_x_days as weighed_x_days,
    {{ ratio('paid_x_days_late', 'paid_with_due_date') }} as dbt_days_paid,
    {{ ratio('paid_x_days_signed', 'paid_with_due_date') }} as days_late_signed,
    {{ ratio('past_due_x_days', 'past_due_amount') }} as dbt_days_open,
    {{ ratio('paid_x_days_late + past_due_x_days', 'paid_with_due_date + past_due_amount') }} as dbt_days,
    {{ ratio('paid_x_days_to_pay', 'paid_with_days') }} as days_to_pay,
    {{ ratio('paid_on_time', 'paid_with_due_date') }} as on_time_share
from months
