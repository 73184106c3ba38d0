with disputes as (
    select * from {{ ref('stg_erp__disputes') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
    where {{ is_receivable('item_type') }}
),

balances as (
    select * from {{ ref('int_item_balances') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
),

-- Where one of an invoice's disputes names no amount, all of it is in dispute.
disputed_on as (
    select
        snapshot_dates.snapshot_date,
        disputes.invoice_id,
        case when count(*) = count(disputes.amount) then sum(disputes.amount) end as amount
    from disputes
    inner join snapshot_dates
        on disputes.opened_on <= snapshot_dates.snapshot_date
        and (disputes.resolved_on is null or disputes.resolved_on > snapshot_dates.snapshot_date)
    group by snapshot_dates.snapshot_date, disputes.invoice_id
),

open_on as (
    select
        disputed_on.snapshot_date,
        disputed_on.invoice_id,
        items.item_key,
        items.company_id,
        items.customer_id,
        coalesce(
            items.due_date < disputed_on.snapshot_date and balances.open_amount > 0 and customer_balances.is_trifle, false
        ) as is_trifle,
        balances.open_amount,
        {{ converted('balances.open_amount', 'items.currency', 'items.reporting_currency', 'exchange_rates') }} as open_amount_reporting,
        sum(balances.open_amount) over (partition by disputed_on.snapshot_date, disputed_on.invoice_id) as invoice_open_amount,
        disputed_on.amount as disputed_amount
    from disputed_on
    inner join items on disputed_on.invoice_id = items.invoice_id
    inner join balances
        on items.item_key = balances.item_key
        and {{ spans('disputed_on.snapshot_date', 'balances') }}
    left join exchange_rates
        on {{ rate_on('disputed_on.snapshot_date', 'items.currency', 'items.reporting_currency') }}
    left join customer_balances
        on disputed_on.snapshot_date = customer_balances.snapshot_date
        and items.company_id = customer_balances.company_id
        and items.customer_id = customer_balances.customer_id
        and items.currency = customer_balances.currency
)

select
    snapshot_date,
    invoice_id,
    item_key,
    company_id,
    customer_id,
    is_trifle,
    cast(open_amount as decimal(18, 4)) as open_amount,
    cast(open_amount_reporting as decimal(18, 4)) as open_amount_reporting,
    cast(invoice_open_amount as decimal(18, 4)) as invoice_open_amount,
    cast(least(coalesce(disputed_amount, invoice_open_amount), invoice_open_amount) as decimal(18, 4)) as disputed_amount
from open_on
where invoice_open_amount > 0
