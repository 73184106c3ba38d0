with invoices as (
    select * from {{ ref('stg_erp__invoices') }}
    where invoice_date <= {{ as_of() }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

payment_terms as (
    select * from {{ ref('stg_erp__payment_terms') }}
),

documents as (
    select
        invoices.invoice_id,
        invoices.invoice_number,
        invoices.document_type,
        {{ owning_company('invoices.company_id', 'customers.company_id') }} as company_id,
        invoices.customer_id,
        invoices.invoice_date,
        invoices.due_date,
        invoices.currency,
        invoices.amount,
        invoices.tax_amount,
        invoices.voided_on,
        invoices.po_number,
        invoices.delivered_on,
        invoices.sent_at,
        coalesce(invoices.payment_terms, customers.payment_terms) as payment_terms,
        coalesce(invoices.sales_rep, customers.sales_rep) as sales_rep,
        invoices.product_line,
        invoices.known_at,
        invoices.first_known_at
    from invoices
    left join customers on invoices.customer_id = customers.customer_id
    left join companies as only_company on only_company.is_only
)

select
    row_number() over () as document_key,
    documents.invoice_id,
    documents.invoice_number as document_number,
    documents.document_type,
    documents.company_id,
    documents.customer_id,
    documents.invoice_date as document_date,
    coalesce(
        documents.due_date,
        cast({{ dbt.dateadd('day', 'payment_terms.net_days', 'documents.invoice_date') }} as date)
    ) as due_date,
    case
        when documents.due_date is not null then 'document'
        when payment_terms.net_days is not null then 'terms'
        else 'none'
    end as due_date_source,
    documents.currency,
    documents.amount,
    documents.tax_amount,
    case when documents.voided_on <= {{ as_of() }} then documents.voided_on end as voided_on,
    documents.po_number,
    documents.delivered_on,
    case
        when {{ day_in_zone('documents.sent_at', 'companies.timezone') }} <= {{ as_of() }}
            then {{ day_in_zone('documents.sent_at', 'companies.timezone') }}
    end as sent_on,
    documents.payment_terms,
    documents.sales_rep,
    documents.product_line,
    companies.currency as base_currency,
    companies.reporting_currency,
    documents.known_at,
    documents.first_known_at
from documents
left join payment_terms on documents.payment_terms = payment_terms.payment_terms
left join companies on documents.company_id = companies.company_id
