-- Lines with what of them was no money. The line of a payment is posted with the discounts it took and with what its document carried on in
-- residual items (key 06): where one payment clears, it brought that much less, and so much of the invoices was settled otherwise.
with clearings as (
    select
        clearing,
        max(bukrs) as bukrs,
        max(augbl) as augbl,
        max(augdt) as augdt,
        max(currency) as currency,
        sum(case when kind = 'payment' then 1 else 0 end) as payments,
        sum(case when kind in ('invoice', 'debit_memo') then discount else 0 end) as discount,
        sum(case when kind in ('invoice', 'debit_memo', 'refund') then amount else -amount end) as remainder
    from _lines
    where clearing is not null
    group by clearing
),

residuals as (
    select bukrs, belnr, budat, currency, refers_to, sum(amount) as amount
    from _lines
    where kind = 'debit_memo' and bschl = '06' and undone_on is null
    group by bukrs, belnr, budat, currency, refers_to
),

carried as (
    select c.clearing, sum(r.amount) as amount
    from clearings as c
    inner join residuals as r on c.bukrs = r.bukrs and c.augbl = r.belnr and c.augdt = r.budat and c.currency = r.currency
    where c.payments = 1 and c.remainder = 0
    group by c.clearing
)

select
    i.*,
    case when i.kind in ('invoice', 'debit_memo') and c.payments = 1 then i.discount else 0 end as discounted,
    case
        when i.kind in ('invoice', 'debit_memo') and c.payments = 1
            then i.discount + case when k.clearing is not null then coalesce(r.amount, 0) else 0 end
        when i.kind = 'payment' and c.payments = 1 and c.discount + coalesce(k.amount, 0) < i.amount then c.discount + coalesce(k.amount, 0)
        else 0
    end as taken
from _lines as i
left join clearings as c on i.clearing = c.clearing
left join carried as k on i.clearing = k.clearing
left join residuals as r
    on i.line_id = r.refers_to and i.bukrs = r.bukrs and i.augbl = r.belnr and i.augdt = r.budat and i.currency = r.currency
