with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

tier_steps as (
    select * from {{ ref('int_tier_steps') }}
),

issued as (
    select * from {{ ref('int_issued_steps') }}
),

-- Whoever has never heard of us begins no firmer than policy lets a first contact be.
first_contacts as (
    select * from {{ ref('int_first_contacts') }}
),

contact_days as (
    select * from {{ ref('int_contact_days') }}
),

business_days as (
    select * from {{ ref('int_business_days') }}
),

-- Nothing goes out on a day off, unless policy lets what was missed before that day go out on it: what is due is then asked of the
-- next open day.
mornings as (
    select
        calendar,
        customer_calendar,
        case
            when is_open or {{ policy_value('dunning_policy', 'missed_steps_on_days_off', 'string') }} = 'go_out' then date_day
            else next_open_day
        end as acts_on
    from contact_days
    where date_day = {{ as_of() }}
),

last_issued as (
    select
        item_id,
        step,
        issued_on,
        offset_days,
        firmest
    from (
        select
            item_id,
            step,
            issued_on,
            offset_days,
            max(severity) over (partition by item_id) as firmest,
            row_number() over (partition by item_id order by issued_on desc, severity desc, step) as recency
        from issued
    ) as by_recency
    where recency = 1
),

first_issued as (
    select
        item_id,
        step,
        min(issued_on) as issued_on
    from issued
    group by item_id, step
),

item_steps as (
    select
        candidates.item_id,
        candidates.calendar,
        candidates.customer_calendar,
        mornings.acts_on,
        tier_steps.step,
        tier_steps.severity,
        tier_steps.lapses_after_days,
        last_issued.firmest is null or tier_steps.severity > last_issued.firmest as is_firmer,
        first_contacts.severity is null or tier_steps.severity <= first_contacts.severity as is_soft_enough,
        tier_steps.requires_step is null or required.issued_on is not null as is_reachable,
        greatest(
            {{ days_after(
                "case when tier_steps.anchor = 'invoice_date' then candidates.document_date else candidates.due_date end",
                'tier_steps.offset_days'
            ) }},
            -- Who could not pay on the day itself has the next business day for it.
            case
                when tier_steps.anchor = 'due_date' and tier_steps.offset_days > 0 and not due_day.is_business_day
                    then {{ days_after('due_day.next_business_day', 1) }}
            end
        ) as planned_on,
        {{ days_after(
            'last_issued.issued_on',
            'greatest(tier_steps.offset_days - last_issued.offset_days, coalesce(tier_steps.min_days_since_previous, 0))'
        ) }} as spaced_on
    from candidates
    inner join tier_steps on coalesce(candidates.tier, '*') = tier_steps.item_tier
    left join mornings
        on candidates.calendar = mornings.calendar
        and candidates.customer_calendar = mornings.customer_calendar
    left join business_days as due_day
        on candidates.calendar = due_day.calendar
        and candidates.due_date = due_day.date_day
    left join last_issued on candidates.item_id = last_issued.item_id
    left join first_contacts on candidates.customer_id = first_contacts.customer_id
    left join first_issued as required
        on candidates.item_id = required.item_id
        and tier_steps.requires_step = required.step
),

-- A date the calendar does not reach is too old for a week-end to matter.
dated as (
    select
        item_steps.item_id,
        item_steps.step,
        item_steps.severity,
        item_steps.is_firmer,
        item_steps.is_soft_enough,
        item_steps.is_reachable,
        item_steps.lapses_after_days,
        item_steps.acts_on,
        coalesce(planned_day.next_open_day, item_steps.planned_on) as planned_on,
        coalesce(
            earliest_day.next_open_day, greatest(item_steps.planned_on, item_steps.spaced_on)
        ) as step_on
    from item_steps
    left join contact_days as planned_day
        on item_steps.calendar = planned_day.calendar
        and item_steps.customer_calendar = planned_day.customer_calendar
        and item_steps.planned_on = planned_day.date_day
    left join contact_days as earliest_day
        on item_steps.calendar = earliest_day.calendar
        and item_steps.customer_calendar = earliest_day.customer_calendar
        and greatest(item_steps.planned_on, item_steps.spaced_on) = earliest_day.date_day
    where item_steps.planned_on is not null
),

takeable as (
    select *
    from dated
    where
        is_firmer
        and is_soft_enough
        and is_reachable
        and (lapses_after_days is null or {{ days_after('step_on', 'lapses_after_days') }} >= acts_on)
),

ripe as (
    select
        item_id,
        step,
        severity,
        acts_on,
        row_number() over (partition by item_id order by severity desc, step) as firmness
    from takeable
    where step_on <= acts_on
),

upcoming as (
    select
        item_id,
        step,
        step_on,
        row_number() over (partition by item_id order by step_on nulls last, severity desc, step) as nearness
    from takeable
    where step_on > acts_on
),

arrived as (
    select distinct item_id
    from dated
    where planned_on <= {{ as_of() }}
)

select
    candidates.item_id,
    arrived.item_id is not null as a_step_date_has_come,
    case when ripe.acts_on = {{ as_of() }} then ripe.step end as step,
    case when ripe.acts_on = {{ as_of() }} then ripe.severity end as severity,
    case
        when ripe.step is null then upcoming.step
        when ripe.acts_on > {{ as_of() }} then ripe.step
    end as next_step,
    case
        when ripe.step is null then upcoming.step_on
        when ripe.acts_on > {{ as_of() }} then ripe.acts_on
    end as next_step_on,
    last_issued.step as last_step,
    last_issued.issued_on as last_step_on
from candidates
left join arrived on candidates.item_id = arrived.item_id
left join ripe on candidates.item_id = ripe.item_id and ripe.firmness = 1
left join upcoming on candidates.item_id = upcoming.item_id and upcoming.nearness = 1
left join last_issued on candidates.item_id = last_issued.item_id
