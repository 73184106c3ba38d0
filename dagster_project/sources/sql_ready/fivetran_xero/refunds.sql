-- Money paid back on a credit note.
select
    p.payment_id as refund_id,
    n.contact_id as customer_id,
    cast(p.date as date) as refunded_on,
    n.currency_code as currency,
    cast(p.amount as decimal(18, 4)) as amount,
    'credit_memo' as source_type,
    p.credit_note_id as source_id,
    case when p.status = 'DELETED' then cast(p.updated_date_utc as date) end as reversed_on,
    p.updated_date_utc as updated_at
from payment as p
inner join credit_note as n on p.credit_note_id = n.credit_note_id
where n.type = 'ACCRECCREDIT' and n.status in ('AUTHORISED', 'PAID') and p.amount > 0
