{{ config(materialized='view') }}

with promises as (
    select * from {{ ref('int_promises') }}
),

documents as (
    select * from {{ ref('int_documents') }}
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

months as (
    select * from {{ ref('int_kpi_months') }}
)

-- A promise belongs to the month in which it would be broken.
select
    months.month,
    coalesce(documents.company_id, customers.company_id) as company_id,
    promises.customer_id,
    sum({{ converted('promises.amount', 'promises.currency', 'companies.reporting_currency', 'exchange_rates') }}) as promised,
    sum(
        case
            when promises.state = 'kept'
                then {{ converted('promises.amount', 'promises.currency', 'companies.reporting_currency', 'exchange_rates') }}
            else 0
        end
    ) as promised_and_kept
from promises
inner join months on {{ dbt.date_trunc('month', 'promises.grace_until') }} = months.month
left join documents on promises.invoice_id = documents.invoice_id
left join customers on promises.customer_id = customers.customer_id
inner join companies on coalesce(documents.company_id, customers.company_id) = companies.company_id
left join exchange_rates
    on {{ rate_on('promises.promised_date', 'promises.currency', 'companies.reporting_currency') }}
group by months.month, coalesce(documents.company_id, customers.company_id), promises.customer_id
