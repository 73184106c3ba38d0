select
    concat(p.target, ':', p.source) as refund_id,
    i.kunnr as customer_id,
    i.bukrs as company_id,
    concat(substr(i.budat, 1, 4), '-', substr(i.budat, 5, 2), '-', substr(i.budat, 7, 2)) as refunded_on,
    i.currency,
    p.amount,
    p.source_kind as source_type,
    p.source as source_id,
    null as reversed_on
from _pieces as p
inner join _items as i on p.target = i.line_id
where p.target_kind = 'refund' and p.source_kind <> 'write_off'

union all

select
    i.line_id,
    i.kunnr,
    i.bukrs,
    concat(substr(i.budat, 1, 4), '-', substr(i.budat, 5, 2), '-', substr(i.budat, 7, 2)),
    i.currency,
    i.amount - coalesce(s.amount, 0),
    null,
    null,
    case when i.undone_on is not null then concat(substr(i.undone_on, 1, 4), '-', substr(i.undone_on, 5, 2), '-', substr(i.undone_on, 7, 2)) end
from _items as i
left join (select target, sum(amount) as amount from _pieces where source_kind <> 'write_off' group by target) as s on i.line_id = s.target
where i.kind = 'refund' and i.amount > coalesce(s.amount, 0)
