with snapshot as (
    select * from {{ ref('int_items_snapshot') }}
    where is_as_of
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
    where is_as_of
)

select
    snapshot.item_key,
    snapshot.item_type,
    snapshot.invoice_id,
    snapshot.company_id,
    snapshot.customer_id,
    snapshot.currency,
    snapshot.document_date,
    snapshot.due_date,
    snapshot.open_amount,
    snapshot.aging_days,
    snapshot.days_past_due,
    coalesce(snapshot.days_past_due > 0 and snapshot.open_amount > 0 and customer_balances.is_trifle, false) as is_trifle,
    snapshot.aging_bucket,
    snapshot.open_amount_base,
    snapshot.open_amount_reporting
from snapshot
left join customer_balances
    on snapshot.company_id = customer_balances.company_id
    and snapshot.customer_id = customer_balances.customer_id
    and snapshot.currency = customer_balances.currency
