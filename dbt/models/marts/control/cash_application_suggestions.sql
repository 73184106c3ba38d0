with reference_matches as (
    select * from {{ ref('int_reference_matches') }}
    where ended_on is null
),

possible_payments as (
    select * from {{ ref('int_possible_payments') }}
    where is_family_s
),

fits as (
    select * from {{ ref('int_cash_fits') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

-- The first rule that fits a payment speaks; one that fits two items equally well does not fit.
verdicts as (
    select
        payment_id,
        payment_date,
        company_id,
        customer_id,
        currency,
        amount,
        case
            when sum(case when is_whole then 1 else 0 end) = 1 then 'one_item'
            when sum(case when is_due then open_amount else 0 end) = amount then 'all_due'
            when sum(case when is_discounted then 1 else 0 end) = 1 then 'one_item_less_discount'
            when {{ policy_value('cash_application_policy', 'otherwise', 'string') }} = 'oldest_first' then 'oldest_first'
        end as rule
    from fits
    group by payment_id, payment_date, company_id, customer_id, currency, amount
),

-- Oldest first lays the cash of an account and its items along one line of money; where they meet, the one pays the other.
lined_up as (
    select
        payment_id,
        amount,
        rule,
        sum(case when rule = 'oldest_first' then amount else 0 end) over (
            partition by company_id, customer_id, currency
            order by payment_date, payment_id
            rows between unbounded preceding and current row
        ) as stretch_to
    from verdicts
),

by_rule as (
    select
        fits.payment_id,
        fits.invoice_id,
        lined_up.rule,
        case lined_up.rule
            when 'all_due' then fits.open_amount
            when 'oldest_first'
                then least(lined_up.stretch_to, fits.older_amount + fits.open_amount)
                    - greatest(lined_up.stretch_to - lined_up.amount, fits.older_amount)
            else lined_up.amount
        end as amount
    from fits
    inner join lined_up on fits.payment_id = lined_up.payment_id
    where
        case lined_up.rule
            when 'one_item' then fits.is_whole
            when 'all_due' then fits.is_due
            when 'one_item_less_discount' then fits.is_discounted
            when 'oldest_first'
                then lined_up.stretch_to > fits.older_amount
                    and fits.older_amount + fits.open_amount > lined_up.stretch_to - lined_up.amount
        end
),

suggestions as (
    select payment_id, invoice_id, amount, 'reference' as rule from reference_matches
    union all
    select payment_id, invoice_id, amount, 'family_reference' as rule from possible_payments
    union all
    select payment_id, invoice_id, amount, rule from by_rule
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
