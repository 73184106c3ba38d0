with ledger as (
    select * from {{ source('reference', 'ledger') }}
)

select
    source,
    first_morning
from ledger
