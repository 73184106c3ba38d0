-- The number with its zeros is the key. A name in two fields is one. Terms and a block count where every company code says the same.
with of_companies as (
    select
        kunnr,
        case when min(zterm) = max(zterm) then nullif(min(zterm), '') end as zterm,
        min(coalesce(sperr, '')) as sperr
    from knb1
    group by kunnr
),

mail as (
    select addrnumber, coalesce(min(case when flgdefault = 'X' then smtp_addr end), min(smtp_addr)) as smtp_addr
    from adr6
    where coalesce(smtp_addr, '') <> ''
    group by addrnumber
)

select
    k.kunnr as customer_id,
    trim(concat(coalesce(k.name1, ''), ' ', coalesce(k.name2, ''))) as name,
    k.land1 as country,
    nullif(k.regio, '') as region,
    nullif(k.brsch, '') as industry,
    case when length(k.erdat) = 8 and k.erdat <> '00000000' then concat(substr(k.erdat, 1, 4), '-', substr(k.erdat, 5, 2), '-', substr(k.erdat, 7, 2)) end
        as customer_since,
    o.zterm as payment_terms,
    nullif(k.stceg, '') as registration_number,
    mail.smtp_addr as email,
    nullif(k.telf1, '') as phone,
    case upper(k.spras)
        when 'D' then 'de' when 'E' then 'en' when 'F' then 'fr' when 'I' then 'it' when 'S' then 'es' when 'N' then 'nl' when 'P' then 'pt'
        when 'L' then 'pl'
        else case when length(k.spras) = 2 then lower(k.spras) end
    end as language,
    case
        when coalesce(k.loevm, '') <> '' then 'closed'
        when coalesce(k.aufsd, '') <> '' or coalesce(k.sperr, '') <> '' or coalesce(o.sperr, '') <> '' then 'on_hold'
        else 'active'
    end as status
from kna1 as k
left join of_companies as o on k.kunnr = o.kunnr
left join mail on k.adrnr = mail.addrnumber
