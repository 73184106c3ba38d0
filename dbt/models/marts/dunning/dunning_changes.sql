with items as (
    select * from {{ ref('dunning_items') }}
),

issued_steps as (
    select * from {{ ref('stg_delivery__issued_steps') }}
    where worklist_date < {{ as_of() }}
),

candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

receivable_items as (
    select * from {{ ref('int_receivable_items') }}
),

item_allocations as (
    select * from {{ ref('int_item_allocations') }}
    where ended_on is null
),

customers as (
    select * from {{ ref('int_customers') }}
),

collectors as (
    select * from {{ ref('int_collectors') }}
),

mergers as (
    select * from {{ ref('int_customer_mergers') }}
),

last_list as (
    select max(worklist_date) as worklist_date
    from issued_steps
),

-- A morning that ran under two policy packs may have issued two steps for an item: the later word counts.
last_listed as (
    select
        item_id,
        customer_id,
        invoice_id,
        worklist_date,
        step,
        open_amount,
        currency
    from (
        select
            issued_steps.item_id,
            coalesce(mergers.customer_id, issued_steps.customer_id) as customer_id,
            issued_steps.invoice_id,
            issued_steps.worklist_date,
            issued_steps.step,
            issued_steps.open_amount,
            issued_steps.currency,
            row_number() over (partition by issued_steps.item_id order by issued_steps.known_at desc, issued_steps.step) as recency
        from issued_steps
        inner join last_list on issued_steps.worklist_date = last_list.worklist_date
        left join mergers on issued_steps.customer_id = mergers.merged_customer_id
    ) as by_recency
    where recency = 1
),

ever_issued as (
    select
        item_id,
        max(worklist_date) as issued_on
    from issued_steps
    group by item_id
),

not_dunnable as (
    select
        last_listed.*,
        candidates.item_id is not null as is_open
    from last_listed
    left join items on last_listed.item_id = items.item_id
    left join candidates on last_listed.item_id = candidates.item_id
    where items.item_id is null
),

-- What has closed an item is what most of its amount went against since the list, else ever.
closings as (
    select
        item_id,
        source_type
    from (
        select
            not_dunnable.item_id,
            item_allocations.source_type,
            row_number() over (
                partition by not_dunnable.item_id
                order by
                    max(case when item_allocations.effective_on >= not_dunnable.worklist_date then 1 else 0 end) desc,
                    sum(item_allocations.amount) desc,
                    item_allocations.source_type
            ) as place
        from not_dunnable
        inner join item_allocations on not_dunnable.item_id = item_allocations.item_id
        where not not_dunnable.is_open
        group by not_dunnable.item_id, item_allocations.source_type
    ) as by_amount
    where place = 1
),

changes as (
    select
        items.item_id,
        items.customer_id,
        items.invoice_id,
        case
            when items.last_step is not null then 'escalated'
            when ever_issued.item_id is not null then 'repeated'
            else 'new'
        end as change,
        items.step,
        items.last_step as previous_step,
        coalesce(items.last_step_on, ever_issued.issued_on) as previous_step_on,
        cast(null as string) as held_reason,
        cast(null as string) as cleared_how,
        items.currency,
        items.open_amount,
        cast(null as decimal(18, 4)) as previous_open_amount
    from items
    left join ever_issued on items.item_id = ever_issued.item_id
    where items.held_reason is null
    union all
    select
        items.item_id,
        items.customer_id,
        items.invoice_id,
        'held_now' as change,
        items.step,
        last_listed.step as previous_step,
        last_listed.worklist_date as previous_step_on,
        items.held_reason,
        cast(null as string) as cleared_how,
        items.currency,
        items.open_amount,
        last_listed.open_amount as previous_open_amount
    from items
    inner join last_listed on items.item_id = last_listed.item_id
    where items.held_reason is not null
    union all
    select
        not_dunnable.item_id,
        not_dunnable.customer_id,
        not_dunnable.invoice_id,
        case when not_dunnable.is_open then 'postponed' else 'cleared' end as change,
        cast(null as string) as step,
        not_dunnable.step as previous_step,
        not_dunnable.worklist_date as previous_step_on,
        cast(null as string) as held_reason,
        case
            when not_dunnable.is_open then null
            when receivable_items.item_id is null then 'withdrawn'
            when receivable_items.voided_on is not null then 'voided'
            when closings.source_type in ('payment', 'discount') then 'paid'
            when closings.source_type = 'credit_memo' then 'credited'
            when closings.source_type = 'write_off' then 'written_off'
            else 'adjusted'
        end as cleared_how,
        not_dunnable.currency,
        coalesce(candidates.open_amount, 0) as open_amount,
        not_dunnable.open_amount as previous_open_amount
    from not_dunnable
    left join candidates on not_dunnable.item_id = candidates.item_id
    left join receivable_items on not_dunnable.item_id = receivable_items.item_id
    left join closings on not_dunnable.item_id = closings.item_id
)

select
    {{ as_of() }} as as_of,
    cast(changes.customer_id as string) as customer_id,
    cast(coalesce(customers.name, changes.customer_id) as string) as customer_name,
    cast(coalesce(collectors.collector, customers.collector) as string) as collector,
    cast(changes.item_id as string) as item_id,
    cast(changes.invoice_id as string) as invoice_id,
    cast(coalesce(receivable_items.document_number, changes.invoice_id) as string) as document_number,
    cast(changes.change as string) as change,
    cast(changes.step as string) as step,
    cast(changes.previous_step as string) as previous_step,
    cast(changes.previous_step_on as date) as previous_step_on,
    cast(changes.held_reason as string) as held_reason,
    cast(changes.cleared_how as string) as cleared_how,
    coalesce(changes.change <> 'held_now' or changes.held_reason not in ('waiting_next_step', 'waiting_its_turn', 'contacted_recently'), true) as is_news,
    cast(changes.currency as string) as currency,
    cast(changes.open_amount as decimal(18, 4)) as open_amount,
    cast(changes.previous_open_amount as decimal(18, 4)) as previous_open_amount
from changes
left join customers on changes.customer_id = customers.customer_id
left join collectors on changes.customer_id = collectors.customer_id
left join receivable_items on changes.item_id = receivable_items.item_id
