-- Customer refunds, each part by the credit memo, payment or deposit it gives back; what gives nothing back by a link stands alone.
with links as (
    select distinct
        l.previousdoc,
        l.previoustype,
        l.nextdoc,
        l.nexttype,
        l.previousline,
        l.nextline,
        cast(l.foreignamount as decimal(18, 4)) as amount
    from nexttransactionlinelink as l
    where l.linktype = 'Payment' and cast(l.foreignamount as decimal(18, 4)) > 0 and not coalesce(l._fivetran_deleted, false)
),

given_back as (
    select
        case when nexttype = 'CustRfnd' then nextdoc else previousdoc end as refund,
        case when nexttype = 'CustRfnd' then previousdoc else nextdoc end as source,
        case when nexttype = 'CustRfnd' then previoustype else nexttype end as source_type,
        sum(amount) as amount
    from links
    where nexttype = 'CustRfnd' or previoustype = 'CustRfnd'
    group by 1, 2, 3
),

refunds as (
    select
        t.id,
        t.entity,
        t.trandate,
        l.subsidiary,
        m.symbol as currency,
        abs(cast(l.foreignamount as decimal(18, 4))) as amount
    from transaction as t
    inner join transactionline as l on t.id = l.transaction and l.mainline = 'T'
    inner join currency as m on t.currency = m.id
    where t.type = 'CustRfnd' and t.posting = 'T' and not coalesce(t._fivetran_deleted, false) and not coalesce(l._fivetran_deleted, false)
)

select
    concat(r.id, ':', g.source) as refund_id,
    r.entity as customer_id,
    r.subsidiary as company_id,
    cast(r.trandate as date) as refunded_on,
    r.currency,
    g.amount,
    case when g.source_type = 'CustCred' then 'credit_memo' else 'payment' end as source_type,
    g.source as source_id
from refunds as r
inner join given_back as g on r.id = g.refund
where g.source_type in ('CustCred', 'CustPymt', 'CustDep')

union all

select
    concat(r.id, ':rest'),
    r.entity,
    r.subsidiary,
    cast(r.trandate as date),
    r.currency,
    r.amount - coalesce((select sum(g.amount) from given_back as g where g.refund = r.id and g.source_type in ('CustCred', 'CustPymt', 'CustDep')), 0),
    null,
    null
from refunds as r
where
    r.amount
    > coalesce((select sum(g.amount) from given_back as g where g.refund = r.id and g.source_type in ('CustCred', 'CustPymt', 'CustDep')), 0)
