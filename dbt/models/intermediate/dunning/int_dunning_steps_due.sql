with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

policy_steps as (
    select * from {{ ref('dunning_steps') }}
    where {{ in_force() }}
),

policy as (
    select * from {{ ref('dunning_policy') }}
    where {{ in_force() }}
),

contacts_made as (
    select * from {{ ref('int_contacts_made') }}
    where step is not null and (item_id is not null or invoice_id is not null)
),

business_days as (
    select * from {{ ref('int_business_days') }}
),

-- A row written for a tier takes the place of the row for every tier.
tiers as (
    select distinct coalesce(tier, '*') as tier
    from candidates
),

tier_steps as (
    select *
    from (
        select
            tiers.tier as item_tier,
            policy_steps.*,
            row_number() over (
                partition by tiers.tier, policy_steps.step order by case when policy_steps.tier = '*' then 1 else 0 end
            ) as preference
        from tiers
        inner join policy_steps on policy_steps.tier in ('*', tiers.tier)
    ) as applicable
    where preference = 1
),

-- A step our own list issued is known by item; one somebody else reported, by invoice.
issued as (
    select
        candidates.item_id,
        contacts_made.contacted_on as issued_on,
        tier_steps.step,
        tier_steps.severity,
        tier_steps.offset_days
    from contacts_made
    inner join candidates
        on contacts_made.item_id = candidates.item_id
    inner join tier_steps
        on contacts_made.step = tier_steps.step
        and coalesce(candidates.tier, '*') = tier_steps.item_tier
    union all
    select
        candidates.item_id,
        contacts_made.contacted_on as issued_on,
        tier_steps.step,
        tier_steps.severity,
        tier_steps.offset_days
    from contacts_made
    inner join candidates
        on contacts_made.invoice_id = candidates.invoice_id
    inner join tier_steps
        on contacts_made.step = tier_steps.step
        and coalesce(candidates.tier, '*') = tier_steps.item_tier
    where contacts_made.item_id is null
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
            row_number() over (partition by item_id order by issued_on desc, severity desc) as recency
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
        tier_steps.step,
        tier_steps.severity,
        tier_steps.lapses_after_days,
        last_issued.firmest is null or tier_steps.severity > last_issued.firmest as is_firmer,
        tier_steps.requires_step is null or required.issued_on is not null as is_reachable,
        {{ days_after(
            "case when tier_steps.anchor = 'invoice_date' then candidates.document_date else candidates.due_date end",
            'tier_steps.offset_days'
        ) }} as planned_on,
        {{ days_after(
            'last_issued.issued_on',
            'greatest(tier_steps.offset_days - last_issued.offset_days, coalesce(tier_steps.min_days_since_previous, 0))'
        ) }} as spaced_on
    from candidates
    inner join tier_steps on coalesce(candidates.tier, '*') = tier_steps.item_tier
    left join last_issued on candidates.item_id = last_issued.item_id
    left join first_issued as required
        on candidates.item_id = required.item_id
        and tier_steps.requires_step = required.step
),

-- A date the calendar does not reach is too old for a weekend to matter.
dated as (
    select
        item_steps.item_id,
        item_steps.step,
        item_steps.severity,
        item_steps.is_firmer,
        item_steps.is_reachable,
        item_steps.lapses_after_days,
        coalesce(planned_day.next_business_day, item_steps.planned_on) as planned_on,
        coalesce(
            earliest_day.next_business_day, greatest(item_steps.planned_on, item_steps.spaced_on)
        ) as step_on
    from item_steps
    left join business_days as planned_day
        on item_steps.calendar = planned_day.calendar
        and item_steps.planned_on = planned_day.date_day
    left join business_days as earliest_day
        on item_steps.calendar = earliest_day.calendar
        and greatest(item_steps.planned_on, item_steps.spaced_on) = earliest_day.date_day
    where item_steps.planned_on is not null
),

takeable as (
    select *
    from dated
    where
        is_firmer
        and is_reachable
        and (lapses_after_days is null or {{ days_after('step_on', 'lapses_after_days') }} >= {{ as_of() }})
),

ripe as (
    select
        item_id,
        step,
        severity,
        row_number() over (partition by item_id order by severity desc) as firmness
    from takeable
    where step_on <= {{ as_of() }}
),

upcoming as (
    select
        item_id,
        step,
        step_on,
        row_number() over (partition by item_id order by step_on, severity desc) as nearness
    from takeable
    where step_on > {{ as_of() }}
),

arrived as (
    select distinct item_id
    from dated
    where planned_on <= {{ as_of() }}
),

-- No step falls due on a day off; whether one that was missed before goes out on it is policy.
mornings as (
    select
        calendar,
        next_business_day,
        is_business_day
        or (select value from policy where parameter = 'missed_steps_on_days_off') = 'go_out' as steps_go_out
    from business_days
    where date_day = {{ as_of() }}
)

select
    candidates.item_id,
    arrived.item_id is not null as a_step_date_has_come,
    case when mornings.steps_go_out then ripe.step end as step,
    case when mornings.steps_go_out then ripe.severity end as severity,
    case
        when ripe.step is null then upcoming.step
        when not mornings.steps_go_out then ripe.step
    end as next_step,
    case
        when ripe.step is null then upcoming.step_on
        when not mornings.steps_go_out then mornings.next_business_day
    end as next_step_on,
    last_issued.step as last_step,
    last_issued.issued_on as last_step_on
from candidates
left join mornings on candidates.calendar = mornings.calendar
left join arrived on candidates.item_id = arrived.item_id
left join ripe on candidates.item_id = ripe.item_id and ripe.firmness = 1
left join upcoming on candidates.item_id = upcoming.item_id and upcoming.nearness = 1
left join last_issued on candidates.item_id = last_issued.item_id
