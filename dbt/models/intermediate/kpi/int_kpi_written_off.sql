with movements as (
    select * from {{ ref('int_item_movements') }}
    where kind = 'write_off'
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
)

select
    months.month,
    movements.company_id,
    movements.customer_id,
    cast(-sum(
        {{ converted('movements.amount', 'movements.currency', 'companies.reporting_currency', 'exchange_rates') }}
    ) as decimal(18, 4)) as written_off_quarter
from movements
inner join months
    on movements.moved_on <= months.snapshot_date
    and movements.moved_on >= months.quarter_start
left join companies on movements.company_id = companies.company_id
left join exchange_rates
    on {{ rate_on('movements.moved_on', 'movements.currency', 'companies.reporting_currency') }}
group by months.month, movements.company_id, movements.customer_id
