with snapshot as (
    select * from {{ ref('int_open_items') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

item_disputes as (
    select * from {{ ref('int_item_disputes') }}
),

due_date_shifts as (
    select * from {{ ref('due_date_shifts') }}
),

original_due_dates as (
    select distinct
        invoice_id,
        original_due_date
    from due_date_shifts
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(snapshot.company_id as string) as company_id,
    cast(snapshot.customer_id as string) as customer_id,
    cast(items.item_id as string) as item_id,
    cast(snapshot.item_type as string) as item_type,
    cast(snapshot.invoice_id as string) as invoice_id,
    cast(items.document_number as string) as document_number,
    cast(snapshot.document_date as date) as document_date,
    cast(snapshot.due_date as date) as due_date,
    cast(
        case when items.item_id = items.invoice_id then coalesce(original_due_dates.original_due_date, snapshot.due_date) else snapshot.due_date end
        as date
    ) as original_due_date,
    cast(items.due_date_source as string) as due_date_source,
    cast(snapshot.currency as string) as currency,
    cast(
        case when snapshot.item_type in ('invoice', 'debit_memo', 'refund') then items.original_amount else -items.original_amount end
        as decimal(18, 4)
    ) as original_amount,
    cast(snapshot.open_amount as decimal(18, 4)) as open_amount,
    cast(items.base_currency as string) as base_currency,
    cast(snapshot.open_amount_base as decimal(18, 4)) as open_amount_base,
    cast(items.reporting_currency as string) as reporting_currency,
    cast(snapshot.open_amount_reporting as decimal(18, 4)) as open_amount_reporting,
    cast(snapshot.aging_days as integer) as aging_days,
    cast(snapshot.days_past_due as integer) as days_past_due,
    cast(snapshot.is_trifle as boolean) as is_trifle,
    cast(snapshot.aging_bucket as string) as aging_bucket,
    cast(coalesce(item_disputes.disputed_amount, 0) as decimal(18, 4)) as disputed_amount,
    cast(
        case when {{ is_receivable('snapshot.item_type') }} then snapshot.open_amount < 0 else snapshot.open_amount > 0 end
        as boolean
    ) as over_allocated,
    cast(items.product_line as string) as product_line,
    cast(items.sales_rep as string) as sales_rep,
    cast(customers.region as string) as region,
    cast(customers.industry as string) as industry,
    cast(items.document_url as string) as document_url
from snapshot
inner join items on snapshot.item_key = items.item_key
left join customers on snapshot.customer_id = customers.customer_id
left join original_due_dates on snapshot.invoice_id = original_due_dates.invoice_id
left join item_disputes on snapshot.item_key = item_disputes.item_key
