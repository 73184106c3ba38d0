with documents as (
    select * from {{ ref('int_documents') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

-- What was billed stays billed in its month, and is taken back on the day it is voided: as receivables have it, and the roll-forward.
moved as (
    select
        customer_id,
        company_id,
        product_line,
        currency,
        reporting_currency,
        document_date as moved_on,
        case when document_type = 'credit_memo' then -amount else amount end as amount
    from documents
    union all
    select
        customer_id,
        company_id,
        product_line,
        currency,
        reporting_currency,
        greatest(voided_on, document_date) as moved_on,
        case when document_type = 'credit_memo' then amount else -amount end as amount
    from documents
    where voided_on is not null
),

-- One rate a day and pair of currencies, found once: looking each document's up among the intervals costs fifty times as much.
days as (
    select distinct
        currency,
        reporting_currency,
        moved_on
    from moved
),

rates as (
    select
        days.currency,
        days.reporting_currency,
        days.moved_on,
        exchange_rates.rate,
        exchange_rates.to_digits
    from days
    inner join exchange_rates
        on {{ rate_on('days.moved_on', 'days.currency', 'days.reporting_currency') }}
),

billed as (
    select
        moved.customer_id,
        moved.company_id,
        coalesce(moved.product_line, 'unknown') as product_line,
        moved.moved_on,
        {{ converted('moved.amount', 'moved.currency', 'moved.reporting_currency', 'rates') }} as amount
    from moved
    left join rates
        on moved.currency = rates.currency
        and moved.reporting_currency = rates.reporting_currency
        and moved.moved_on = rates.moved_on
)

select
    customer_id,
    company_id,
    product_line,
    moved_on,
    cast({{ dbt.date_trunc('month', 'moved_on') }} as date) as month,
    cast(sum(amount) as decimal(18, 4)) as billed
from billed
group by customer_id, company_id, product_line, moved_on
