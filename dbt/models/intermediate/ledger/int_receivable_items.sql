with documents as (
    select * from {{ ref('int_documents') }}
),

instalments as (
    select * from {{ ref('stg_erp__instalments') }}
),

payments as (
    select * from {{ ref('stg_erp__payments') }}
    where payment_date <= {{ as_of() }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

document_items as (
    select
        case
            when instalments.instalment_number is null then documents.invoice_id
            else documents.invoice_id || '/' || cast(instalments.instalment_number as varchar)
        end as item_id,
        documents.document_type as item_type,
        documents.invoice_id,
        cast(null as varchar) as payment_id,
        coalesce(instalments.instalment_number, 0) as instalment_number,
        documents.document_number,
        documents.company_id,
        documents.customer_id,
        documents.document_date,
        case when documents.document_type <> 'credit_memo' then coalesce(instalments.due_date, documents.due_date) end as due_date,
        case
            when documents.document_type = 'credit_memo' then 'none'
            when instalments.due_date is not null then 'document'
            else documents.due_date_source
        end as due_date_source,
        documents.currency,
        coalesce(instalments.amount, documents.amount) as original_amount,
        documents.voided_on,
        documents.product_line,
        documents.sales_rep,
        documents.known_at,
        documents.first_known_at
    from documents
    left join instalments
        on documents.invoice_id = instalments.invoice_id
        and documents.document_type <> 'credit_memo'
),

payment_items as (
    select
        'payment/' || payments.payment_id as item_id,
        'payment' as item_type,
        cast(null as varchar) as invoice_id,
        payments.payment_id,
        0 as instalment_number,
        payments.payment_id as document_number,
        {{ owning_company('payments.company_id', 'customers.company_id') }} as company_id,
        payments.customer_id,
        payments.payment_date as document_date,
        cast(null as date) as due_date,
        'none' as due_date_source,
        payments.currency,
        payments.amount as original_amount,
        case when payments.reversed_on <= {{ as_of() }} then payments.reversed_on end as voided_on,
        cast(null as varchar) as product_line,
        customers.sales_rep,
        payments.known_at,
        payments.first_known_at
    from payments
    left join customers on payments.customer_id = customers.customer_id
    left join companies as only_company on only_company.is_only
),

items as (
    {% for kind in ("document_items", "payment_items") %}
    select
        item_id,
        item_type,
        invoice_id,
        payment_id,
        instalment_number,
        document_number,
        company_id,
        customer_id,
        document_date,
        due_date,
        due_date_source,
        currency,
        original_amount,
        voided_on,
        product_line,
        sales_rep,
        known_at,
        first_known_at
    from {{ kind }}
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    items.item_id,
    items.item_type,
    items.invoice_id,
    items.payment_id,
    items.instalment_number,
    items.document_number,
    items.company_id,
    items.customer_id,
    items.document_date,
    items.due_date,
    items.due_date_source,
    items.currency,
    items.original_amount,
    items.voided_on,
    companies.currency as base_currency,
    companies.reporting_currency,
    items.product_line,
    items.sales_rep,
    customers.region,
    customers.industry,
    items.known_at,
    items.first_known_at
from items
left join companies on items.company_id = companies.company_id
left join customers on items.customer_id = customers.customer_id
