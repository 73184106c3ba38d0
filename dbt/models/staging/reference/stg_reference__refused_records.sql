with refused_records as (
    select * from {{ source('reference', 'refused_records') }}
)

select
    dataset,
    record_id,
    customer_id,
    invoice_id
from refused_records
