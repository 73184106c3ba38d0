with documents as (
    select * from {{ ref('int_documents') }}
    where voided_on is null
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

-- One rate a day and pair of currencies, found once: looking each document's up among the intervals costs fifty times as much.
days as (
    select distinct
        currency,
        reporting_currency,
        document_date
    from documents
),

rates as (
    select
        days.currency,
        days.reporting_currency,
        days.document_date,
        exchange_rates.rate,
        exchange_rates.to_digits
    from days
    inner join exchange_rates
        on days.currency = exchange_rates.from_currency
        and days.reporting_currency = exchange_rates.to_currency
        and exchange_rates.valid_from <= days.document_date
        and (exchange_rates.valid_to is null or exchange_rates.valid_to > days.document_date)
),

billed as (
    select
        documents.customer_id,
        documents.company_id,
        documents.document_date,
        case when documents.document_type = 'credit_memo' then -1 else 1 end
        * {{ converted('documents.amount', 'documents.currency', 'documents.reporting_currency', 'rates') }} as amount
    from documents
    left join rates
        on documents.currency = rates.currency
        and documents.reporting_currency = rates.reporting_currency
        and documents.document_date = rates.document_date
)

select
    customer_id,
    company_id,
    document_date,
    cast({{ dbt.date_trunc('month', 'document_date') }} as date) as month,
    cast(sum(amount) as decimal(18, 4)) as billed
from billed
group by customer_id, company_id, document_date
