{{ config(meta={'dagster': {'ref': {'name': 'aging_history'}}, 'description': 'Where the aging counts from the due date, what is past due is what stands in the buckets past the first.'}) }}

with aging_history as (
    select * from {{ ref('aging_history') }}
)

select
    snapshot_date,
    company_id,
    customer_id,
    currency,
    past_due,
    d1_30 + d31_60 + d61_90 + d90_plus as in_late_buckets
from aging_history
where
    d1_30 + d31_60 + d61_90 + d90_plus <> past_due
    and {{ policy_value('aging_policy', 'basis', 'string') }} = 'due_date'
