with refunds as (
    select * from {{ ref('int_refunds') }}
),

unnamed as (
    select * from {{ ref('int_refunds') }}
    where source_key is null
),

payments as (
    select * from {{ ref('int_payments') }}
),

credit_memos as (
    select * from {{ ref('int_documents') }}
    where document_type = 'credit_memo'
),

allocations as (
    select * from {{ ref('int_allocations') }}
    where source_type in ('payment', 'credit_memo')
),

sources as (
    select
        document_key as item_key,
        'payment/' || payment_id as item_id,
        'payment' as item_type,
        1 as preference,
        company_id,
        customer_id,
        currency,
        amount,
        payment_date as began_on,
        reversed_on as ended_on
    from payments
    union all
    select
        document_key as item_key,
        invoice_id as item_id,
        document_type as item_type,
        2 as preference,
        company_id,
        customer_id,
        currency,
        amount,
        document_date as began_on,
        voided_on as ended_on
    from credit_memos
),

-- Refunds that name nothing use up what their account has, and few accounts have any.
accounts as (
    select
        company_id,
        customer_id,
        currency,
        min(effective_on) as first_refund_on
    from unnamed
    group by company_id, customer_id, currency
),

account_sources as (
    select sources.*
    from sources
    inner join accounts
        on sources.company_id = accounts.company_id
        and sources.customer_id = accounts.customer_id
        and sources.currency = accounts.currency
),

flows as (
    select item_key, began_on as moved_on, amount from account_sources
    union all
    select item_key, greatest(ended_on, began_on) as moved_on, -amount as amount from account_sources where ended_on is not null
    {%- for relation, amount in [('allocations', 'source_amount'), ('refunds', 'amount')] %}
    union all
    select source_key as item_key, effective_on as moved_on, -{{ amount }} as amount from {{ relation }}
    where source_key in (select item_key from account_sources)
    union all
    select source_key as item_key, ended_on as moved_on, {{ amount }} as amount from {{ relation }}
    where ended_on is not null and source_key in (select item_key from account_sources)
    {%- endfor %}
),

daily as (
    select
        item_key,
        moved_on,
        sum(amount) as amount
    from flows
    group by item_key, moved_on
    -- What is put against invoices the day it comes was never there to give back.
    having sum(amount) <> 0
),

available as (
    select
        item_key,
        moved_on as valid_from,
        lead(moved_on) over (partition by item_key order by moved_on) as valid_to,
        sum(amount) over (partition by item_key order by moved_on rows between unbounded preceding and current row) as amount
    from daily
),

-- What is used up is a function of what stands on a day: laid anew whenever something of the account begins or ends.
layout_starts as (
    select company_id, customer_id, currency, effective_on as starts_on from unnamed
    union
    select company_id, customer_id, currency, ended_on as starts_on from unnamed where ended_on is not null
    union
    select account_sources.company_id, account_sources.customer_id, account_sources.currency, daily.moved_on as starts_on
    from daily
    inner join account_sources on daily.item_key = account_sources.item_key
    inner join accounts
        on account_sources.company_id = accounts.company_id
        and account_sources.customer_id = accounts.customer_id
        and account_sources.currency = accounts.currency
        and daily.moved_on > accounts.first_refund_on
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
        account_sources.item_key,
        account_sources.item_id,
        account_sources.item_type,
        available.amount,
        sum(available.amount) over (
            partition by layouts.company_id, layouts.customer_id, layouts.currency, layouts.starts_on
            order by account_sources.preference, account_sources.began_on, account_sources.item_id
            rows between unbounded preceding and current row
        ) as stretch_to
    from layouts
    inner join account_sources
        on layouts.company_id = account_sources.company_id
        and layouts.customer_id = account_sources.customer_id
        and layouts.currency = account_sources.currency
    inner join available
        on account_sources.item_key = available.item_key
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
