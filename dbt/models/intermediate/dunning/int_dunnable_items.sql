{#- A part of int_dunning_holds, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

steps_due as (
    select * from {{ ref('int_dunning_steps_due') }}
),

dunning_steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

contacts as (
    select * from {{ ref('stg_erp__contacts') }}
),

-- The bureau's word is enough to stop: the legal list is where somebody checks it.
reported_insolvent as (
    select distinct customer_id
    from {{ ref('int_risk_factors') }}
    where snapshot_date = {{ as_of() }} and factor = 'bureau_status' and value_text = 'insolvent'
),

promised as (
    select * from {{ ref('int_promise_holds') }}
),

pauses as (
    select * from {{ ref('int_contact_pauses') }}
),

unreadable as (
    select * from {{ ref('int_unreadable_items') }}
),

possible_payments as (
    select * from {{ ref('int_possible_payments') }}
),

business_days as (
    select * from {{ ref('int_business_days') }}
),

-- A payment that names an item holds it for so many business days: if nobody applied it by then, the item is asked for again.
possibly_paid as (
    select
        candidates.item_id,
        max(last_day.date_day) as paid_until
    from candidates
    inner join possible_payments on candidates.item_key = possible_payments.item_key
    inner join business_days as paid_day
        on candidates.calendar = paid_day.calendar
        and possible_payments.payment_date = paid_day.date_day
    inner join business_days as last_day
        on paid_day.calendar = last_day.calendar
        and last_day.is_business_day
        and last_day.business_day_number
        = paid_day.business_day_number + {{ policy_value('dunning_policy', 'possible_payment_business_days') }}
    group by candidates.item_id
),

reachable as (
    select customer_id from customers
    where email is not null or phone is not null
    union
    select customer_id from contacts
    where email is not null or phone is not null
),

-- Where the source gives no contact data at all, that a customer cannot be reached is not known, and no reason to hold.
contact_data as (
    select count(*) > 0 as is_kept
    from reachable
),

cadence_steps as (
    select distinct step
    from dunning_steps
    where in_cadence
),

placement_steps as (
    select distinct step
    from dunning_steps
    where effect = 'agency_placement'
)

select
    candidates.item_id,
    candidates.customer_id,
    candidates.due_date,
    candidates.is_trifle,
    candidates.open_amount,
    candidates.disputed_amount,
    candidates.dunnable_amount,
    candidates.dunnable_amount_reporting,
    steps_due.step,
    steps_due.next_step,
    steps_due.next_step_on,
    case when reported_insolvent.customer_id is not null then 'insolvent' else customers.status end as status,
    placement_steps.step is not null as is_placed,
    coalesce(customers.do_not_dun, false) as do_not_dun,
    promised.promise_until,
    promised.plan_until,
    possibly_paid.paid_until,
    pauses.contact_allowed_on,
    cadence_steps.step is not null as is_in_cadence,
    own_entities.company_id is not null as is_inter_company,
    customers.customer_id is null or (reachable.customer_id is null and contact_data.is_kept) as has_no_contact,
    coalesce(unreadable.is_customer, false) as is_customer_unreadable,
    coalesce(unreadable.is_invoice, false) as is_invoice_unreadable,
    coalesce(unreadable.is_dispute, false) as is_dispute_unreadable,
    coalesce(unreadable.is_promise, false) as is_promise_unreadable
from candidates
inner join steps_due on candidates.item_id = steps_due.item_id
cross join contact_data
left join customers on candidates.customer_id = customers.customer_id
left join reported_insolvent on candidates.customer_id = reported_insolvent.customer_id
left join promised on candidates.item_id = promised.item_id
left join possibly_paid on candidates.item_id = possibly_paid.item_id
left join unreadable on candidates.item_id = unreadable.item_id
left join pauses on candidates.customer_id = pauses.customer_id
left join reachable on candidates.customer_id = reachable.customer_id
left join placement_steps on steps_due.last_step = placement_steps.step
left join cadence_steps on steps_due.step = cadence_steps.step
left join companies as own_entities
    on not own_entities.is_assumed
    and own_entities.company_id in (customers.customer_id, customers.parent_customer_id)
where candidates.days_past_due > 0 or candidates.due_date is null or steps_due.a_step_date_has_come
