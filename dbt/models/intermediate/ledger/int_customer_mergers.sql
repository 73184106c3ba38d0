with earlier_customers as (
    select * from {{ ref('stg_erp__earlier_customers') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

customers as (
    select * from {{ ref('int_customers') }}
    where status <> 'closed'
),

-- By where each document is now: what was moved on once more leads to the last account at once.
moved as (
    select
        earlier_customers.customer_id as merged_customer_id,
        documents.customer_id,
        count(*) as document_count
    from earlier_customers
    inner join documents
        on earlier_customers.invoice_id = documents.invoice_id
        and earlier_customers.customer_id <> documents.customer_id
    group by earlier_customers.customer_id, documents.customer_id
),

left_behind as (
    select distinct documents.customer_id
    from documents
    inner join moved on documents.customer_id = moved.merged_customer_id
),

taken_over as (
    select
        moved.merged_customer_id,
        moved.customer_id,
        moved.document_count
    from moved
    left join customers on moved.merged_customer_id = customers.customer_id
    left join left_behind on moved.merged_customer_id = left_behind.customer_id
    where customers.customer_id is null or left_behind.customer_id is null
)

select
    merged_customer_id,
    customer_id,
    cast(document_count as integer) as document_count
from {{ first_of('taken_over', 'merged_customer_id', 'document_count desc, customer_id') }} as by_documents
