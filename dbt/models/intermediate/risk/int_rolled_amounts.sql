with snapshot as (
    select * from {{ ref('int_items_snapshot') }}
    where {{ is_receivable('item_type') }} and open_amount > 0 and not is_as_of
),

snapshot_dates as (
    select
        snapshot_date,
        lead(snapshot_date) over (order by snapshot_date) as next_date
    from {{ ref('int_snapshot_dates') }}
    where not is_as_of
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

write_offs as (
    select
        item_key,
        moved_on,
        -amount as amount
    from {{ ref('int_item_movements') }}
    where kind = 'write_off'
),

followed as (
    select
        snapshot_dates.next_date,
        snapshot.snapshot_date,
        snapshot.item_key,
        coalesce(tier_history.tier_indicated, '*') as tier,
        snapshot.aging_bucket,
        snapshot.open_amount,
        snapshot.open_amount_reporting,
        later.aging_bucket as bucket_then,
        later.days_past_due as days_past_due_then,
        least(coalesce(later.open_amount, 0), snapshot.open_amount) as open_then
    from snapshot
    inner join snapshot_dates
        on snapshot.snapshot_date = snapshot_dates.snapshot_date
        and snapshot_dates.next_date is not null
    left join snapshot as later
        on snapshot.item_key = later.item_key
        and snapshot_dates.next_date = later.snapshot_date
    left join tier_history
        on snapshot.customer_id = tier_history.customer_id
        and snapshot.snapshot_date = tier_history.snapshot_date
    -- What is lost by its age was so before.
    where coalesce(snapshot.days_past_due, 0) <= {{ policy_value('risk_policy', 'lost_after_days') }}
),

written_off as (
    select
        followed.item_key,
        followed.snapshot_date,
        sum(write_offs.amount) as amount
    from followed
    inner join write_offs
        on followed.item_key = write_offs.item_key
        and write_offs.moved_on > followed.snapshot_date
        and write_offs.moved_on <= followed.next_date
    group by followed.item_key, followed.snapshot_date
),

parted as (
    select
        followed.*,
        least(greatest(coalesce(written_off.amount, 0), 0), followed.open_amount - followed.open_then) as written_off_amount,
        coalesce(followed.days_past_due_then > {{ policy_value('risk_policy', 'lost_after_days') }}, false) as is_too_old
    from followed
    left join written_off
        on followed.item_key = written_off.item_key
        and followed.snapshot_date = written_off.snapshot_date
),

outcomes as (
    {%- for outcome, amount, condition in [
        ('bucket_then', 'open_then', 'open_then > 0 and not is_too_old'),
        ("'lost'", 'written_off_amount + case when is_too_old then open_then else 0 end', 'written_off_amount > 0 or is_too_old'),
        ("'paid'", 'open_amount - open_then - written_off_amount', 'open_amount > open_then + written_off_amount'),
    ] %}
    select
        next_date,
        tier,
        aging_bucket,
        {{ outcome }} as outcome,
        {{ ratio('cast(open_amount_reporting as double) * cast(' ~ amount ~ ' as double)', 'open_amount') }} as amount
    from parted
    where {{ condition }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

followed_items as (
    select
        next_date,
        tier,
        aging_bucket,
        count(*) as items
    from followed
    group by next_date, tier, aging_bucket
)

select
    outcomes.next_date as month_end,
    outcomes.tier,
    outcomes.aging_bucket,
    outcomes.outcome,
    sum(outcomes.amount) as amount,
    max(followed_items.items) as items
from outcomes
inner join followed_items
    on outcomes.next_date = followed_items.next_date
    and outcomes.tier = followed_items.tier
    and outcomes.aging_bucket = followed_items.aging_bucket
group by outcomes.next_date, outcomes.tier, outcomes.aging_bucket, outcomes.outcome
