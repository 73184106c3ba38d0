{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'int_instalments'}}, 'description': 'Nothing is left by the rounding of instalments. Those listed are the last of their invoice and take what was left.'}) }}

with instalments as (
    select * from {{ ref('int_instalments') }}
)

select
    invoice_id,
    instalment_number,
    own_amount as scheduled_amount,
    amount as counted_amount
from instalments
where amount <> own_amount
