-- Receipts; cash that stands in an invoice itself (deposit); lines of bank deposits that name a customer on a receivable account and no receipt.
-- A receipt of zero only brings credits and invoices together. One that was voided is zero too, and gone.
select
    concat('pay:', id) as payment_id,
    customer_id,
    cast(transaction_date as date) as payment_date,
    currency_id as currency,
    cast(total_amount as decimal(18, 4)) as amount,
    cast(reference_number as varchar) as reference,
    updated_at
from payment
where not coalesce(_fivetran_deleted, false) and cast(total_amount as decimal(18, 4)) > 0

union all

select
    concat('paid:', id),
    customer_id,
    cast(transaction_date as date),
    currency_id,
    cast(deposit as decimal(18, 4)),
    cast(doc_number as varchar),
    updated_at
from invoice
where not coalesce(_fivetran_deleted, false) and cast(deposit as decimal(18, 4)) > 0

union all

select
    concat('dep:', d.id, ':', l.deposit_customer_id),
    l.deposit_customer_id,
    cast(d.transaction_date as date),
    d.currency_id,
    sum(cast(l.amount as decimal(18, 4))),
    null,
    d.updated_at
from deposit_line as l
inner join deposit as d on l.deposit_id = d.id
inner join account as a on l.deposit_account_id = a.id and a.account_type = 'Accounts Receivable'
where not coalesce(d._fivetran_deleted, false) and l.deposit_customer_id is not null and l.payment_id is null
group by d.id, l.deposit_customer_id, d.transaction_date, d.currency_id, d.updated_at
having sum(cast(l.amount as decimal(18, 4))) > 0
