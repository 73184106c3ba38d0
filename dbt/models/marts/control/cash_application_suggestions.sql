with open_items as (
    select * from {{ ref('open_items') }}
),

reference_matches as (
    select * from {{ ref('int_reference_matches') }}
    where ended_on is null
),

possible_payments as (
    select * from {{ ref('int_possible_payments') }}
    where is_family_s
),

documents as (
    select * from {{ ref('int_documents') }}
),

discount_terms as (
    select * from {{ ref('int_discount_terms') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

unapplied as (
    select
        substring(item_id, length('payment/') + 1) as payment_id,
        company_id,
        customer_id,
        currency,
        document_date as payment_date,
        -open_amount as amount
    from open_items
    where
        item_type = 'payment'
        and open_amount < 0
        and item_id not in (select 'payment/' || payment_id from possible_payments)
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
        open_items.due_date,
        open_items.document_date,
        open_items.open_amount,
        open_items.due_date <= open_items.as_of as is_due,
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
        and credits.item_id <> 'payment/' || unapplied.payment_id
    where not {{ is_receivable('credits.item_type') }}
    group by unapplied.payment_id
),

asked as (
    select
        unapplied.payment_id,
        unapplied.amount,
        payable.item_id,
        payable.invoice_id,
        payable.open_amount,
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
),

pairs as (
    select
        payment_id,
        amount,
        item_id,
        invoice_id,
        open_amount,
        is_due,
        open_amount = amount as is_whole,
        case
            when sum(case when is_all_less_discount then 1 else 0 end) over (partition by payment_id) > 0 then is_all_less_discount
            else is_rest_less_discount
        end as is_discounted
    from discounted
),

-- The first rule that fits a payment speaks; one that fits two items equally well does not fit.
verdicts as (
    select
        payment_id,
        case
            when sum(case when is_whole then 1 else 0 end) = 1 then 'one_item'
            when sum(case when is_due then open_amount else 0 end) = max(amount) then 'all_due'
            when sum(case when is_discounted then 1 else 0 end) = 1 then 'one_item_less_discount'
            when {{ policy_value('cash_application_policy', 'otherwise', 'string') }} = 'oldest_first' then 'oldest_first'
        end as rule
    from pairs
    group by payment_id
),

by_rule as (
    select
        pairs.payment_id,
        pairs.invoice_id,
        case when verdicts.rule = 'all_due' then pairs.open_amount else pairs.amount end as amount,
        verdicts.rule
    from pairs
    inner join verdicts on pairs.payment_id = verdicts.payment_id
    where
        case verdicts.rule
            when 'one_item' then pairs.is_whole
            when 'all_due' then pairs.is_due
            when 'one_item_less_discount' then pairs.is_discounted
        end
),

-- Oldest first lays the cash of an account and its items along one line of money; where they meet, the one pays the other.
cash_stretches as (
    select
        unapplied.payment_id,
        unapplied.company_id,
        unapplied.customer_id,
        unapplied.currency,
        sum(unapplied.amount) over (
            partition by unapplied.company_id, unapplied.customer_id, unapplied.currency
            order by unapplied.payment_date, unapplied.payment_id
            rows between unbounded preceding and current row
        ) as stretch_to,
        unapplied.amount
    from unapplied
    inner join verdicts on unapplied.payment_id = verdicts.payment_id
    where verdicts.rule = 'oldest_first'
),

item_stretches as (
    select
        invoice_id,
        company_id,
        customer_id,
        currency,
        sum(open_amount) over (
            partition by company_id, customer_id, currency
            order by due_date nulls last, document_date, item_id
            rows between unbounded preceding and current row
        ) as stretch_to,
        open_amount
    from payable
),

oldest_first as (
    select
        cash_stretches.payment_id,
        item_stretches.invoice_id,
        least(cash_stretches.stretch_to, item_stretches.stretch_to)
        - greatest(cash_stretches.stretch_to - cash_stretches.amount, item_stretches.stretch_to - item_stretches.open_amount) as amount,
        'oldest_first' as rule
    from cash_stretches
    inner join item_stretches
        on cash_stretches.customer_id = item_stretches.customer_id
        and cash_stretches.company_id = item_stretches.company_id
        and cash_stretches.currency = item_stretches.currency
        and cash_stretches.stretch_to > item_stretches.stretch_to - item_stretches.open_amount
        and item_stretches.stretch_to > cash_stretches.stretch_to - cash_stretches.amount
),

suggestions as (
    select payment_id, invoice_id, amount, 'reference' as rule from reference_matches
    union all
    select payment_id, invoice_id, amount, 'family_reference' as rule from possible_payments
    union all
    select payment_id, invoice_id, amount, rule from by_rule
    union all
    select payment_id, invoice_id, amount, rule from oldest_first
),

-- Of an invoice with instalments several items may be meant: to the clerk it is one invoice.
by_invoice as (
    select
        payment_id,
        invoice_id,
        rule,
        sum(amount) as amount
    from suggestions
    group by payment_id, invoice_id, rule
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(by_invoice.payment_id as string) as payment_id,
    cast(by_invoice.invoice_id as string) as invoice_id,
    cast(documents.document_number as string) as document_number,
    cast(documents.company_id as string) as company_id,
    cast(documents.customer_id as string) as customer_id,
    cast(documents.currency as string) as currency,
    cast(by_invoice.amount as decimal(18, 4)) as amount,
    cast(by_invoice.rule as string) as rule,
    cast(case by_invoice.rule
        when 'reference' then {{ policy_value('cash_application_policy', 'confidence_reference', 'decimal(18, 4)') }}
        when 'family_reference'
            then {{ policy_value('cash_application_policy', 'confidence_family_reference', 'decimal(18, 4)') }}
        when 'one_item' then {{ policy_value('cash_application_policy', 'confidence_one_item', 'decimal(18, 4)') }}
        when 'all_due' then {{ policy_value('cash_application_policy', 'confidence_all_due', 'decimal(18, 4)') }}
        when 'one_item_less_discount'
            then {{ policy_value('cash_application_policy', 'confidence_one_item_less_discount', 'decimal(18, 4)') }}
        when 'oldest_first' then {{ policy_value('cash_application_policy', 'confidence_oldest_first', 'decimal(18, 4)') }}
    end as decimal(18, 4)) as confidence,
    cast(by_invoice.rule = 'reference' as boolean) as is_counted
from by_invoice
inner join documents on by_invoice.invoice_id = documents.invoice_id
