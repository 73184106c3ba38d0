-- One receipt for several invoices is several payments in Xero. A payment has no currency of its own: it is its invoice's.
select
    p.payment_id,
    i.contact_id as customer_id,
    cast(p.date as date) as payment_date,
    i.currency_code as currency,
    cast(p.amount as decimal(18, 4)) as amount,
    nullif(p.reference, '') as reference,
    case when p.status = 'DELETED' then cast(p.updated_date_utc as date) end as reversed_on,
    p.updated_date_utc as updated_at
from payment as p
inner join invoice as i on p.invoice_id = i.invoice_id
where i.type = 'ACCREC' and i.status in ('AUTHORISED', 'PAID', 'VOIDED') and p.amount > 0
