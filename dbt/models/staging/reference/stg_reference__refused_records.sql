with refused_records as (
    select * from {{ source('reference', 'refused_records') }}
)

select
    dataset,
    record_id,
    customer_id,
    invoice_id,
    company_id,
    currency,
    case when regexp_replace(amount, '^[+-]?[0-9]{1,14}([.][0-9]{1,4})?$', '') = '' then cast(amount as decimal(18, 4)) end as amount,
    loaded_for
from refused_records
