with possible_payments as (
    select * from {{ ref('int_possible_payments') }}
    where is_family_s
),

discount_terms as (
    select * from {{ ref('int_discount_terms') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

snapshot as (
    select * from {{ ref('int_open_items') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

open_items as (
    select
        snapshot.*,
        items.item_id,
        items.payment_id
    from snapshot
    inner join items on snapshot.item_key = items.item_key
),

unapplied as (
    select
        payment_id,
        item_id,
        company_id,
        customer_id,
        currency,
        document_date as payment_date,
        -open_amount as amount
    from open_items
    where
        item_type = 'payment'
        and open_amount < 0
        and payment_id not in (select payment_id from possible_payments)
),

-- What it takes to settle an item: all of it; or an invoice, all its items: what is open less the early-payment discount on that, up to the
-- last day for it, as early_payment_offers has it.
payable as (
    select
        open_items.item_id,
        open_items.invoice_id,
        open_items.company_id,
        open_items.customer_id,
        open_items.currency,
        open_items.open_amount,
        open_items.due_date <= {{ as_of() }} as is_due,
        open_items.item_id = min(open_items.item_id) over (partition by open_items.invoice_id) as is_first,
        coalesce(sum(open_items.open_amount) over (
            partition by open_items.customer_id, open_items.company_id, open_items.currency
            order by open_items.due_date nulls last, open_items.document_date, open_items.item_id
            rows between unbounded preceding and 1 preceding
        ), 0) as older_amount,
        discount_terms.discount_pct,
        discount_terms.discount_until,
        currencies.digits
    from open_items
    left join discount_terms on open_items.invoice_id = discount_terms.invoice_id
    left join currencies on open_items.currency = currencies.currency
    where {{ is_receivable('open_items.item_type') }} and open_items.open_amount > 0
),

-- What else was there to use up when a payment came: an offer is of what that leaves, the oldest item first.
credits_before as (
    select
        unapplied.payment_id,
        -sum(credits.open_amount) as amount
    from unapplied
    inner join open_items as credits
        on unapplied.customer_id = credits.customer_id
        and unapplied.company_id = credits.company_id
        and unapplied.currency = credits.currency
        and unapplied.payment_date >= credits.document_date
        and unapplied.item_id <> credits.item_id
    where not {{ is_receivable('credits.item_type') }}
    group by unapplied.payment_id
),

asked as (
    select
        unapplied.payment_id,
        unapplied.payment_date,
        unapplied.company_id,
        unapplied.customer_id,
        unapplied.currency,
        unapplied.amount,
        payable.item_id,
        payable.invoice_id,
        payable.open_amount,
        payable.older_amount,
        payable.is_due,
        payable.is_first and unapplied.payment_date <= payable.discount_until as may_be_discounted,
        payable.discount_pct,
        payable.digits,
        sum(payable.open_amount) over (partition by unapplied.payment_id, payable.invoice_id) as invoice_amount,
        sum(
            payable.open_amount - least(payable.open_amount, greatest(coalesce(credits_before.amount, 0) - payable.older_amount, 0))
        ) over (partition by unapplied.payment_id, payable.invoice_id) as uncovered_amount
    from unapplied
    inner join payable
        on unapplied.customer_id = payable.customer_id
        and unapplied.company_id = payable.company_id
        and unapplied.currency = payable.currency
    left join credits_before on unapplied.payment_id = credits_before.payment_id
),

-- Less the discount on all that is open, else on what other credits left of it.
discounted as (
    select
        *,
        coalesce(
            may_be_discounted and invoice_amount - {{ rounded(per_cent_of('invoice_amount', 'discount_pct'), 'digits') }} = amount, false
        ) as is_all_less_discount,
        coalesce(
            may_be_discounted and uncovered_amount - {{ rounded(per_cent_of('uncovered_amount', 'discount_pct'), 'digits') }} = amount, false
        ) as is_rest_less_discount
    from asked
)

select
    payment_id,
    item_id,
    invoice_id,
    company_id,
    customer_id,
    currency,
    payment_date,
    amount,
    open_amount,
    older_amount,
    is_due,
    open_amount = amount as is_whole,
    case
        when sum(case when is_all_less_discount then 1 else 0 end) over (partition by payment_id) > 0 then is_all_less_discount
        else is_rest_less_discount
    end as is_discounted
from discounted
