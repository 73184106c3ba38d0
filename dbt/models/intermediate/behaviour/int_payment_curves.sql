{#- Steps of a tenth of a spread in which the shape of the surprises is kept, from the first to the last. -#}
{%- set first_step, last_step = -100, 200 -%}
with delays as (
    select * from {{ ref('int_payment_delays') }}
),

habits as (
    select * from {{ ref('int_payment_habits') }}
),

forecast_policy as (
    select *
    from {{ policy_values('forecast_policy', 'curve_shrinkage', chance_a_day='double', shape_share='double') }} as forecast_policy
),

digits as (
    {{ ten_digits() }}
),

numbers as (
    select hundreds.digit * 100 + tens.digit * 10 + ones.digit as n
    from digits as hundreds
    cross join digits as tens
    cross join digits as ones
    where hundreds.digit < 4
),

curve_days as (
    select n + {{ first_curve_day() }} as days_late
    from numbers
    where n <= {{ last_curve_day() }} - {{ first_curve_day() }}
),

-- How far payments fall from what is usual, in spreads of their customer: the share of them beyond each step.
surprises as (
    select
        greatest(least(
            cast(floor(10 * {{ surprise('delays', 'habits') }} / habits.spread_days) as integer), {{ last_step }}
        ), {{ first_step }}) as step,
        sum(delays.weight) as weight
    from delays
    inner join habits on delays.customer_id = habits.customer_id
    where delays.habit_outcome = 'paid'
    group by 1
),

shape as (
    select
        steps.step,
        coalesce(1 - cast(sum(coalesce(surprises.weight, 0)) over (order by steps.step) as double)
        / nullif(cast(sum(coalesce(surprises.weight, 0)) over () as double), 0), 1) as share_beyond
    from (select n + {{ first_step }} as step from numbers where n <= {{ last_step }} - {{ first_step }}) as steps
    left join surprises on steps.step = surprises.step
),

exits as (
    select
        customer_id,
        {{ curve_day('habit_days') }} as days_late,
        sum(case when habit_outcome = 'paid' and habit_days <= {{ last_curve_day() }} then weight else 0 end) as paid,
        sum(weight) as ended
    from delays
    group by 1, 2
),

book_exits as (
    select
        curve_days.days_late,
        cast(coalesce(sum(exits.paid), 0) as double) as paid,
        cast(coalesce(sum(exits.ended), 0) as decimal(28, 6)) as ended
    from curve_days
    left join exits on curve_days.days_late = exits.days_late
    group by curve_days.days_late
),

-- The book's own life table: one item more was seen on each day, with the chance of a day of which nothing is known.
life_table as (
    select
        days_late,
        (paid + forecast_policy.chance_a_day)
        / (cast(sum(ended) over (order by days_late desc rows between unbounded preceding and current row) as double) + 1) as chance
    from book_exits
    cross join forecast_policy
),

book_curve as (
    select
        days_late,
        exp(cast(sum(cast(ln(1 - least(chance, 0.999)) as decimal(28, 12))) over (
            order by days_late rows between unbounded preceding and current row
        ) as double)) as still_open
    from life_table
),

-- What is expected of a customer before anything is counted: mostly the shape, laid at its usual lateness and spread.
expected as (
    select
        habits.customer_id,
        curve_days.days_late,
        forecast_policy.shape_share * shape.share_beyond
        + (1 - forecast_policy.shape_share) * book_curve.still_open as still_open
    from habits
    cross join forecast_policy
    cross join curve_days
    inner join book_curve on curve_days.days_late = book_curve.days_late
    inner join shape
        on greatest(least(
            cast(round(10 * (curve_days.days_late + 0.5 - habits.usual_days) / habits.spread_days) as integer) - 1, {{ last_step }}
        ), {{ first_step }}) = shape.step
),

-- One order of the rows for both: what was expected the day before, and who had left by then.
counted as (
    select
        expected.customer_id,
        expected.days_late,
        expected.still_open,
        lag(expected.still_open) over (partition by expected.customer_id order by expected.days_late) as open_before,
        coalesce(exits.paid, 0) as paid,
        coalesce(exits.ended, 0) as ended,
        sum(coalesce(exits.ended, 0)) over (
            partition by expected.customer_id order by expected.days_late rows between unbounded preceding and current row
        ) as ended_by_then
    from expected
    left join exits
        on expected.customer_id = exits.customer_id
        and expected.days_late = exits.days_late
),

customers as (
    select
        customer_id,
        sum(ended) as items
    from exits
    group by customer_id
),

chances as (
    select
        counted.customer_id,
        counted.days_late,
        (
            cast(counted.paid as double)
            + forecast_policy.curve_shrinkage
            * greatest(1 - counted.still_open / coalesce(counted.open_before, 1), 0)
        )
        / (
            cast(customers.items - counted.ended_by_then + counted.ended as double)
            + forecast_policy.curve_shrinkage
        ) as chance
    from counted
    inner join customers on counted.customer_id = customers.customer_id
    cross join forecast_policy
)

select
    customer_id,
    days_late,
    sum(cast(ln(1 - least(chance, 0.999)) as decimal(18, 12))) over (
        partition by customer_id order by days_late rows between unbounded preceding and current row
    ) as log_still_open
from chances
