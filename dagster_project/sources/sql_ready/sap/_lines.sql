-- Lines of BSID (open) and BSAD (cleared); a line in both is cleared. Special G/L (down payments, bills) is no receivable, and neither are noted and
-- parked documents. What reverses another document is left out with its part in clearings; what was reversed is there without it. Raw tables
-- shift the amounts of currencies that have not two digits; TCURX says which.
with posted as (
    select
        bukrs, belnr, gjahr, buzei, kunnr, shkzg, bschl, blart, budat, bldat, zfbdt, zbd1t, zbd2t, zbd3t, waers, wrbtr, wskto, xblnr, zuonr, vbeln,
        vbel2, zterm, mansp, rebzg, rebzj, rebzz, umskz, bstat, augbl, augdt, 1 as cleared
    from bsad
    union all
    select
        o.bukrs, o.belnr, o.gjahr, o.buzei, o.kunnr, o.shkzg, o.bschl, o.blart, o.budat, o.bldat, o.zfbdt, o.zbd1t, o.zbd2t, o.zbd3t, o.waers,
        o.wrbtr, o.wskto, o.xblnr, o.zuonr, o.vbeln, o.vbel2, o.zterm, o.mansp, o.rebzg, o.rebzj, o.rebzz, o.umskz, o.bstat, null, null, 0
    from bsid as o
    left join bsad as c on o.bukrs = c.bukrs and o.belnr = c.belnr and o.gjahr = c.gjahr and o.buzei = c.buzei
    where c.belnr is null
),

standing as (
    select
        p.*,
        upper(p.waers) as currency,
        case when r.belnr is null then null else coalesce(r.reversed_on, p.augdt, p.budat) end as undone_on
    from posted as p
    left join _reversals as r on p.bukrs = r.bukrs and p.belnr = r.belnr and p.gjahr = r.gjahr
    where coalesce(p.umskz, '') in ('', ' ') and coalesce(p.bstat, '') in ('', ' ') and coalesce(r.reverses, 0) = 0
),

-- A customer whose lines of a clearing do not close by themselves was cleared together with others who do not.
closings as (
    select bukrs, augbl, augdt, currency, kunnr, sum(case when shkzg = 'S' then abs(wrbtr) else -abs(wrbtr) end) as remainder
    from standing
    where cleared = 1 and undone_on is null
    group by bukrs, augbl, augdt, currency, kunnr
),

named as (
    select
        concat(s.bukrs, '/', s.gjahr, '/', s.belnr, '/', s.buzei) as line_id,
        s.*,
        case
            when s.shkzg = 'S' and s.bschl = '05' then 'refund'
            when s.shkzg = 'S' and (s.bschl = '01' or (coalesce(s.bschl, '') = '' and s.blart in ('RV', 'DR'))) then 'invoice'
            when s.shkzg = 'S' then 'debit_memo'
            when t.kind = 'write_off' and s.cleared = 0 and coalesce(s.rebzg, '') in ('', '0000000000') then 'credit_memo'
            when t.kind = 'write_off' then 'write_off'
            when s.bschl in ('11', '12', '13') then 'credit_memo'
            when s.bschl = '15' then 'payment'
            when t.kind is not null then t.kind
            when s.bschl in ('16', '17') then 'credit_memo'
            else 'payment'
        end as kind,
        case
            when s.cleared = 1 and s.undone_on is null
                then concat(s.bukrs, '/', case when c.remainder = 0 then s.kunnr else '' end, '/', s.augbl, '/', s.augdt, '/', s.currency)
        end as clearing,
        case
            when s.undone_on is null and coalesce(s.rebzg, '') not in ('', '0000000000')
                then concat(s.bukrs, '/', s.rebzj, '/', s.rebzg, '/', s.rebzz)
        end as refers_to
    from standing as s
    left join _document_types as t on s.blart = t.blart
    left join closings as c
        on s.bukrs = c.bukrs and s.augbl = c.augbl and s.augdt = c.augdt and s.currency = c.currency and s.kunnr = c.kunnr and s.cleared = 1
)

select
    n.line_id, n.bukrs, n.belnr, n.gjahr, n.kunnr, n.kind, n.bschl, n.budat, n.bldat, n.zfbdt, n.zbd1t, n.zbd2t, n.zbd3t, n.xblnr, n.zuonr, n.vbeln,
    n.vbel2, n.zterm, n.mansp, n.augbl, n.augdt, n.cleared, n.undone_on, n.currency, n.clearing, n.refers_to,
    cast(abs(n.wrbtr) * f.factor as decimal(18, 4)) as amount,
    cast(abs(coalesce(n.wskto, 0)) * f.factor as decimal(18, 4)) as discount
from named as n
inner join (
    select
        u.currency,
        cast(case coalesce(x.currdec, 2) when 0 then 100 when 1 then 10 when 3 then 0.1 when 4 then 0.01 else 1 end as decimal(9, 4)) as factor
    from (select distinct currency from standing) as u
    left join tcurx as x on u.currency = x.currkey
) as f on n.currency = f.currency
