with latest as (
    {{ latest_version(source('delivery', 'issued_steps'), ['worklist_date', 'item_id', 'step']) }}
)

select
    worklist_date,
    item_id,
    step,
    customer_id,
    invoice_id,
    policy,
    open_amount,
    currency,
    _loaded_at as known_at
from latest
