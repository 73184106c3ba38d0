with documents as (
    select * from {{ ref('int_documents') }}
    where voided_on is null
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

billed as (
    select
        documents.customer_id,
        documents.company_id,
        documents.document_date,
        case when documents.document_type = 'credit_memo' then -1 else 1 end
        * {{ converted('documents.amount', 'documents.currency', 'documents.reporting_currency', 'exchange_rates.rate') }} as amount
    from documents
    left join exchange_rates
        on documents.currency = exchange_rates.from_currency
        and documents.reporting_currency = exchange_rates.to_currency
        and exchange_rates.valid_from <= documents.document_date
        and (exchange_rates.valid_to is null or exchange_rates.valid_to > documents.document_date)
)

select
    customer_id,
    company_id,
    document_date,
    cast({{ dbt.date_trunc('month', 'document_date') }} as date) as month,
    cast(sum(amount) as decimal(18, 4)) as billed
from billed
group by customer_id, company_id, document_date
