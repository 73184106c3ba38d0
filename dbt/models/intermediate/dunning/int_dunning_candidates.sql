with open_items as (
    select * from {{ ref('int_open_items') }}
),

receivable_items as (
    select * from {{ ref('int_receivable_items') }}
),

item_disputes as (
    select * from {{ ref('int_item_disputes') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

risk_tiers as (
    select * from {{ ref('int_risk_tiers') }}
),

debits as (
    select
        open_items.*,
        receivable_items.item_id,
        receivable_items.document_number
    from open_items
    inner join receivable_items on open_items.item_key = receivable_items.item_key
    where {{ is_receivable('open_items.item_type') }}
),

-- Credits cover items of their own customer, entity and currency only.
credits as (
    select
        customer_id,
        company_id,
        currency,
        -sum(open_amount) as amount
    from open_items
    where not {{ is_receivable('item_type') }}
    group by customer_id, company_id, currency
),

undisputed as (
    select
        debits.*,
        coalesce(item_disputes.disputed_amount, 0) as disputed_amount
    from debits
    left join item_disputes on debits.item_key = item_disputes.item_key
),

claims as (
    select
        *,
        greatest(open_amount, 0) - disputed_amount as claim,
        coalesce(sum(greatest(open_amount, 0) - disputed_amount) over (
            partition by customer_id, company_id, currency
            order by due_date nulls last, document_date, item_id
            rows between unbounded preceding and 1 preceding
        ), 0) as older_claims
    from undisputed
),

covered as (
    select
        claims.*,
        cast(least(claims.claim, greatest(coalesce(credits.amount, 0) - claims.older_claims, 0)) as decimal(18, 4)) as covered_amount
    from claims
    left join credits
        on claims.customer_id = credits.customer_id
        and claims.company_id = credits.company_id
        and claims.currency = credits.currency
)

select
    covered.item_key,
    covered.item_id,
    covered.item_type,
    covered.invoice_id,
    covered.document_number,
    covered.company_id,
    covered.customer_id,
    covered.currency,
    covered.document_date,
    covered.due_date,
    covered.aging_bucket,
    cast({{ dbt.datediff('covered.due_date', as_of(), 'day') }} as integer) as days_past_due,
    covered.is_trifle,
    companies.calendar,
    coalesce(customers.calendar, companies.calendar) as customer_calendar,
    risk_tiers.tier_in_force as tier,
    covered.open_amount,
    covered.disputed_amount,
    covered.covered_amount,
    cast(covered.claim - covered.covered_amount as decimal(18, 4)) as dunnable_amount,
    companies.reporting_currency,
    covered.open_amount_reporting,
    {{ share_of('covered.open_amount_reporting', 'covered.claim - covered.covered_amount', 'covered.open_amount', 'companies.reporting_digits') }}
        as dunnable_amount_reporting,
    {{ share_of('covered.open_amount_reporting', 'covered.disputed_amount', 'covered.open_amount', 'companies.reporting_digits') }} as disputed_amount_reporting
from covered
left join companies on covered.company_id = companies.company_id
left join customers on covered.customer_id = customers.customer_id
left join risk_tiers on covered.customer_id = risk_tiers.customer_id
