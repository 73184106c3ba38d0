-- Invoices, credit memos, and what journals move on receivable accounts for a customer. A voided document is zero and says so in its note.
with journals as (
    select
        l.journal_entry_id,
        l.customer_id,
        sum(case when l.posting_type = 'Debit' then cast(l.amount as decimal(18, 4)) else -cast(l.amount as decimal(18, 4)) end) as amount
    from journal_entry_line as l
    inner join account as a on l.account_id = a.id and a.account_type = 'Accounts Receivable'
    where l.customer_id is not null
    group by l.journal_entry_id, l.customer_id
)

select
    concat('inv:', id) as invoice_id,
    coalesce(cast(doc_number as varchar), concat('inv:', id)) as invoice_number,
    customer_id,
    'invoice' as document_type,
    cast(transaction_date as date) as invoice_date,
    cast(due_date as date) as due_date,
    currency_id as currency,
    cast(total_amount as decimal(18, 4)) as amount,
    cast(total_tax as decimal(18, 4)) as tax_amount,
    cast(custom_p_o_number as varchar) as po_number,
    case when private_note like 'Voided%' and total_amount = 0 then cast(updated_at as date) end as voided_on,
    cast(balance as decimal(18, 4)) as open_amount_reported,
    updated_at
from invoice
where not coalesce(_fivetran_deleted, false)

union all

select
    concat('cm:', id),
    coalesce(cast(doc_number as varchar), concat('cm:', id)),
    customer_id,
    'credit_memo',
    cast(transaction_date as date),
    null,
    currency_id,
    cast(total_amount as decimal(18, 4)),
    cast(total_tax as decimal(18, 4)),
    cast(custom_p_o_number as varchar),
    case when private_note like 'Voided%' and total_amount = 0 then cast(updated_at as date) end,
    cast(remaining_credit as decimal(18, 4)),
    updated_at
from credit_memo
where not coalesce(_fivetran_deleted, false)

union all

select
    concat('je:', e.id, ':', j.customer_id),
    coalesce(cast(e.doc_number as varchar), concat('je:', e.id)),
    j.customer_id,
    case when j.amount > 0 then 'debit_memo' else 'credit_memo' end,
    cast(e.transaction_date as date),
    case when j.amount > 0 then cast(e.transaction_date as date) end,
    e.currency_id,
    abs(j.amount),
    null,
    null,
    null,
    null,
    e.updated_at
from journals as j
inner join journal_entry as e on j.journal_entry_id = e.id
where not coalesce(e._fivetran_deleted, false) and j.amount <> 0
