with items as (
    select * from {{ ref('int_receivable_items') }}
    where item_type in ('invoice', 'debit_memo') and due_date is not null and voided_on is null
),

open_items as (
    select * from {{ ref('int_open_items') }}
    where item_type in ('invoice', 'debit_memo')
),

pieces as (
    select * from {{ ref('int_item_allocations') }}
    where
        ended_on is null
        and effective_on > {{ dbt.dateadd('month', '-' ~ policy_value('forecast_policy', 'history_months'), as_of()) }}
),

disputes as (
    select
        invoice_id,
        min(opened_on) as disputed_on
    from {{ ref('stg_erp__disputes') }}
    where opened_on <= {{ as_of() }}
    group by invoice_id
),

-- A discount that is booked after its cash closes nothing that the cash had not: the day of the cash counts.
closings as (
    select
        item_key,
        max(case when source_type <> 'discount' then effective_on end) as closed_on,
        max(case when source_type = 'payment' then effective_on end) as applied_on,
        max(case when source_type = 'payment' then payment_date end) as paid_on
    from pieces
    group by item_key
),

seen as (
    select
        items.item_key,
        items.customer_id,
        coalesce(items.delivery_channel, 'unknown') as delivery_channel,
        items.due_date,
        disputes.disputed_on,
        coalesce(closings.paid_on, closings.closed_on) as ended_on,
        case when closings.applied_on = closings.closed_on then 'paid' else 'closed' end as outcome
    from closings
    inner join items on closings.item_key = items.item_key
    left join disputes on items.invoice_id = disputes.invoice_id
    where
        closings.closed_on is not null
        and not exists (select 1 from open_items where open_items.item_key = closings.item_key)
    union all
    select
        open_items.item_key,
        open_items.customer_id,
        coalesce(items.delivery_channel, 'unknown') as delivery_channel,
        open_items.due_date,
        disputes.disputed_on,
        {{ as_of() }} as ended_on,
        'open' as outcome
    from open_items
    inner join items on open_items.item_key = items.item_key
    left join disputes on open_items.invoice_id = disputes.invoice_id
    where open_items.open_amount > 0 and not open_items.is_trifle
),

-- What happened after a document was contested says nothing of a habit.
undisputed as (
    select
        seen.*,
        case when disputed_on < ended_on then disputed_on else ended_on end as habit_ended_on,
        case when disputed_on < ended_on then 'contested' else outcome end as habit_outcome
    from seen
),

weighed as (
    select
        undisputed.*,
        cast({{ dbt.datediff('due_date', 'habit_ended_on', 'day') }} as integer) as days_late,
        cast(
            case
                when outcome = 'open' then 1
                else power(
                    0.5,
                    cast({{ dbt.datediff('ended_on', as_of(), 'day') }} as double)
                    / {{ policy_value('forecast_policy', 'half_life_days') }}
                )
            end as decimal(18, 6)
        ) as weight
    from undisputed
),

-- What is sent in one way is paid so many whole days sooner or later than all there is. Exact sums: every night has the same.
by_channel as (
    select
        delivery_channel,
        sum(weight) as weight,
        sum(weight * {{ capped_days('days_late') }}) as weighted_days
    from weighed
    where habit_outcome = 'paid'
    group by delivery_channel
),

channels as (
    select
        by_channel.delivery_channel,
        cast(round(
            (
                cast(by_channel.weighted_days as double)
                - cast(by_channel.weight as double) * cast(book.weighted_days as double) / cast(book.weight as double)
            )
            / (cast(by_channel.weight as double) + {{ policy_value('forecast_policy', 'most_usual_shrinkage') }})
        ) as integer) as channel_days
    from by_channel
    cross join (
        select
            sum(weight) as weight,
            sum(weighted_days) as weighted_days
        from by_channel
    ) as book
    where by_channel.weight > 0
)

select
    weighed.item_key,
    weighed.customer_id,
    weighed.disputed_on,
    weighed.ended_on,
    weighed.outcome,
    weighed.habit_outcome,
    coalesce(channels.channel_days, 0) as channel_days,
    weighed.days_late - coalesce(channels.channel_days, 0) as habit_days,
    weighed.weight
from weighed
left join channels on weighed.delivery_channel = channels.delivery_channel
