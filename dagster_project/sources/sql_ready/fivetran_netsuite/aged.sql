-- As it is now: what is unpaid of posted invoices less what is left of credit memos, payments and deposits, by the source's own columns.
select
    t.entity as customer_id,
    m.symbol as currency,
    sum(
        case
            when t.type = 'CustInvc' then abs(coalesce(cast(l.foreignamountunpaid as decimal(18, 4)), 0))
            else -abs(coalesce(cast(l.foreignpaymentamountunused as decimal(18, 4)), 0))
        end
    ) as balance
from transaction as t
inner join transactionline as l on t.id = l.transaction and l.mainline = 'T'
inner join currency as m on t.currency = m.id
where
    t.type in ('CustInvc', 'CustCred', 'CustPymt', 'CustDep')
    and t.posting = 'T'
    and not coalesce(t._fivetran_deleted, false)
    and not coalesce(l._fivetran_deleted, false)
group by t.entity, m.symbol
