with ledger as (
    select * from {{ source('reference', 'ledger') }}
)

select
    source,
    bureau,
    first_morning
from ledger
