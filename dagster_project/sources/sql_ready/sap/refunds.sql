-- Lines of BSID (open) and BSAD (cleared); a line in both is cleared. Special G/L (down payments, bills) is no receivable. Raw tables shift the
-- amounts of currencies that have not two digits; TCURX says which.
with raw_lines as (
    select
        bukrs, belnr, gjahr, buzei, kunnr, shkzg, bschl, blart, budat, bldat, zfbdt, zbd1t, zbd2t, zbd3t, waers, wrbtr, wskto, xblnr, zuonr, vbeln,
        rebzg, rebzj, rebzz, augbl, augdt, 1 as cleared
    from bsad
    where coalesce(umskz, '') in ('', ' ')
    union all
    select
        o.bukrs, o.belnr, o.gjahr, o.buzei, o.kunnr, o.shkzg, o.bschl, o.blart, o.budat, o.bldat, o.zfbdt, o.zbd1t, o.zbd2t, o.zbd3t, o.waers,
        o.wrbtr, o.wskto, o.xblnr, o.zuonr, o.vbeln, o.rebzg, o.rebzj, o.rebzz, null, null, 0
    from bsid as o
    left join bsad as c on o.bukrs = c.bukrs and o.belnr = c.belnr and o.gjahr = c.gjahr and o.buzei = c.buzei
    where coalesce(o.umskz, '') in ('', ' ') and c.belnr is null
),

lines as (
    select
        concat(r.bukrs, '/', r.gjahr, '/', r.belnr, '/', r.buzei) as line_id,
        r.*,
        upper(r.waers) as currency,
        case
            when r.shkzg = 'S' and r.bschl = '05' then 'refund'
            when r.shkzg = 'S' and r.bschl = '01' then 'invoice'
            when r.shkzg = 'S' then 'debit_memo'
            when r.bschl in ('11', '12', '13') or r.blart in ('DG', 'RV') then 'credit_memo'
            else 'payment'
        end as kind,
        cast(abs(r.wrbtr) * f.factor as decimal(18, 4)) as amount,
        cast(abs(coalesce(r.wskto, 0)) * f.factor as decimal(18, 4)) as discount,
        case when r.augdt is null then null else concat(r.bukrs, '/', r.kunnr, '/', r.augbl, '/', r.augdt, '/', upper(r.waers)) end as clearing,
        case when coalesce(r.rebzg, '') not in ('', '0000000000') then concat(r.bukrs, '/', r.rebzj, '/', r.rebzg, '/', r.rebzz) end as refers_to
    from raw_lines as r
    inner join (
        select
            u.waers,
            cast(case coalesce(x.currdec, 2) when 0 then 100 when 1 then 10 when 3 then 0.1 when 4 then 0.01 else 1 end as decimal(9, 4)) as factor
        from (select waers from bsid union select waers from bsad) as u
        left join tcurx as x on upper(u.waers) = x.currkey
    ) as f on r.waers = f.waers
),

-- The discounts of a clearing stand on its invoices, and its payment is posted with them: where one payment clears, it brought that much less.
clearings as (
    select
        clearing,
        sum(case when kind = 'payment' then 1 else 0 end) as payments,
        sum(case when kind in ('invoice', 'debit_memo') then discount else 0 end) as discount
    from lines
    where clearing is not null
    group by clearing
),

items as (
    select
        lines.*,
        case
            when lines.kind in ('invoice', 'debit_memo') and c.payments = 1 then lines.discount
            when lines.kind = 'payment' and c.payments = 1 and c.discount < lines.amount then c.discount
            else 0
        end as taken
    from lines
    left join clearings as c on lines.clearing = c.clearing
),

-- Within a clearing, what names an invoice goes to it where it fits; the rest oldest against oldest. All of it is of the day of the clearing.
named as (
    select p.line_id as source, p.kind as source_kind, i.line_id as target, p.clearing, p.amount - p.taken as amount
    from items as p
    inner join items as i on p.refers_to = i.line_id and p.clearing = i.clearing
    where
        p.kind in ('payment', 'credit_memo')
        and i.kind in ('invoice', 'debit_memo')
        and (
            select sum(o.amount - o.taken) from items as o
            where o.refers_to = i.line_id and o.clearing = i.clearing and o.kind in ('payment', 'credit_memo')
        ) <= i.amount - i.taken
),

targets as (
    select
        t.*,
        sum(t.rest) over (partition by t.clearing order by t.budat, t.line_id rows between unbounded preceding and current row) as upto
    from (
        select i.*, i.amount - i.taken - coalesce((select sum(n.amount) from named as n where n.target = i.line_id), 0) as rest
        from items as i
        where i.clearing is not null and i.kind in ('invoice', 'debit_memo', 'refund')
    ) as t
    where t.rest > 0
),

sources as (
    select
        s.*,
        sum(s.amount - s.taken) over (partition by s.clearing order by s.budat, s.line_id rows between unbounded preceding and current row) as upto
    from items as s
    where s.clearing is not null and s.kind in ('payment', 'credit_memo') and s.line_id not in (select n.source from named as n)
),

pieces as (
    select
        t.line_id as target,
        t.kind as target_kind,
        s.line_id as source,
        s.kind as source_kind,
        t.clearing,
        case when t.upto < s.upto then t.upto else s.upto end
        - case when t.upto - t.rest > s.upto - (s.amount - s.taken) then t.upto - t.rest else s.upto - (s.amount - s.taken) end as amount
    from targets as t
    inner join sources as s on t.clearing = s.clearing and t.upto - t.rest < s.upto and s.upto - (s.amount - s.taken) < t.upto
    union all
    select n.target, 'invoice', n.source, n.source_kind, n.clearing, n.amount from named as n
)

select
    concat(p.target, ':', p.source) as refund_id,
    i.kunnr as customer_id,
    i.bukrs as company_id,
    concat(substr(i.budat, 1, 4), '-', substr(i.budat, 5, 2), '-', substr(i.budat, 7, 2)) as refunded_on,
    i.currency,
    p.amount,
    p.source_kind as source_type,
    p.source as source_id
from pieces as p
inner join items as i on p.target = i.line_id
where p.target_kind = 'refund'

union all

select
    i.line_id,
    i.kunnr,
    i.bukrs,
    concat(substr(i.budat, 1, 4), '-', substr(i.budat, 5, 2), '-', substr(i.budat, 7, 2)),
    i.currency,
    i.amount - coalesce((select sum(p.amount) from pieces as p where p.target = i.line_id), 0),
    null,
    null
from items as i
where i.kind = 'refund' and i.amount > coalesce((select sum(p.amount) from pieces as p where p.target = i.line_id), 0)
