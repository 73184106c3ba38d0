with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

holds as (
    select * from {{ ref('int_dunning_holds') }}
    where held_reason is null
),

steps_due as (
    select * from {{ ref('int_dunning_steps_due') }}
),

collectors as (
    select * from {{ ref('int_collectors') }}
),

contact_days as (
    select * from {{ ref('int_contact_days') }}
),

policy_steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
),

loss_rates as (
    select * from {{ policy_rows('worklist_priority') }} as worklist_priority
),

dunning_policy as (
    select * from {{ policy_values('dunning_policy', 'collector_minutes_a_day', priority_chance='string') }} as dunning_policy
),

aging_buckets as (
    select * from {{ policy_rows('aging_buckets') }} as aging_buckets
),

expected_payments as (
    select * from {{ ref('int_expected_payments') }}
),

-- The chance of a loss goes by how long an item is past due, whatever the aging counts from. An amount times a rate or days needs room.
priced as (
    select
        candidates.customer_id,
        candidates.tier,
        candidates.calendar,
        candidates.customer_calendar,
        candidates.days_past_due,
        steps_due.severity,
        -- Wide enough for what it is multiplied by: a book in yen or rupiah has amounts that an eighteen-digit product does not hold.
        cast(case when candidates.days_past_due > 0 then candidates.dunnable_amount_reporting else 0 end as decimal(24, 4)) as past_due,
        -- By its own chance an item goes bad as often as it grows older than the oldest bucket begins, and is lost then as that bucket is.
        case
            when
                dunning_policy.priority_chance = 'item'
                and expected_payments.chance_gone_bad is not null
                then cast(
                    cast(expected_payments.chance_gone_bad as double)
                    * cast(coalesce(oldest_tier_loss.loss_pct, oldest_any_loss.loss_pct) as double) as decimal(9, 4)
                )
            else coalesce(tier_loss.loss_pct, any_loss.loss_pct)
        end as loss_pct
    from candidates
    inner join holds on candidates.item_id = holds.item_id
    inner join steps_due on candidates.item_id = steps_due.item_id
    left join aging_buckets
        on (aging_buckets.from_days is null or candidates.days_past_due >= aging_buckets.from_days)
        and (aging_buckets.to_days is null or candidates.days_past_due <= aging_buckets.to_days)
    left join loss_rates as tier_loss
        on candidates.tier = tier_loss.tier
        and aging_buckets.bucket = tier_loss.aging_bucket
    left join loss_rates as any_loss
        on any_loss.tier = '*'
        and aging_buckets.bucket = any_loss.aging_bucket
    left join expected_payments on candidates.item_key = expected_payments.item_key
    cross join dunning_policy
    cross join (select max(from_days) as from_days from aging_buckets) as oldest
    left join aging_buckets as oldest_bucket on oldest.from_days = oldest_bucket.from_days
    left join loss_rates as oldest_tier_loss
        on candidates.tier = oldest_tier_loss.tier
        and oldest_bucket.bucket = oldest_tier_loss.aging_bucket
    left join loss_rates as oldest_any_loss
        on oldest_any_loss.tier = '*'
        and oldest_bucket.bucket = oldest_any_loss.aging_bucket
),

-- Sums are kept as exact decimals; each figure is divided and rounded once, at the end.
summed as (
    select
        customer_id,
        max(tier) as tier,
        min(calendar) as calendar,
        min(customer_calendar) as customer_calendar,
        max(severity) as severity,
        cast(sum(past_due) as decimal(18, 4)) as past_due_amount,
        cast(sum(past_due * loss_pct) as decimal(28, 8)) as past_due_x_loss_pct,
        sum(past_due * days_past_due) as past_due_x_days
    from priced
    group by customer_id
),

at_risk as (
    select
        customer_id,
        tier,
        calendar,
        customer_calendar,
        severity,
        past_due_amount,
        {{ rounded('past_due_x_loss_pct * 0.01', 'reporting.digits') }} as expected_loss,
        {{ rounded('cast(carried as decimal(24, 6))', 'reporting.digits') }} as carrying_cost
    from (
        select
            *,
            cast(past_due_x_days as double) * {{ policy_value('kpi_policy', 'cost_of_capital_pct', 'double') }} / 36500 as carried
        from summed
    ) as carrying
    cross join {{ reporting_digits() }} as reporting
),

action_steps as (
    select
        customer_id,
        step,
        label as step_label,
        channel,
        audience,
        tone,
        template,
        effect,
        minutes,
        coalesce(automatic, false) as automatic
    from (
        select
            at_risk.customer_id,
            policy_steps.*,
            row_number() over (
                partition by at_risk.customer_id
                order by case when policy_steps.tier = '*' then 1 else 0 end, policy_steps.step
            ) as preference
        from at_risk
        inner join policy_steps
            on at_risk.severity = policy_steps.severity
            and policy_steps.tier in ('*', at_risk.tier)
    ) as applicable
    where preference = 1
),

-- A collector's day is filled from the top: whoever no longer fits is planned for the day on which the time before it is used up.
queued as (
    select
        at_risk.*,
        collectors.collector,
        action_steps.step,
        action_steps.step_label,
        action_steps.channel,
        action_steps.audience,
        action_steps.tone,
        action_steps.template,
        action_steps.effect,
        action_steps.minutes,
        action_steps.automatic,
        sum(action_steps.minutes) over (
            partition by collectors.collector
            order by
                at_risk.expected_loss + at_risk.carrying_cost desc,
                at_risk.past_due_amount desc,
                at_risk.severity desc,
                at_risk.customer_id
            rows between unbounded preceding and current row
        ) as minutes_through
    from at_risk
    inner join action_steps on at_risk.customer_id = action_steps.customer_id
    left join collectors on at_risk.customer_id = collectors.customer_id
),

planned as (
    select
        queued.*,
        cast(ceiling(
            cast(queued.minutes_through as double) / dunning_policy.collector_minutes_a_day
        ) as integer) - 1 as days_ahead
    from queued
    cross join dunning_policy
),

numbered_days as (
    select
        calendar,
        customer_calendar,
        date_day,
        row_number() over (partition by calendar, customer_calendar order by date_day) as days_ahead,
        count(*) over (partition by calendar, customer_calendar) as last_days_ahead
    from contact_days
    where is_open and date_day > {{ as_of() }}
)

select
    planned.customer_id,
    planned.collector,
    planned.severity,
    planned.step,
    planned.step_label,
    planned.channel,
    planned.audience,
    planned.tone,
    planned.template,
    planned.effect,
    planned.past_due_amount,
    planned.expected_loss,
    planned.carrying_cost,
    planned.minutes,
    planned.minutes_through,
    planned.automatic,
    planned.days_ahead > 0 as is_waiting,
    numbered_days.date_day as planned_on
from planned
left join numbered_days
    on planned.calendar = numbered_days.calendar
    and planned.customer_calendar = numbered_days.customer_calendar
    and least(planned.days_ahead, numbered_days.last_days_ahead) = numbered_days.days_ahead
