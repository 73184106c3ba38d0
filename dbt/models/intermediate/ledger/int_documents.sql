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

business_days as (
    select * from {{ ref('int_business_days') }}
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
        invoices.corrects_invoice_id,
        invoices.delivery_channel,
        invoices.document_url,
        invoices.open_amount_reported,
        invoices.known_at,
        invoices.first_known_at
    from invoices
    left join customers on invoices.customer_id = customers.customer_id
    left join companies as only_company on only_company.is_only
),

termed as (
    select
        documents.*,
        companies.timezone,
        companies.calendar,
        companies.currency as base_currency,
        companies.reporting_currency,
        payment_terms.business_days,
        {{ due_by_terms('payment_terms', 'documents.invoice_date') }} as asked_by
    from documents
    left join payment_terms on documents.payment_terms = payment_terms.payment_terms
    left join companies on documents.company_id = companies.company_id
),

-- Whatever the terms say, the source may have moved the day to the next business day.
by_terms as (
    select
        termed.*,
        case termed.business_days
            when 'next' then coalesce(asked_day.next_business_day, termed.asked_by)
            when 'previous' then coalesce(asked_day.previous_business_day, termed.asked_by)
            else termed.asked_by
        end as due_by_terms,
        case termed.business_days
            when 'previous' then coalesce(asked_day.previous_business_day, termed.asked_by)
            else coalesce(asked_day.next_business_day, termed.asked_by)
        end as next_due_by_terms
    from termed
    left join business_days as asked_day
        on termed.calendar = asked_day.calendar
        and termed.asked_by = asked_day.date_day
),

dated as (
    select
        by_terms.*,
        coalesce(by_terms.due_date, by_terms.due_by_terms) as given_due_date,
        {{ believed_due_date('coalesce(by_terms.due_date, by_terms.due_by_terms)', 'by_terms.invoice_date') }} as believed_due_date
    from by_terms
)

select
    {{ row_key('dated.invoice_id') }} as document_key,
    dated.invoice_id,
    dated.invoice_number as document_number,
    dated.document_type,
    dated.company_id,
    dated.customer_id,
    dated.invoice_date as document_date,
    {{ off_days_off('dated.believed_due_date', 'due_day') }} as due_date,
    case
        when dated.given_due_date is null then 'none'
        when dated.believed_due_date is null then 'not_believed'
        when dated.due_date is not null then 'document'
        else 'terms'
    end as due_date_source,
    dated.due_date as own_due_date,
    dated.due_by_terms,
    dated.next_due_by_terms,
    case
        when dated.believed_due_date in (dated.due_by_terms, dated.next_due_by_terms)
            then {{ dbt.datediff('dated.invoice_date', 'dated.asked_by', 'day') }}
        else {{ dbt.datediff('dated.invoice_date', 'dated.believed_due_date', 'day') }}
    end as credit_days,
    dated.currency,
    dated.amount,
    dated.tax_amount,
    case when dated.voided_on <= {{ as_of() }} then dated.voided_on end as voided_on,
    dated.po_number,
    dated.delivered_on,
    case
        when {{ day_in_zone('dated.sent_at', 'dated.timezone') }} <= {{ as_of() }}
            then {{ day_in_zone('dated.sent_at', 'dated.timezone') }}
    end as sent_on,
    dated.payment_terms,
    dated.sales_rep,
    dated.product_line,
    dated.corrects_invoice_id,
    dated.delivery_channel,
    dated.document_url,
    dated.open_amount_reported,
    dated.calendar,
    dated.base_currency,
    dated.reporting_currency,
    dated.known_at,
    dated.first_known_at
from dated
left join business_days as due_day
    on dated.calendar = due_day.calendar
    and dated.believed_due_date = due_day.date_day
