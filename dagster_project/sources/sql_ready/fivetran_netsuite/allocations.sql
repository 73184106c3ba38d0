-- What was applied to an invoice: links of type Payment, whichever end the invoice stands at. Of a deposit application the source is its deposit.
-- Links repeat per pair of lines and accounting book, so they are counted once. The day is that of the later document: an application has none.
with links as (
    select distinct
        l.previousdoc,
        l.previoustype,
        l.previousline,
        l.nextdoc,
        l.nexttype,
        l.nextline,
        l.linktype,
        cast(l.foreignamount as decimal(18, 4)) as amount
    from nexttransactionlinelink as l
    where l.linktype in ('Payment', 'DepAppl') and not coalesce(l._fivetran_deleted, false)
),

applied as (
    select
        case when previoustype = 'CustInvc' then previousdoc else nextdoc end as invoice,
        case when previoustype = 'CustInvc' then nextdoc else previousdoc end as source,
        case when previoustype = 'CustInvc' then nexttype else previoustype end as source_type,
        sum(amount) as amount
    from links
    where linktype = 'Payment' and amount > 0 and (previoustype = 'CustInvc' or nexttype = 'CustInvc')
    group by 1, 2, 3
),

deposits as (
    select nextdoc as application, min(previousdoc) as deposit
    from links
    where linktype = 'DepAppl' and previoustype = 'CustDep' and nexttype = 'DepAppl'
    group by nextdoc
)

select
    concat(a.invoice, ':', a.source) as allocation_id,
    a.invoice as invoice_id,
    case when a.source_type = 'CustCred' then 'credit_memo' else 'payment' end as source_type,
    coalesce(d.deposit, a.source) as source_id,
    cast(case when s.trandate > i.trandate then s.trandate else i.trandate end as date) as allocated_on,
    a.amount
from applied as a
inner join transaction as i on a.invoice = i.id
inner join transaction as s on a.source = s.id
left join deposits as d on a.source = d.application
where
    a.source_type in ('CustPymt', 'CustCred', 'DepAppl')
    and i.posting = 'T'
    and not coalesce(i._fivetran_deleted, false)
    and not coalesce(s._fivetran_deleted, false)
    and (a.source_type <> 'DepAppl' or d.deposit is not null)
