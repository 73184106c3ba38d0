{#- A view: what reads all of it makes a table of its own. -#}
{{ config(materialized='view') }}
with latest as (
    {{ latest_version(source('erp', 'allocations'), ['allocation_id']) }}
)

select
    allocation_id,
    invoice_id,
    source_type,
    allocated_on,
    amount,
    source_id,
    source_amount,
    instalment_number,
    reversed_on,
    reason,
    updated_at,
    _loaded_at as known_at,
    _first_loaded_at as first_known_at
from latest
