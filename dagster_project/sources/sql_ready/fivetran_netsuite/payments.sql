-- Customer payments and customer deposits. A deposit application is no cash: it carries a deposit to invoices.
select
    t.id as payment_id,
    t.entity as customer_id,
    l.subsidiary as company_id,
    cast(t.trandate as date) as payment_date,
    m.symbol as currency,
    abs(cast(l.foreignamount as decimal(18, 4))) as amount,
    t.transactionnumber as reference
from transaction as t
inner join transactionline as l on t.id = l.transaction and l.mainline = 'T'
inner join currency as m on t.currency = m.id
where
    t.type in ('CustPymt', 'CustDep')
    and t.posting = 'T'
    and cast(l.foreignamount as decimal(18, 4)) <> 0
    and not coalesce(t._fivetran_deleted, false)
    and not coalesce(l._fivetran_deleted, false)
