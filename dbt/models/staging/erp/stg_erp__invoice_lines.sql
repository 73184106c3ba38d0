with latest as (
    {{ latest_version(source('erp', 'invoice_lines'), ['invoice_id', 'line_number']) }}
)

select
    invoice_id,
    line_number,
    amount,
    description,
    quantity,
    unit_price,
    tax_amount,
    _loaded_at as known_at
from latest
