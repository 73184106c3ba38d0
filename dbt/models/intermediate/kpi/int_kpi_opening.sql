{{ config(materialized='view') }}

with balances as (
    select * from {{ ref('int_item_balances') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

standing as (
    select * from {{ ref('int_kpi_standing') }}
),

-- The first month opens with a day that is no snapshot date.
before_first as (
    select
        min(month) as month,
        {{ days_after('min(month)', -1) }} as balance_date
    from months
)

select
    before_first.month,
    items.company_id,
    items.customer_id,
    sum({{ converted('balances.open_amount', 'items.currency', 'items.reporting_currency', 'exchange_rates') }}) as opening_receivables,
    sum(
        case
            when items.due_date < before_first.balance_date and balances.open_amount > 0
                then {{ converted('balances.open_amount', 'items.currency', 'items.reporting_currency', 'exchange_rates') }}
            else 0
        end
    ) as opening_past_due
from balances
inner join before_first
    on {{ spans('before_first.balance_date', 'balances') }}
inner join items on balances.item_key = items.item_key
left join exchange_rates
    on {{ rate_on('before_first.balance_date', 'items.currency', 'items.reporting_currency') }}
group by before_first.month, items.company_id, items.customer_id
union all
select
    months.month,
    standing.company_id,
    standing.customer_id,
    sum(standing.receivables) as opening_receivables,
    sum(standing.past_due) as opening_past_due
from standing
inner join months on {{ dbt.dateadd('month', 1, 'standing.month') }} = months.month
group by months.month, standing.company_id, standing.customer_id
