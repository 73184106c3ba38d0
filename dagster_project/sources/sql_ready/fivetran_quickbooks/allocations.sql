-- A receipt lists what it pays and the credits it uses, and not which credit pays what: credits go first, in the order of their lines, against
-- what is paid, in the order of its lines; what is left of each is cash. Sums per document and per credit are exact whatever the split.
with journals as (
    select
        l.journal_entry_id,
        l.customer_id,
        sum(case when l.posting_type = 'Debit' then cast(l.amount as decimal(18, 4)) else -cast(l.amount as decimal(18, 4)) end) as amount
    from journal_entry_line as l
    inner join account as a on l.account_id = a.id and a.account_type = 'Accounts Receivable'
    where l.customer_id is not null
    group by l.journal_entry_id, l.customer_id
),

lines as (
    select
        p.id as payment_id,
        p.transaction_date,
        p.updated_at,
        l.index as line,
        cast(l.amount as decimal(18, 4)) as amount,
        case
            when l.invoice_id is not null then concat('inv:', l.invoice_id)
            when j.amount > 0 then concat('je:', l.journal_entry_id, ':', p.customer_id)
        end as target,
        case
            when l.credit_memo_id is not null then concat('cm:', l.credit_memo_id)
            when j.amount < 0 then concat('je:', l.journal_entry_id, ':', p.customer_id)
            when l.deposit_id is not null then concat('dep:', l.deposit_id, ':', p.customer_id)
        end as credit,
        case when l.deposit_id is not null then 'payment' else 'credit_memo' end as credit_type
    from payment_line as l
    inner join payment as p on l.payment_id = p.id
    left join journals as j on l.journal_entry_id = j.journal_entry_id and p.customer_id = j.customer_id
    where not coalesce(p._fivetran_deleted, false) and cast(l.amount as decimal(18, 4)) > 0
),

targets as (
    select
        lines.*,
        sum(amount) over (partition by payment_id order by line rows between unbounded preceding and current row) as upto
    from lines
    where target is not null
),

credits as (
    select
        lines.*,
        sum(amount) over (partition by payment_id order by line rows between unbounded preceding and current row) as upto
    from lines
    where target is null and credit is not null
),

pieces as (
    select
        t.payment_id,
        t.line,
        c.line as credit_line,
        t.target,
        c.credit,
        c.credit_type,
        t.transaction_date,
        t.updated_at,
        case when t.upto < c.upto then t.upto else c.upto end
        - case when t.upto - t.amount > c.upto - c.amount then t.upto - t.amount else c.upto - c.amount end as amount
    from targets as t
    inner join credits as c
        on t.payment_id = c.payment_id and t.upto - t.amount < c.upto and c.upto - c.amount < t.upto
),

cash as (
    select
        t.payment_id,
        t.line,
        t.target,
        t.transaction_date,
        t.updated_at,
        t.amount - coalesce((select sum(p.amount) from pieces as p where p.payment_id = t.payment_id and p.line = t.line), 0) as amount
    from targets as t
)

select
    concat('pay:', payment_id, ':', line, ':', credit_line) as allocation_id,
    target as invoice_id,
    credit_type as source_type,
    credit as source_id,
    cast(transaction_date as date) as allocated_on,
    amount,
    updated_at
from pieces

union all

select
    concat('pay:', payment_id, ':', line),
    target,
    'payment',
    concat('pay:', payment_id),
    cast(transaction_date as date),
    amount,
    updated_at
from cash
where amount > 0

union all

select
    concat('paid:', id),
    concat('inv:', id),
    'payment',
    concat('paid:', id),
    cast(transaction_date as date),
    cast(deposit as decimal(18, 4)),
    updated_at
from invoice
where not coalesce(_fivetran_deleted, false) and cast(deposit as decimal(18, 4)) > 0
