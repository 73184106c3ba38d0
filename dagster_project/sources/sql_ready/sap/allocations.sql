select
    concat(target, ':', source) as allocation_id,
    target as invoice_id,
    source_kind as source_type,
    case when source_kind <> 'write_off' then source end as source_id,
    concat(substr(settled_on, 1, 4), '-', substr(settled_on, 5, 2), '-', substr(settled_on, 7, 2)) as allocated_on,
    amount
from _pieces
where target_kind <> 'refund'

union all

select
    concat(line_id, ':discount'),
    line_id,
    'discount',
    null,
    concat(substr(augdt, 1, 4), '-', substr(augdt, 5, 2), '-', substr(augdt, 7, 2)),
    discounted
from _items
where clearing is not null and discounted > 0

union all

-- A cleared document that no payment or credit covers was carried on in another line (a residual item), or written off.
select
    concat(i.line_id, ':cleared'),
    i.line_id,
    'adjustment',
    null,
    concat(substr(i.augdt, 1, 4), '-', substr(i.augdt, 5, 2), '-', substr(i.augdt, 7, 2)),
    i.amount - i.discounted - coalesce(s.amount, 0)
from _items as i
left join (select target, sum(amount) as amount from _pieces group by target) as s on i.line_id = s.target
where i.kind in ('invoice', 'debit_memo') and i.clearing is not null and i.amount - i.discounted > coalesce(s.amount, 0)
