{{ config(meta={'dagster': {'ref': {'name': 'int_left_out_allocations'}}, 'description': 'Every allocation names an invoice or debit memo and, where it says so, a payment or credit memo that exist; only an adjustment is negative. Those listed do not count.'}) }}

with left_out as (
    select * from {{ ref('int_left_out_allocations') }}
    where not is_without_source_amount
)

select
    allocation_id,
    invoice_id,
    source_type,
    source_id,
    amount,
    reason
from left_out
