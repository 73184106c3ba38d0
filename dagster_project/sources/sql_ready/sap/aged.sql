-- What BSID holds open, in the currency of its documents: debits less credits.
select
    o.kunnr as customer_id,
    upper(o.waers) as currency,
    sum(
        cast(
            case when o.shkzg = 'S' then abs(o.wrbtr) else -abs(o.wrbtr) end
            * case coalesce(x.currdec, 2) when 0 then 100 when 1 then 10 when 3 then 0.1 when 4 then 0.01 else 1 end as decimal(18, 4)
        )
    ) as balance
from bsid as o
left join bsad as c on o.bukrs = c.bukrs and o.belnr = c.belnr and o.gjahr = c.gjahr and o.buzei = c.buzei
left join tcurx as x on upper(o.waers) = x.currkey
where coalesce(o.umskz, '') in ('', ' ') and coalesce(o.bstat, '') in ('', ' ') and c.belnr is null
group by o.kunnr, upper(o.waers)
