{#- A view: what reads all of it makes a table of its own. -#}
{{ config(materialized='view') }}
with latest as (
    {{ latest_version(source('erp', 'invoices'), ['invoice_id']) }}
)

select
    invoice_id,
    invoice_number,
    customer_id,
    document_type,
    invoice_date,
    currency,
    amount,
    company_id,
    due_date,
    payment_terms,
    tax_amount,
    po_number,
    delivered_on,
    sent_at,
    order_number,
    sales_rep,
    product_line,
    corrects_invoice_id,
    delivery_channel,
    document_url,
    voided_on,
    open_amount_reported,
    updated_at,
    _loaded_at as known_at,
    _first_loaded_at as first_known_at
from latest
