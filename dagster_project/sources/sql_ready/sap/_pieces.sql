-- What settled what within a clearing: what names an invoice goes to it where it fits; the rest oldest against oldest. Beside them what names
-- an open invoice and is open itself, a part payment of its own day.
with named as (
    select p.line_id as source, i.line_id as target, p.clearing, p.amount - p.taken as amount
    from _items as p
    inner join _items as i on p.refers_to = i.line_id and p.clearing = i.clearing
    inner join (
        select refers_to, clearing, sum(amount - taken) as amount
        from _items
        where clearing is not null and kind in ('payment', 'credit_memo', 'write_off')
        group by refers_to, clearing
    ) as o on i.line_id = o.refers_to and i.clearing = o.clearing
    where
        p.kind in ('payment', 'credit_memo', 'write_off') and i.kind in ('invoice', 'debit_memo') and o.amount <= i.amount - i.taken
),

filled as (
    select target, sum(amount) as amount from named group by target
),

targets as (
    select
        t.*,
        sum(t.rest) over (partition by t.clearing order by t.budat, t.line_id rows between unbounded preceding and current row) as upto
    from (
        select i.line_id, i.clearing, i.budat, i.amount - i.taken - coalesce(n.amount, 0) as rest
        from _items as i
        left join filled as n on i.line_id = n.target
        where i.clearing is not null and i.kind in ('invoice', 'debit_memo', 'refund')
    ) as t
    where t.rest > 0
),

sources as (
    select
        s.line_id,
        s.clearing,
        s.amount - s.taken as rest,
        sum(s.amount - s.taken) over (partition by s.clearing order by s.budat, s.line_id rows between unbounded preceding and current row) as upto
    from _items as s
    left join (select distinct source from named) as n on s.line_id = n.source
    where s.clearing is not null and s.kind in ('payment', 'credit_memo', 'write_off') and n.source is null
),

pairs as (
    select
        t.line_id as target,
        s.line_id as source,
        case when t.upto < s.upto then t.upto else s.upto end
        - case when t.upto - t.rest > s.upto - s.rest then t.upto - t.rest else s.upto - s.rest end as amount,
        1 as of_clearing
    from targets as t
    inner join sources as s on t.clearing = s.clearing and t.upto - t.rest < s.upto and s.upto - s.rest < t.upto
    union all
    select target, source, amount, 1 from named
    union all
    select i.line_id, p.line_id, p.amount, 0
    from _items as p
    inner join _items as i on p.refers_to = i.line_id
    where
        p.kind in ('payment', 'credit_memo', 'write_off')
        and p.cleared = 0
        and i.cleared = 0
        and i.undone_on is null
        and i.kind in ('invoice', 'debit_memo')
)

select p.target, t.kind as target_kind, p.source, s.kind as source_kind, p.amount, case when p.of_clearing = 1 then t.augdt else s.budat end as settled_on
from pairs as p
inner join _items as t on p.target = t.line_id
inner join _items as s on p.source = s.line_id
