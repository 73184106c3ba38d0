{{ config(meta={'description': 'The aging buckets hold every whole number of days exactly once: no gap, no overlap, no beginning to the first (which holds all that is not due, and only that) and no end to the last.'}) }}

with buckets as (
    select * from {{ policy_rows('aging_buckets') }} as aging_buckets
),

ordered as (
    select
        bucket,
        from_days,
        to_days,
        amount_column,
        lag(to_days) over (order by from_days nulls first) as previous_to_days,
        row_number() over (order by from_days nulls first) as position,
        count(*) over () as buckets
    from buckets
),

judged as (
    select
        bucket,
        from_days,
        to_days,
        case
            when bucket is null or bucket = 'no_due_date' then 'a bucket needs a name of its own'
            when from_days > to_days then 'begins after it ends'
            when position = 1 and from_days is not null then 'the first bucket has a beginning'
            when position > 1 and from_days is null then 'overlaps the first bucket'
            when position = buckets and to_days is not null then 'the last bucket has an end'
            when position < buckets and to_days is null then 'overlaps the next bucket'
            when from_days <= previous_to_days then 'overlaps the bucket before'
            when from_days > previous_to_days + 1 then 'leaves a gap to the bucket before'
            when position = 1 and coalesce(to_days, 1) <> 0 then 'the first bucket must hold what is not past due, and only that'
            when (position = 1) <> (amount_column = 'current_amount') then 'only the first bucket stands in current_amount'
            when amount_column not in ('current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus') then 'unknown amount column'
        end as reason
    from ordered
)

select
    bucket,
    from_days,
    to_days,
    reason
from judged
where reason is not null

union all

select
    null as bucket,
    null as from_days,
    null as to_days,
    'there are no buckets' as reason
where (select count(*) from buckets) = 0
