{#- A view: what reads all of it makes a table of its own. -#}
{{ config(materialized='view') }}
with latest as (
    {{ latest_version(source('erp', 'payments'), ['payment_id']) }}
)

select
    payment_id,
    customer_id,
    payment_date,
    currency,
    amount,
    company_id,
    method,
    reference,
    reversed_on,
    updated_at,
    _loaded_at as known_at,
    _first_loaded_at as first_known_at
from latest
