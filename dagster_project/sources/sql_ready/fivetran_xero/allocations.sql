-- Payments by the invoice they name. Which credit note paid which invoice is not among these tables, only how much of each was: a contact's used
-- credit, oldest first, goes against its credited invoices, oldest first. What no credit note explains (over- and prepayments) is an adjustment.
with paid as (
    select
        credit_note_id,
        sum(case when status = 'DELETED' then 0 else cast(amount as decimal(18, 4)) end) as amount
    from payment
    where credit_note_id is not null
    group by credit_note_id
),

used as (
    select
        n.credit_note_id,
        n.contact_id,
        n.currency_code,
        n.date,
        cast(n.total as decimal(18, 4)) - cast(n.remaining_credit as decimal(18, 4)) - coalesce(paid.amount, 0) as amount
    from credit_note as n
    left join paid on n.credit_note_id = paid.credit_note_id
    where n.type = 'ACCRECCREDIT' and n.status in ('AUTHORISED', 'PAID')
),

credits as (
    select
        used.*,
        sum(amount) over (
            partition by contact_id, currency_code order by date, credit_note_id rows between unbounded preceding and current row
        ) as upto
    from used
    where amount > 0
),

credited as (
    select
        i.invoice_id,
        i.contact_id,
        i.currency_code,
        i.date,
        i.fully_paid_on_date,
        i.updated_date_utc,
        cast(i.amount_credited as decimal(18, 4)) as amount,
        sum(cast(i.amount_credited as decimal(18, 4))) over (
            partition by i.contact_id, i.currency_code order by i.date, i.invoice_id rows between unbounded preceding and current row
        ) as upto
    from invoice as i
    where i.type = 'ACCREC' and i.status in ('AUTHORISED', 'PAID') and i.amount_credited > 0
),

pieces as (
    select
        i.invoice_id,
        c.credit_note_id,
        i.updated_date_utc,
        case when i.date > c.date then i.date else c.date end as applied_on,
        case when i.upto < c.upto then i.upto else c.upto end
        - case when i.upto - i.amount > c.upto - c.amount then i.upto - i.amount else c.upto - c.amount end as amount
    from credited as i
    inner join credits as c
        on i.contact_id = c.contact_id
        and i.currency_code = c.currency_code
        and i.upto - i.amount < c.upto
        and c.upto - c.amount < i.upto
),

others as (
    select
        i.invoice_id,
        i.fully_paid_on_date,
        i.updated_date_utc,
        i.amount - coalesce((select sum(p.amount) from pieces as p where p.invoice_id = i.invoice_id), 0) as amount
    from credited as i
)

select
    p.payment_id as allocation_id,
    p.invoice_id,
    'payment' as source_type,
    p.payment_id as source_id,
    cast(p.date as date) as allocated_on,
    cast(p.amount as decimal(18, 4)) as amount,
    case when p.status = 'DELETED' then cast(p.updated_date_utc as date) end as reversed_on,
    p.updated_date_utc as updated_at
from payment as p
inner join invoice as i on p.invoice_id = i.invoice_id
where i.type = 'ACCREC' and i.status in ('AUTHORISED', 'PAID', 'VOIDED') and p.amount > 0

union all

select
    concat(invoice_id, ':', credit_note_id),
    invoice_id,
    'credit_memo',
    credit_note_id,
    cast(applied_on as date),
    amount,
    null,
    updated_date_utc
from pieces

union all

select
    concat(invoice_id, ':credited'),
    invoice_id,
    'adjustment',
    null,
    cast(coalesce(fully_paid_on_date, cast(updated_date_utc as date)) as date),
    amount,
    null,
    updated_date_utc
from others
where amount > 0
