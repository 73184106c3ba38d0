with landed as (
    select * from {{ source('erp', 'invoices') }}
    where not _deleted
),

-- Few documents ever change hands: find them first.
moved as (
    select invoice_id
    from landed
    group by invoice_id
    having min(customer_id) <> max(customer_id)
)

select
    landed.invoice_id,
    landed.customer_id,
    max(landed._as_of) as last_seen_on
from landed
inner join moved on landed.invoice_id = moved.invoice_id
group by landed.invoice_id, landed.customer_id
