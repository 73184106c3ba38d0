-- Sales invoices and sales credit notes that were approved. Xero keeps no day of a void: it is the day of the last change.
select
    invoice_id,
    coalesce(nullif(invoice_number, ''), invoice_id) as invoice_number,
    contact_id as customer_id,
    'invoice' as document_type,
    cast(date as date) as invoice_date,
    cast(due_date as date) as due_date,
    currency_code as currency,
    cast(total as decimal(18, 4)) as amount,
    cast(total_tax as decimal(18, 4)) as tax_amount,
    nullif(reference, '') as po_number,
    case when status = 'VOIDED' then cast(updated_date_utc as date) end as voided_on,
    cast(amount_due as decimal(18, 4)) as open_amount_reported,
    updated_date_utc as updated_at
from invoice
where type = 'ACCREC' and status in ('AUTHORISED', 'PAID', 'VOIDED')

union all

select
    credit_note_id,
    coalesce(nullif(credit_note_number, ''), credit_note_id),
    contact_id,
    'credit_memo',
    cast(date as date),
    null,
    currency_code,
    cast(total as decimal(18, 4)),
    cast(total_tax as decimal(18, 4)),
    nullif(reference, ''),
    case when status = 'VOIDED' then cast(updated_date_utc as date) end,
    cast(remaining_credit as decimal(18, 4)),
    updated_date_utc
from credit_note
where type = 'ACCRECCREDIT' and status in ('AUTHORISED', 'PAID', 'VOIDED')
