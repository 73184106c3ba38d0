with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

holds as (
    select * from {{ ref('int_dunning_holds') }}
),

held_reasons as (
    select * from {{ policy_rows('held_reasons') }} as held_reasons
),

turns as (
    select * from {{ ref('int_dunning_turns') }}
    where is_waiting
),

-- Whose turn it is not is held for that reason alone: only what nothing else holds takes a collector's time.
waiting as (
    select
        turns.customer_id,
        turns.planned_on,
        held_reasons.reason as held_reason,
        held_reasons.list as held_list
    from turns
    inner join held_reasons on held_reasons.reason = {{ policy_name('held_reasons', 'waiting_its_turn') }}
),

steps_due as (
    select * from {{ ref('int_dunning_steps_due') }}
),

late_fees as (
    select * from {{ ref('int_late_fees') }}
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
    cast(candidates.customer_id as string) as customer_id,
    cast(coalesce(customers.name, candidates.customer_id) as string) as customer_name,
    cast(candidates.company_id as string) as company_id,
    cast(collectors.collector as string) as collector,
    cast(candidates.item_id as string) as item_id,
    cast(candidates.invoice_id as string) as invoice_id,
    cast(candidates.document_number as string) as document_number,
    cast(candidates.item_type as string) as item_type,
    cast(candidates.document_date as date) as document_date,
    cast(candidates.due_date as date) as due_date,
    cast(candidates.currency as string) as currency,
    cast(candidates.open_amount as decimal(18, 4)) as open_amount,
    cast(candidates.disputed_amount as decimal(18, 4)) as disputed_amount,
    cast(candidates.covered_amount as decimal(18, 4)) as covered_amount,
    cast(candidates.dunnable_amount as decimal(18, 4)) as dunnable_amount,
    cast(candidates.reporting_currency as string) as reporting_currency,
    cast(candidates.open_amount_reporting as decimal(18, 4)) as open_amount_reporting,
    cast(candidates.disputed_amount_reporting as decimal(18, 4)) as disputed_amount_reporting,
    cast(candidates.dunnable_amount_reporting as decimal(18, 4)) as dunnable_amount_reporting,
    cast(candidates.days_past_due as integer) as days_past_due,
    cast(candidates.aging_bucket as string) as aging_bucket,
    cast(steps_due.step as string) as step,
    cast(steps_due.severity as integer) as severity,
    cast(coalesce(holds.held_reason, waiting.held_reason) as string) as held_reason,
    cast(coalesce(holds.all_held_reasons, waiting.held_reason) as string) as all_held_reasons,
    cast(coalesce(holds.held_list, waiting.held_list) as string) as held_list,
    cast(coalesce(holds.held_until, waiting.planned_on) as date) as held_until,
    cast(steps_due.next_step as string) as next_step,
    cast(steps_due.next_step_on as date) as next_step_on,
    cast(steps_due.last_step as string) as last_step,
    cast(steps_due.last_step_on as date) as last_step_on,
    cast(late_fees.regime as string) as late_fee_regime,
    {{ rounded('late_fees.late_fee', 'currencies.digits') }} as late_fee_preview,
    cast(late_fees.compensation_amount as decimal(18, 4)) as late_fee_compensation_amount,
    cast(late_fees.compensation_currency as string) as late_fee_compensation_currency,
    cast(offers.discount_until as date) as discount_until,
    {{ rounded(per_cent_of('candidates.dunnable_amount', 'offers.discount_pct'), 'currencies.digits') }} as discount_amount,
    {{ rounded(per_cent_of('candidates.dunnable_amount_reporting', 'offers.discount_pct'), 'reporting_currencies.digits') }}
        as discount_amount_reporting,
    cast(offers.annualised_cost_pct as decimal(18, 4)) as discount_annualised_pct,
    cast(expected_payments.expected_on as date) as expected_on,
    cast(expected_payments.p80_on as date) as p80_on,
    cast(expected_payments.chance_later_30 as decimal(18, 4)) as chance_later_30,
    cast(expected_payments.sentence as string) as payment_outlook
from holds
inner join candidates on holds.item_id = candidates.item_id
inner join steps_due on holds.item_id = steps_due.item_id
left join waiting
    on candidates.customer_id = waiting.customer_id
    and holds.held_reason is null
left join late_fees on holds.item_id = late_fees.item_id
left join collectors on candidates.customer_id = collectors.customer_id
left join customers on candidates.customer_id = customers.customer_id
left join offers on candidates.invoice_id = offers.invoice_id
left join expected_payments on candidates.item_id = expected_payments.item_id
left join currencies on candidates.currency = currencies.currency
left join currencies as reporting_currencies on candidates.reporting_currency = reporting_currencies.currency
