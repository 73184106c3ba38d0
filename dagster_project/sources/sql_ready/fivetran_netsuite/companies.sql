select
    s.id as company_id,
    s.name,
    c.symbol as currency,
    s.country
from subsidiary as s
inner join currency as c on s.currency = c.id
where not coalesce(s._fivetran_deleted, false) and coalesce(s.iselimination, 'F') <> 'T'
