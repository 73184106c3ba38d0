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
)

select
    candidates.item_id,
    candidates.customer_id,
    candidates.company_id,
    candidates.invoice_id,
    candidates.document_number,
    candidates.item_type,
    candidates.document_date,
    candidates.due_date,
    candidates.currency,
    candidates.open_amount,
    candidates.disputed_amount,
    candidates.covered_amount,
    candidates.dunnable_amount,
    candidates.reporting_currency,
    candidates.open_amount_reporting,
    candidates.disputed_amount_reporting,
    candidates.dunnable_amount_reporting,
    candidates.days_past_due,
    candidates.aging_bucket,
    steps_due.step,
    steps_due.severity,
    coalesce(holds.held_reason, waiting.held_reason) as held_reason,
    coalesce(holds.all_held_reasons, waiting.held_reason) as all_held_reasons,
    coalesce(holds.held_list, waiting.held_list) as held_list,
    coalesce(holds.held_until, waiting.planned_on) as held_until,
    steps_due.next_step,
    steps_due.next_step_on,
    steps_due.last_step,
    steps_due.last_step_on,
    late_fees.regime as late_fee_regime,
    late_fees.late_fee,
    late_fees.late_fee_reporting,
    late_fees.compensation_amount,
    late_fees.compensation_currency,
    late_fees.compensation_reporting
from holds
inner join candidates on holds.item_id = candidates.item_id
inner join steps_due on holds.item_id = steps_due.item_id
left join waiting
    on candidates.customer_id = waiting.customer_id
    and holds.held_reason is null
left join late_fees on holds.item_id = late_fees.item_id
