with latest as (
    {{ latest_version(source('erp', 'instalments'), ['invoice_id', 'instalment_number']) }}
)

select
    invoice_id,
    instalment_number,
    due_date,
    amount,
    _loaded_at as known_at
from latest
