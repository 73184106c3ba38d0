with customers as (
    select * from {{ ref('int_customers') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

first_documents as (
    select
        customer_id,
        min(document_date) as first_document_on
    from documents
    group by customer_id
),

known_since as (
    select
        customers.customer_id,
        first_documents.first_document_on,
        least(
            coalesce(customers.customer_since, first_documents.first_document_on),
            coalesce(first_documents.first_document_on, customers.customer_since)
        ) as customer_since
    from customers
    left join first_documents on customers.customer_id = first_documents.customer_id
)

select
    known_since.customer_id,
    snapshot_dates.snapshot_date,
    snapshot_dates.is_as_of,
    known_since.first_document_on,
    known_since.customer_since,
    {{ month_index('snapshot_dates.snapshot_date') }} as month_index,
    case
        when snapshot_dates.snapshot_date = cast({{ dbt.last_day('snapshot_dates.snapshot_date', 'month') }} as date)
            then {{ month_index('snapshot_dates.snapshot_date') }}
        else {{ month_index('snapshot_dates.snapshot_date') }} - 1
    end as last_complete_month_index
from known_since
inner join snapshot_dates
    on known_since.customer_since <= snapshot_dates.snapshot_date
    or snapshot_dates.is_as_of
