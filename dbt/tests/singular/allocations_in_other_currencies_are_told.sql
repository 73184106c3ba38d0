{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'int_left_out_allocations'}}, 'description': 'An allocation between two currencies says in source_amount what it takes of the payment. Those listed are left out, and their invoices held as possibly paid.'}) }}

with left_out as (
    select * from {{ ref('int_left_out_allocations') }}
    where is_without_source_amount
)

select
    allocation_id,
    invoice_id,
    source_type,
    source_id,
    amount,
    reason
from left_out
