with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
    where item_type = 'invoice'
),

documents as (
    select * from {{ ref('int_documents') }}
),

discount_terms as (
    select * from {{ ref('int_discount_terms') }}
    where discount_until >= {{ as_of() }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

kpi_policy as (
    select * from {{ policy_values('kpi_policy', cost_of_capital_pct='decimal(9, 4)') }} as kpi_policy
),

customers as (
    select * from {{ ref('int_customers') }}
),

collectors as (
    select * from {{ ref('int_collectors') }}
),

expected as (
    select * from {{ ref('int_expected_payments') }}
),

open_invoices as (
    select
        candidates.invoice_id,
        candidates.reporting_currency,
        sum(candidates.dunnable_amount) as amount,
        sum(candidates.dunnable_amount_reporting) as amount_reporting,
        max(expected.expected_on) as expected_on
    from candidates
    left join expected on candidates.item_key = expected.item_key
    group by candidates.invoice_id, candidates.reporting_currency
    having sum(candidates.dunnable_amount) > 0
),

offers as (
    select
        open_invoices.invoice_id,
        open_invoices.amount,
        open_invoices.amount_reporting,
        open_invoices.reporting_currency,
        open_invoices.expected_on,
        documents.customer_id,
        documents.company_id,
        documents.document_number,
        documents.document_date,
        documents.due_date,
        documents.currency,
        discount_terms.discount_pct,
        discount_terms.discount_until,
        {{ dbt.datediff('documents.document_date', 'documents.due_date', 'day') }} - discount_terms.discount_days as days_gained,
        {{ rounded(per_cent_of('open_invoices.amount', 'discount_terms.discount_pct'), 'currencies.digits') }} as discount_amount
    from open_invoices
    inner join documents on open_invoices.invoice_id = documents.invoice_id
    inner join discount_terms on open_invoices.invoice_id = discount_terms.invoice_id
    left join currencies on documents.currency = currencies.currency
),

-- What we have of the money being there sooner than its customer's habit says: capital for as many days.
weighed as (
    select
        offers.*,
        {{ rounded(per_cent_of('offers.amount_reporting', 'offers.discount_pct'), 'reporting_currencies.digits') }} as discount_amount_reporting,
        reporting_currencies.digits as reporting_digits,
        case when offers.expected_on is not null then greatest({{ dbt.datediff('offers.discount_until', 'offers.expected_on', 'day') }}, 0) end as days_sooner
    from offers
    left join currencies as reporting_currencies on offers.reporting_currency = reporting_currencies.currency
),

valued as (
    select
        weighed.*,
        {{ rounded(
            quotient(
                'cast(amount_reporting - discount_amount_reporting as decimal(24, 4)) * days_sooner * kpi_policy.cost_of_capital_pct', '36500'
            ),
            'reporting_digits'
        ) }} as worth_amount_reporting
    from weighed
    cross join kpi_policy
)

select
    {{ as_of() }} as as_of,
    cast(offers.customer_id as string) as customer_id,
    cast(coalesce(customers.name, offers.customer_id) as string) as customer_name,
    cast(offers.company_id as string) as company_id,
    cast(collectors.collector as string) as collector,
    cast(offers.invoice_id as string) as invoice_id,
    cast(offers.document_number as string) as document_number,
    cast(offers.document_date as date) as document_date,
    cast(offers.due_date as date) as due_date,
    cast(offers.currency as string) as currency,
    cast(offers.amount as decimal(18, 4)) as open_amount,
    cast(offers.discount_pct as decimal(18, 4)) as discount_pct,
    cast(offers.discount_until as date) as discount_until,
    cast({{ dbt.datediff(as_of(), 'offers.discount_until', 'day') }} as integer) as days_left,
    offers.discount_amount,
    cast(offers.amount - offers.discount_amount as decimal(18, 4)) as amount_if_paid_early,
    {{ ratio('offers.discount_pct * 36500', '(100 - offers.discount_pct) * greatest(offers.days_gained, 0)') }} as annualised_cost_pct,
    cast(offers.reporting_currency as string) as reporting_currency,
    offers.discount_amount_reporting,
    cast(offers.expected_on as date) as expected_on,
    cast(offers.days_sooner as integer) as days_sooner,
    offers.worth_amount_reporting,
    cast(coalesce(offers.worth_amount_reporting > offers.discount_amount_reporting, false) as boolean) as is_worth_making
from valued as offers
left join customers on offers.customer_id = customers.customer_id
left join collectors on offers.customer_id = collectors.customer_id
