with open_items as (
    select * from {{ ref('int_open_items') }}
    where item_type in ('invoice', 'debit_memo') and open_amount > 0
),

delays as (
    select * from {{ ref('int_payment_delays') }}
    where outcome = 'open'
),

item_disputes as (
    select * from {{ ref('int_item_disputes') }}
),

disputes as (
    select * from {{ ref('int_disputes') }}
),

promised as (
    select
        item_key,
        max(made_on) as made_on,
        max(promised_date) as promised_date
    from {{ ref('int_promised_items') }}
    where state = 'pending'
    group by item_key
),

-- Of a dispute and a promise the later word counts.
said as (
    select
        open_items.item_key,
        open_items.customer_id,
        open_items.due_date,
        case
            when promised.promised_date is not null and (disputes.opened_on is null or promised.made_on >= disputes.opened_on)
                then 'promise'
            when disputes.opened_on is not null then 'dispute'
            when open_items.due_date is not null then 'habit'
        end as curve,
        promised.promised_date,
        disputes.opened_on,
        coalesce(delays.channel_days, 0) as channel_days
    from open_items
    left join delays on open_items.item_key = delays.item_key
    left join item_disputes on open_items.item_key = item_disputes.item_key
    left join disputes on item_disputes.invoice_id = disputes.invoice_id
    left join promised on open_items.item_key = promised.item_key
),

started as (
    select
        said.*,
        case curve
            when 'promise' then promised_date
            when 'dispute' then opened_on
            else {{ days_after('due_date', 'channel_days') }}
        end as day_zero
    from said
    where curve is not null
)

select
    item_key,
    customer_id,
    due_date,
    curve,
    case when curve = 'habit' then customer_id else '' end as curve_customer_id,
    day_zero,
    cast({{ dbt.datediff('day_zero', as_of(), 'day') }} as integer) as age_days,
    channel_days
from started
