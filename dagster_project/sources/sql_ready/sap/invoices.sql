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

-- A payment on an invoice that stays open names it; both are open in SAP.
partials as (
    select i.line_id, sum(p.amount) as amount
    from items as p
    inner join items as i on p.refers_to = i.line_id
    where p.kind in ('payment', 'credit_memo') and p.cleared = 0 and i.cleared = 0 and i.kind in ('invoice', 'debit_memo')
    group by i.line_id
)

select
    i.line_id as invoice_id,
    coalesce(nullif(trim(i.xblnr), ''), nullif(trim(i.vbeln), ''), i.belnr) as invoice_number,
    i.kunnr as customer_id,
    i.bukrs as company_id,
    i.kind as document_type,
    concat(substr(i.budat, 1, 4), '-', substr(i.budat, 5, 2), '-', substr(i.budat, 7, 2)) as invoice_date,
    case
        when i.kind <> 'credit_memo'
            then
                cast(concat(substr(case when coalesce(i.zfbdt, '') in ('', '00000000') then i.bldat else i.zfbdt end, 1, 4), '-', substr(case when coalesce(i.zfbdt, '') in ('', '00000000') then i.bldat else i.zfbdt end, 5, 2), '-', substr(case when coalesce(i.zfbdt, '') in ('', '00000000') then i.bldat else i.zfbdt end, 7, 2)) as date)
                + cast(coalesce(nullif(i.zbd3t, 0), nullif(i.zbd2t, 0), i.zbd1t, 0) as integer)
    end as due_date,
    i.currency,
    i.amount,
    case
        when i.cleared = 1 then 0
        when i.kind = 'credit_memo' and i.refers_to in (select line_id from items where cleared = 0) then 0
        else i.amount - coalesce(p.amount, 0)
    end as open_amount_reported
from items as i
left join partials as p on i.line_id = p.line_id
where i.kind in ('invoice', 'debit_memo', 'credit_memo')
