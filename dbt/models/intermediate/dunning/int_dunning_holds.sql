with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

steps_due as (
    select * from {{ ref('int_dunning_steps_due') }}
),

dunning_steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
),

held_reasons as (
    select * from {{ policy_rows('held_reasons') }} as held_reasons
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

refused_records as (
    select * from {{ ref('stg_reference__refused_records') }}
),

promises as (
    select * from {{ ref('int_promises') }}
    where state = 'pending' and (plan_id is null or plan_in_good_standing)
),

contacts_made as (
    select * from {{ ref('int_contacts_made') }}
    where in_cadence
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

-- What the customer promised without naming invoices holds what was owed then, oldest first, as far as the amount goes.
promised_at_large as (
    select
        customer_id,
        currency,
        plan_id is not null as is_plan,
        sum(amount) as amount,
        max(made_on) as made_on,
        max(grace_until) as grace_until
    from promises
    where invoice_id is null
    group by customer_id, currency, plan_id is not null
),

reached as (
    select
        candidates.item_id,
        promised_at_large.is_plan,
        promised_at_large.grace_until,
        promised_at_large.amount,
        coalesce(sum(candidates.dunnable_amount) over (
            partition by candidates.customer_id, candidates.currency, promised_at_large.is_plan
            order by candidates.due_date nulls last, candidates.document_date, candidates.item_id
            rows between unbounded preceding and 1 preceding
        ), 0) as older_amount
    from candidates
    inner join promised_at_large
        on candidates.customer_id = promised_at_large.customer_id
        and candidates.currency = promised_at_large.currency
        and candidates.document_date <= promised_at_large.made_on
),

promised_items as (
    select
        candidates.item_id,
        promises.plan_id is not null as is_plan,
        promises.grace_until
    from candidates
    inner join promises
        on candidates.invoice_id = promises.invoice_id
        and candidates.customer_id = promises.customer_id
    union all
    select
        item_id,
        is_plan,
        grace_until
    from reached
    where older_amount < amount
),

promised as (
    select
        item_id,
        max(case when not is_plan then grace_until end) as promise_until,
        max(case when is_plan then grace_until end) as plan_until
    from promised_items
    group by item_id
),

contact_days as (
    select
        customer_id,
        contacted_on,
        row_number() over (partition by customer_id order by contacted_on desc) as recency
    from (select distinct customer_id, contacted_on from contacts_made) as days
),

-- Left alone for some days after a contact; and where the window holds as many days with one as policy allows, until the first of
-- those leaves it.
left_alone as (
    select
        customer_id,
        greatest(
            max(case when recency = 1 then {{ days_after(
                'contacted_on', policy_value('dunning_policy', 'min_days_between_contacts')
            ) }} end),
            max(case
                when recency = {{ policy_value('dunning_policy', 'max_contacts_in_window') }}
                    then {{ days_after(
                        'contacted_on', policy_value('dunning_policy', 'contact_window_days')
                    ) }}
            end)
        ) as until_day
    from contact_days
    group by customer_id
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

-- What was said and could not be read holds as if it said the worst: a dispute the whole invoice, a promise what it names.
unreadable as (
    select
        candidates.item_id,
        max(case when refused_records.dataset = 'customers' then 1 else 0 end) = 1 as is_customer,
        max(case when refused_records.dataset = 'invoices' then 1 else 0 end) = 1 as is_invoice,
        max(case when refused_records.dataset = 'disputes' then 1 else 0 end) = 1 as is_dispute,
        max(case when refused_records.dataset = 'promises' then 1 else 0 end) = 1 as is_promise
    from refused_records
    inner join candidates
        on case
            when refused_records.dataset = 'customers' or (refused_records.dataset = 'promises' and refused_records.invoice_id is null)
                then refused_records.customer_id = candidates.customer_id
            else refused_records.invoice_id = candidates.invoice_id
        end
    group by candidates.item_id
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
),

judged as (
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
        left_alone.until_day as contact_allowed_on,
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
    left join left_alone on candidates.customer_id = left_alone.customer_id
    left join reachable on candidates.customer_id = reachable.customer_id
    left join placement_steps on steps_due.last_step = placement_steps.step
    left join cadence_steps on steps_due.step = cadence_steps.step
    left join companies as own_entities
        on not own_entities.is_assumed
        and own_entities.company_id in (customers.customer_id, customers.parent_customer_id)
    where candidates.days_past_due > 0 or candidates.due_date is null or steps_due.a_step_date_has_come
),

-- The minimum is asked of the customer, over what is neither contested, promised nor covered: a small item rides along with a large one.
-- A trifle does not: a cent of May would make a third notice of the reminder that it rides along with.
worth_asking as (
    select
        customer_id,
        sum(dunnable_amount_reporting) as amount,
        sum(case when is_trifle then dunnable_amount_reporting else 0 end) as trifle_amount
    from judged
    where promise_until is null and plan_until is null and step is not null
    group by customer_id
),

reasons as (
    select item_id, {{ policy_name('held_reasons', 'voided_or_settled') }} as reason, cast(null as date) as held_until
    from judged
    where is_invoice_unreadable
    union all
    select item_id, {{ policy_name('held_reasons', 'insolvent') }}, cast(null as date) from judged where status = 'insolvent'
    union all
    select item_id, {{ policy_name('held_reasons', 'at_agency') }}, cast(null as date) from judged where status = 'at_agency' or is_placed
    union all
    select item_id, {{ policy_name('held_reasons', 'disputed') }}, cast(null as date)
    from judged
    where (disputed_amount > 0 and disputed_amount >= open_amount) or is_dispute_unreadable
    union all
    select item_id, {{ policy_name('held_reasons', 'promise_pending') }}, promise_until from judged where promise_until is not null or is_promise_unreadable
    union all
    select item_id, {{ policy_name('held_reasons', 'payment_plan') }}, plan_until from judged where plan_until is not null
    union all
    select item_id, {{ policy_name('held_reasons', 'covered_by_credit') }}, cast(null as date)
    from judged
    where dunnable_amount <= 0 and not (disputed_amount > 0 and disputed_amount >= open_amount)
    union all
    select item_id, {{ policy_name('held_reasons', 'possible_payment') }}, paid_until from judged where paid_until >= {{ as_of() }}
    union all
    select judged.item_id, {{ policy_name('held_reasons', 'below_minimum') }}, cast(null as date)
    from judged
    inner join worth_asking on judged.customer_id = worth_asking.customer_id
    where
        judged.step is not null
        and judged.dunnable_amount > 0
        and case when judged.is_trifle then worth_asking.trifle_amount else worth_asking.amount end
        < {{ policy_value('dunning_policy', 'minimum_amount', 'decimal(18, 4)') }}
    union all
    select item_id, {{ policy_name('held_reasons', 'do_not_dun') }}, cast(null as date) from judged where do_not_dun
    union all
    select item_id, {{ policy_name('held_reasons', 'no_due_date') }}, cast(null as date) from judged where due_date is null
    union all
    select item_id, {{ policy_name('held_reasons', 'contacted_recently') }}, contact_allowed_on
    from judged
    where is_in_cadence and contact_allowed_on > {{ as_of() }}
    union all
    select item_id, {{ policy_name('held_reasons', 'inter_company') }}, cast(null as date) from judged where is_inter_company
    union all
    select item_id, {{ policy_name('held_reasons', 'no_contact') }}, cast(null as date) from judged where has_no_contact or is_customer_unreadable
    union all
    select item_id, {{ policy_name('held_reasons', 'waiting_next_step') }}, next_step_on from judged where step is null and next_step is not null
    union all
    select item_id, {{ policy_name('held_reasons', 'last_step_done') }}, cast(null as date)
    from judged
    where step is null and next_step is null and due_date is not null
),

ranked as (
    select
        reasons.item_id,
        reasons.reason,
        reasons.held_until,
        held_reasons.list,
        held_reasons.rank as reason_rank,
        row_number() over (partition by reasons.item_id order by held_reasons.rank) as position
    from reasons
    left join held_reasons on reasons.reason = held_reasons.reason
),

held as (
    select
        item_id,
        max(case when position = 1 then reason end) as held_reason,
        max(case when position = 1 then held_until end) as held_until,
        max(case when position = 1 then list end) as held_list,
        {{ dbt.listagg('reason', "','", 'order by reason_rank') }} as all_held_reasons
    from ranked
    group by item_id
)

select
    judged.item_id,
    held.held_reason,
    held.held_until,
    held.held_list,
    held.all_held_reasons
from judged
left join held on judged.item_id = held.item_id
