with disputes as (
    select * from {{ ref('int_dispute_clock') }}
    where resolved_on is null
),

documents as (
    select * from {{ ref('int_documents') }}
),

still_open as (
    select
        invoice_id,
        sum(open_amount) as open_amount
    from {{ ref('int_open_items') }}
    where {{ is_receivable('item_type') }}
    group by invoice_id
),

customers as (
    select * from {{ ref('int_customers') }}
),

collectors as (
    select * from {{ ref('int_collectors') }}
)

select
    {{ as_of() }} as as_of,
    cast(disputes.dispute_id as string) as dispute_id,
    cast(disputes.customer_id as string) as customer_id,
    cast(coalesce(customers.name, disputes.customer_id) as string) as customer_name,
    cast(disputes.company_id as string) as company_id,
    cast(collectors.collector as string) as collector,
    cast(disputes.invoice_id as string) as invoice_id,
    cast(documents.document_number as string) as document_number,
    cast(disputes.reason as string) as reason,
    cast(disputes.owner as string) as owner,
    cast(
        case
            when disputes.resolve_by < {{ as_of() }} then 'overdue'
            when disputes.responded_on is null and disputes.respond_by < {{ as_of() }} then 'answer_overdue'
            when disputes.responded_on is null then 'to_answer'
            else 'to_settle'
        end as string
    ) as state,
    cast(disputes.opened_on as date) as opened_on,
    cast({{ dbt.datediff('disputes.opened_on', as_of(), 'day') }} as integer) as days_open,
    cast(disputes.respond_by as date) as respond_by,
    cast(disputes.responded_on as date) as responded_on,
    cast(disputes.resolve_by as date) as resolve_by,
    cast(greatest({{ dbt.datediff('disputes.resolve_by', as_of(), 'day') }}, 0) as integer) as days_overdue,
    cast(disputes.currency as string) as currency,
    cast(least(disputes.amount, coalesce(still_open.open_amount, 0)) as decimal(18, 4)) as disputed_amount
from disputes
inner join documents on disputes.invoice_id = documents.invoice_id
left join still_open on disputes.invoice_id = still_open.invoice_id
left join customers on disputes.customer_id = customers.customer_id
left join collectors on disputes.customer_id = collectors.customer_id
