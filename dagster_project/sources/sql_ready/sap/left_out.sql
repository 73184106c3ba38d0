with lines as (
    select umskz, bstat from bsid
    union all
    select umskz, bstat from bsad
)

select
    'invoices' as dataset,
    case trim(umskz)
        when 'A' then 'down payments (special G/L A)'
        when 'F' then 'requests for down payments (special G/L F)'
        when 'W' then 'bills of exchange (special G/L W)'
        else concat('special G/L ', trim(umskz))
    end as what,
    count(*) as records
from lines
where coalesce(trim(umskz), '') <> ''
group by trim(umskz)

union all

select 'invoices', 'noted, parked and sample documents', count(*)
from lines
where coalesce(trim(umskz), '') = '' and coalesce(trim(bstat), '') <> ''

union all

select 'invoices', 'documents that reverse others', count(*)
from _reversals
where reverses = 1
