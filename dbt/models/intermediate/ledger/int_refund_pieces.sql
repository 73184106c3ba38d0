with refunds as (
    select * from {{ ref('int_refunds') }}
),

unnamed as (
    select * from {{ ref('int_refunds') }}
    where source_key is null
),

sources as (
    select * from {{ ref('int_refund_sources') }}
),

available as (
    select * from {{ ref('int_refundable_amounts') }}
),

-- What is used up is a function of what stands on a day: laid anew whenever something of the account begins or ends.
layout_starts as (
    select company_id, customer_id, currency, effective_on as starts_on from unnamed
    union
    select company_id, customer_id, currency, ended_on as starts_on from unnamed where ended_on is not null
    union
    select company_id, customer_id, currency, valid_from as starts_on from available where valid_from > first_refund_on
),

layouts as (
    select
        company_id,
        customer_id,
        currency,
        starts_on,
        lead(starts_on) over (partition by company_id, customer_id, currency order by starts_on) as ends_on
    from layout_starts
),

-- What there is to give back and the refunds that use it up, each as a stretch of one line of money.
room_stretches as (
    select
        layouts.company_id,
        layouts.customer_id,
        layouts.currency,
        layouts.starts_on,
        available.item_key,
        available.item_id,
        available.item_type,
        available.amount,
        sum(available.amount) over (
            partition by layouts.company_id, layouts.customer_id, layouts.currency, layouts.starts_on
            order by available.preference, available.began_on, available.item_id
            rows between unbounded preceding and current row
        ) as stretch_to
    from layouts
    inner join available
        on layouts.company_id = available.company_id
        and layouts.customer_id = available.customer_id
        and layouts.currency = available.currency
        and {{ spans('layouts.starts_on', 'available') }}
    where available.amount > 0
),

rooms as (
    select
        company_id,
        customer_id,
        currency,
        starts_on,
        max(stretch_to) as amount
    from room_stretches
    group by company_id, customer_id, currency, starts_on
),

refund_stretches as (
    select
        unnamed.refund_id,
        unnamed.refund_key,
        unnamed.company_id,
        unnamed.customer_id,
        unnamed.currency,
        unnamed.amount,
        unnamed.known_at,
        case when unnamed.ended_on <= layouts.ends_on or layouts.ends_on is null then unnamed.end_known_at end as end_known_at,
        layouts.starts_on as effective_on,
        least(unnamed.ended_on, layouts.ends_on) as ended_on,
        sum(unnamed.amount) over (
            partition by unnamed.company_id, unnamed.customer_id, unnamed.currency, layouts.starts_on
            order by unnamed.effective_on, unnamed.refund_id
            rows between unbounded preceding and current row
        ) as stretch_to
    from unnamed
    inner join layouts
        on unnamed.company_id = layouts.company_id
        and unnamed.customer_id = layouts.customer_id
        and unnamed.currency = layouts.currency
        and unnamed.effective_on <= layouts.starts_on
        and (unnamed.ended_on is null or unnamed.ended_on > layouts.starts_on)
),

laid as (
    select
        refund_stretches.refund_id,
        room_stretches.item_key,
        room_stretches.item_id,
        room_stretches.item_type,
        refund_stretches.company_id,
        refund_stretches.customer_id,
        refund_stretches.currency,
        least(refund_stretches.stretch_to, room_stretches.stretch_to)
        - greatest(refund_stretches.stretch_to - refund_stretches.amount, room_stretches.stretch_to - room_stretches.amount) as amount,
        refund_stretches.effective_on,
        refund_stretches.ended_on,
        refund_stretches.known_at,
        refund_stretches.end_known_at
    from refund_stretches
    inner join room_stretches
        on refund_stretches.company_id = room_stretches.company_id
        and refund_stretches.customer_id = room_stretches.customer_id
        and refund_stretches.currency = room_stretches.currency
        and refund_stretches.effective_on = room_stretches.starts_on
        and refund_stretches.stretch_to > room_stretches.stretch_to - room_stretches.amount
        and room_stretches.stretch_to > refund_stretches.stretch_to - refund_stretches.amount
    union all
    -- More than there is to give back is an item of its own.
    select
        refund_stretches.refund_id,
        refund_stretches.refund_key as item_key,
        'refund/' || refund_stretches.refund_id as item_id,
        'refund' as item_type,
        refund_stretches.company_id,
        refund_stretches.customer_id,
        refund_stretches.currency,
        least(refund_stretches.amount, refund_stretches.stretch_to - coalesce(rooms.amount, 0)) as amount,
        refund_stretches.effective_on,
        refund_stretches.ended_on,
        refund_stretches.known_at,
        refund_stretches.end_known_at
    from refund_stretches
    left join rooms
        on refund_stretches.company_id = rooms.company_id
        and refund_stretches.customer_id = rooms.customer_id
        and refund_stretches.currency = rooms.currency
        and refund_stretches.effective_on = rooms.starts_on
    where refund_stretches.stretch_to > coalesce(rooms.amount, 0)
    union all
    select
        refunds.refund_id,
        sources.item_key,
        sources.item_id,
        sources.item_type,
        sources.company_id,
        sources.customer_id,
        sources.currency,
        refunds.amount,
        refunds.effective_on,
        refunds.ended_on,
        refunds.known_at,
        refunds.end_known_at
    from refunds
    inner join sources on refunds.source_key = sources.item_key
)

select
    refund_id,
    item_key,
    item_id,
    item_type,
    company_id,
    customer_id,
    currency,
    cast(amount as decimal(18, 4)) as amount,
    effective_on,
    ended_on,
    known_at,
    coalesce(end_known_at, known_at) as end_known_at
from laid
where amount > 0
