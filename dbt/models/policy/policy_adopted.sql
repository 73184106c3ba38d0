with adoption as (
    select * from {{ policy_rows('policy_adoption') }} as policy_adoption
),

ledger as (
    select * from {{ ref('stg_reference__ledger') }}
)

select coalesce(own.adopted_on, any_source.adopted_on, ledger.first_morning) as adopted_on
from ledger
left join adoption as own on ledger.source = own.source
left join adoption as any_source on any_source.source = '*'
