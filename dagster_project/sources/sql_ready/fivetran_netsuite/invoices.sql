-- A document's amounts stand in its main line, in its own currency. Only what is posted; what was voided is zero.
select
    t.id as invoice_id,
    coalesce(cast(t.transactionnumber as varchar), cast(t.id as varchar)) as invoice_number,
    t.entity as customer_id,
    l.subsidiary as company_id,
    case when t.type = 'CustInvc' then 'invoice' else 'credit_memo' end as document_type,
    cast(t.trandate as date) as invoice_date,
    case when t.type = 'CustInvc' then cast(t.duedate as date) end as due_date,
    m.symbol as currency,
    abs(cast(l.foreignamount as decimal(18, 4))) as amount,
    abs(
        coalesce(
            case when t.type = 'CustInvc' then cast(l.foreignamountunpaid as decimal(18, 4)) else cast(l.foreignpaymentamountunused as decimal(18, 4)) end,
            0
        )
    ) as open_amount_reported
from transaction as t
inner join transactionline as l on t.id = l.transaction and l.mainline = 'T'
inner join currency as m on t.currency = m.id
where t.type in ('CustInvc', 'CustCred') and t.posting = 'T' and not coalesce(t._fivetran_deleted, false) and not coalesce(l._fivetran_deleted, false)
