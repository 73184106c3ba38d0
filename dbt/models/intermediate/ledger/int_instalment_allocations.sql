with scheduled as (
    select * from {{ ref('int_instalments') }}
),

allocations as (
    select * from {{ ref('int_allocations') }}
),

instalments as (
    select
        item_id,
        invoice_id,
        instalment_number,
        amount as original_amount,
        row_number() over (partition by invoice_id order by due_date nulls last, instalment_number) as position,
        row_number() over (partition by invoice_id order by due_date desc nulls first, instalment_number desc) = 1 as is_last
    from scheduled
),

last_instalments as (
    select
        invoice_id,
        item_id
    from instalments
    where is_last
),

-- What names no instalment the invoice has fills the oldest first. What raises the invoice (a negative adjustment) raises its last one.
addressed as (
    select
        allocations.allocation_id,
        allocations.invoice_id,
        allocations.amount,
        allocations.effective_on,
        allocations.ended_on,
        coalesce(
            instalments.item_id,
            case when allocations.amount < 0 then last_instalments.item_id end
        ) as item_id
    from allocations
    inner join last_instalments on allocations.invoice_id = last_instalments.invoice_id
    left join instalments
        on allocations.invoice_id = instalments.invoice_id
        and allocations.instalment_number = instalments.instalment_number
),

-- The filling is a function of what stands on a day. It is laid anew only when something ends or something addressed begins;
-- in between, what comes goes behind what is there.
layout_starts as (
    select invoice_id, ended_on as starts_on from addressed where ended_on is not null
    union
    select invoice_id, effective_on as starts_on from addressed where item_id is not null
    union
    select invoice_id, min(effective_on) as starts_on from addressed group by invoice_id
),

layouts as (
    select
        invoice_id,
        starts_on,
        lead(starts_on) over (partition by invoice_id order by starts_on) as ends_on
    from layout_starts
),

standing as (
    select
        addressed.allocation_id,
        addressed.invoice_id,
        addressed.amount,
        addressed.item_id,
        addressed.effective_on as allocation_effective_on,
        layouts.starts_on,
        greatest(addressed.effective_on, layouts.starts_on) as effective_on,
        least(addressed.ended_on, layouts.ends_on) as ended_on
    from addressed
    inner join layouts
        on addressed.invoice_id = layouts.invoice_id
        and (layouts.ends_on is null or addressed.effective_on < layouts.ends_on)
        and (addressed.ended_on is null or addressed.ended_on > layouts.starts_on)
),

addressed_sums as (
    select
        item_id,
        starts_on,
        sum(amount) as amount
    from standing
    where item_id is not null
    group by item_id, starts_on
),

rooms as (
    select
        instalments.item_id,
        instalments.invoice_id,
        instalments.position,
        instalments.is_last,
        layouts.starts_on,
        greatest(instalments.original_amount - coalesce(addressed_sums.amount, 0), 0) as room
    from instalments
    inner join layouts on instalments.invoice_id = layouts.invoice_id
    left join addressed_sums
        on instalments.item_id = addressed_sums.item_id
        and layouts.starts_on = addressed_sums.starts_on
),

-- Rooms and the allocations that fill them, each as a stretch of one line of money; the last room has no end.
room_stretches as (
    select
        item_id,
        invoice_id,
        starts_on,
        is_last,
        sum(room) over (partition by invoice_id, starts_on order by position) - room as stretch_from,
        sum(room) over (partition by invoice_id, starts_on order by position) as stretch_to
    from rooms
),

filling_stretches as (
    select
        allocation_id,
        invoice_id,
        starts_on,
        effective_on,
        ended_on,
        sum(amount) over (
            partition by invoice_id, starts_on
            order by allocation_effective_on, allocation_id
            rows between unbounded preceding and current row
        ) - amount as stretch_from,
        sum(amount) over (
            partition by invoice_id, starts_on
            order by allocation_effective_on, allocation_id
            rows between unbounded preceding and current row
        ) as stretch_to
    from standing
    where item_id is null
),

filled as (
    select
        filling_stretches.allocation_id,
        room_stretches.item_id,
        least(
            filling_stretches.stretch_to,
            case when room_stretches.is_last then filling_stretches.stretch_to else room_stretches.stretch_to end
        ) - greatest(filling_stretches.stretch_from, room_stretches.stretch_from) as amount,
        filling_stretches.effective_on,
        filling_stretches.ended_on
    from filling_stretches
    inner join room_stretches
        on filling_stretches.invoice_id = room_stretches.invoice_id
        and filling_stretches.starts_on = room_stretches.starts_on
        and filling_stretches.stretch_to > room_stretches.stretch_from
        and (room_stretches.is_last or filling_stretches.stretch_from < room_stretches.stretch_to)
),

pieces as (
    select allocation_id, item_id, amount, effective_on, ended_on from addressed where item_id is not null
    union all
    select allocation_id, item_id, amount, effective_on, ended_on from filled where amount > 0
)

select
    allocation_id,
    item_id,
    cast(amount as decimal(18, 4)) as amount,
    effective_on,
    ended_on
from pieces
