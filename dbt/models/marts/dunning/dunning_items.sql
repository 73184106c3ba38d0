with items as (
    select * from {{ ref('int_dunning_items') }}
),

collectors as (
    select * from {{ ref('int_collectors') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

offers as (
    select * from {{ ref('early_payment_offers') }}
),

expected_payments as (
    select * from {{ ref('expected_payments') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
)

select
    {{ as_of() }} as as_of,
    cast(items.customer_id as string) as customer_id,
    cast(coalesce(customers.name, items.customer_id) as string) as customer_name,
    cast(items.company_id as string) as company_id,
    cast(collectors.collector as string) as collector,
    cast(items.item_id as string) as item_id,
    cast(items.invoice_id as string) as invoice_id,
    cast(items.document_number as string) as document_number,
    cast(items.item_type as string) as item_type,
    cast(items.document_date as date) as document_date,
    cast(items.due_date as date) as due_date,
    cast(items.currency as string) as currency,
    cast(items.open_amount as decimal(18, 4)) as open_amount,
    cast(items.disputed_amount as decimal(18, 4)) as disputed_amount,
    cast(items.covered_amount as decimal(18, 4)) as covered_amount,
    cast(items.dunnable_amount as decimal(18, 4)) as dunnable_amount,
    cast(items.reporting_currency as string) as reporting_currency,
    cast(items.open_amount_reporting as decimal(18, 4)) as open_amount_reporting,
    cast(items.disputed_amount_reporting as decimal(18, 4)) as disputed_amount_reporting,
    cast(items.dunnable_amount_reporting as decimal(18, 4)) as dunnable_amount_reporting,
    cast(items.days_past_due as integer) as days_past_due,
    cast(items.aging_bucket as string) as aging_bucket,
    cast(items.step as string) as step,
    cast(items.severity as integer) as severity,
    cast(items.held_reason as string) as held_reason,
    cast(items.all_held_reasons as string) as all_held_reasons,
    cast(items.held_list as string) as held_list,
    cast(items.held_until as date) as held_until,
    cast(items.next_step as string) as next_step,
    cast(items.next_step_on as date) as next_step_on,
    cast(items.last_step as string) as last_step,
    cast(items.last_step_on as date) as last_step_on,
    cast(items.late_fee_regime as string) as late_fee_regime,
    {{ rounded('items.late_fee', 'currencies.digits') }} as late_fee_preview,
    cast(items.compensation_amount as decimal(18, 4)) as late_fee_compensation_amount,
    cast(items.compensation_currency as string) as late_fee_compensation_currency,
    cast(offers.discount_until as date) as discount_until,
    {{ rounded(per_cent_of('items.dunnable_amount', 'offers.discount_pct'), 'currencies.digits') }} as discount_amount,
    {{ rounded(per_cent_of('items.dunnable_amount_reporting', 'offers.discount_pct'), 'reporting_currencies.digits') }}
        as discount_amount_reporting,
    cast(offers.annualised_cost_pct as decimal(18, 4)) as discount_annualised_pct,
    cast(expected_payments.expected_on as date) as expected_on,
    cast(expected_payments.p80_on as date) as p80_on,
    cast(expected_payments.chance_later_30 as decimal(18, 4)) as chance_later_30,
    cast(expected_payments.sentence as string) as payment_outlook
from items
left join collectors on items.customer_id = collectors.customer_id
left join customers on items.customer_id = customers.customer_id
left join offers on items.invoice_id = offers.invoice_id
left join expected_payments on items.item_id = expected_payments.item_id
left join currencies on items.currency = currencies.currency
left join currencies as reporting_currencies on items.reporting_currency = reporting_currencies.currency
