with promises as (
    select * from {{ ref('int_promises') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
    where
        item_type in ('invoice', 'debit_memo')
        and customer_id in (select customer_id from promises)
),

balances as (
    select * from {{ ref('int_item_balances') }}
    where open_amount > 0
),

-- What was open when the promise was made.
owed as (
    select
        promises.promise_id,
        promises.invoice_id as named_invoice_id,
        promises.made_on,
        promises.promised_date,
        promises.amount,
        promises.state,
        items.item_key,
        coalesce(sum(balances.open_amount) over (
            partition by promises.promise_id
            order by items.due_date nulls last, items.document_date, items.item_id
            rows between unbounded preceding and 1 preceding
        ), 0) as older_amount
    from promises
    inner join items
        on promises.customer_id = items.customer_id
        and promises.made_on >= items.document_date
        and (promises.invoice_id = items.invoice_id or (promises.invoice_id is null and promises.currency = items.currency))
    inner join balances
        on items.item_key = balances.item_key
        and {{ spans('promises.made_on', 'balances') }}
)

-- A promise that names no invoice holds what was owed, oldest first, as far as its amount goes.
select
    promise_id,
    item_key,
    made_on,
    promised_date,
    state
from owed
where named_invoice_id is not null or older_amount < amount
