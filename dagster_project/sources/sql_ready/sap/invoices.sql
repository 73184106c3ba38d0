with settled as (
    select line_id, sum(amount) as amount
    from (
        select target as line_id, amount from _pieces
        union all
        select source, amount from _pieces
    ) as sides
    group by line_id
),

documents as (
    select
        i.*,
        case when coalesce(i.zfbdt, '') in ('', '00000000') then i.bldat else i.zfbdt end as due_from,
        coalesce(s.amount, 0) as settled
    from _items as i
    left join settled as s on i.line_id = s.line_id
    where i.kind in ('invoice', 'debit_memo', 'credit_memo')
)

select
    line_id as invoice_id,
    coalesce(nullif(trim(xblnr), ''), nullif(trim(vbeln), ''), belnr) as invoice_number,
    kunnr as customer_id,
    bukrs as company_id,
    kind as document_type,
    concat(substr(budat, 1, 4), '-', substr(budat, 5, 2), '-', substr(budat, 7, 2)) as invoice_date,
    case
        when kind <> 'credit_memo'
            then cast(concat(substr(due_from, 1, 4), '-', substr(due_from, 5, 2), '-', substr(due_from, 7, 2)) as date) + cast(coalesce(nullif(zbd3t, 0), nullif(zbd2t, 0), zbd1t, 0) as integer)
    end as due_date,
    nullif(trim(zterm), '') as payment_terms,
    currency,
    amount,
    nullif(trim(vbel2), '') as order_number,
    case when kind = 'credit_memo' then refers_to end as corrects_invoice_id,
    case when undone_on is not null then concat(substr(undone_on, 1, 4), '-', substr(undone_on, 5, 2), '-', substr(undone_on, 7, 2)) end as voided_on,
    case when cleared = 1 or undone_on is not null then 0 else amount - settled end as open_amount_reported
from documents
