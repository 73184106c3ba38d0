-- The number with its zeros is the key. A name in two fields is one.
select
    kunnr as customer_id,
    trim(concat(coalesce(name1, ''), ' ', coalesce(name2, ''))) as name,
    land1 as country,
    nullif(regio, '') as region,
    nullif(brsch, '') as industry,
    case when length(erdat) = 8 and erdat <> '00000000' then concat(substr(erdat, 1, 4), '-', substr(erdat, 5, 2), '-', substr(erdat, 7, 2)) end
        as customer_since,
    nullif(stceg, '') as registration_number,
    nullif(telf1, '') as phone,
    case
        when coalesce(loevm, '') <> '' then 'closed'
        when coalesce(aufsd, '') <> '' or coalesce(sperr, '') <> '' then 'on_hold'
        else 'active'
    end as status
from kna1
