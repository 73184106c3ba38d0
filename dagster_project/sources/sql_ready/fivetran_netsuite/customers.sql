select
    c.id as customer_id,
    coalesce(c.companyname, c.altname, c.entityid) as name,
    c.parent as parent_customer_id,
    m.symbol as currency,
    cast(c.firstsaledate as date) as customer_since,
    cast(c.creditlimit as decimal(18, 4)) as credit_limit,
    c.email,
    c.phone,
    c.salesrep as sales_rep,
    case
        when c.isinactive = 'T' then 'closed'
        when c.creditholdoverride = 'ON' or (coalesce(c.creditholdoverride, 'AUTO') = 'AUTO' and c.oncredithold = 'T') then 'on_hold'
        else 'active'
    end as status,
    c.lastmodifieddate as updated_at
from customer as c
left join currency as m on c.currency = m.id
where not coalesce(c._fivetran_deleted, false)
