{#- A view: documents are a table already, and terms that give a discount are few. -#}
{{ config(materialized='view') }}
with documents as (
    select * from {{ ref('int_documents') }}
),

payment_terms as (
    select * from {{ ref('stg_erp__payment_terms') }}
    where discount_pct > 0
)

select
    documents.invoice_id,
    payment_terms.discount_pct,
    payment_terms.discount_days,
    {{ days_after('documents.document_date', 'payment_terms.discount_days') }} as discount_until
from documents
inner join payment_terms on documents.payment_terms = payment_terms.payment_terms
