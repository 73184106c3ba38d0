{#- Nobody plans further ahead than that. -#}
{%- set days_ahead = 365 -%}
with clocks as (
    select * from {{ ref('int_item_clocks') }}
),

curves as (
    select * from {{ ref('int_curves') }}
),

forecast_policy as (
    select *
    from {{ policy_values('forecast_policy', chance_a_day='double', likely_chance='double', safe_chance='double') }} as forecast_policy
),

-- What is older than the oldest bucket begins has gone bad.
oldest_bucket as (
    select max(from_days) - 1 as days
    from {{ policy_rows('aging_buckets') }} as aging_buckets
),

-- Beyond its last day a curve goes on as it did over its last sixty.
ends as (
    select
        curve,
        curve_customer_id,
        max(case when day = {{ last_curve_day() }} then log_still_open end) as log_last,
        greatest(
            cast(
                max(case when day = {{ last_curve_day() }} - 60 then log_still_open end)
                - max(case when day = {{ last_curve_day() }} then log_still_open end) as double
            ) / 60,
            max(forecast_policy.chance_a_day) / 10
        ) as rate
    from curves
    cross join forecast_policy
    where day >= {{ last_curve_day() }} - 60
    group by curve, curve_customer_id
),

begun as (
    select
        clocks.*,
        {{ dbt.datediff('clocks.day_zero', 'clocks.due_date', 'day') }} as due_day,
        oldest_bucket.days as bad_days,
        cast(ends.log_last as double) as log_last,
        ends.rate,
        case
            when clocks.age_days > {{ last_curve_day() }}
                then cast(ends.log_last as double) - ends.rate * (clocks.age_days - {{ last_curve_day() }})
            when clocks.age_days < {{ first_curve_day() }} then 0
            else cast(today.log_still_open as double)
        end as log_now
    from clocks
    cross join oldest_bucket
    inner join ends
        on clocks.curve = ends.curve
        and clocks.curve_customer_id = ends.curve_customer_id
    left join curves as today
        on clocks.curve = today.curve
        and clocks.curve_customer_id = today.curve_customer_id
        and clocks.age_days = today.day
),

-- The first day by which so many of those that are still open today are paid.
reached as (
    select
        begun.item_key,
        min(case
            when cast(curves.log_still_open as double)
                <= begun.log_now + ln(1 - forecast_policy.likely_chance) then curves.day
        end) as likely_day,
        min(case
            when cast(curves.log_still_open as double)
                <= begun.log_now + ln(1 - forecast_policy.safe_chance) then curves.day
        end) as safe_day,
        {%- for days in [0, 10, 30, 'begun.bad_days'] %}
        max(case when curves.day = begun.due_day + {{ days }} then curves.log_still_open end) as log_at_{{ days | replace('begun.bad_', '') }}{{ ',' if not loop.last }}
        {%- endfor %}
    from begun
    inner join curves
        on begun.curve = curves.curve
        and begun.curve_customer_id = curves.curve_customer_id
        and begun.age_days < curves.day
    cross join forecast_policy
    group by begun.item_key
),

placed as (
    select
        begun.item_key,
        begun.customer_id,
        begun.curve,
        begun.curve_customer_id,
        begun.day_zero,
        begun.age_days,
        begun.channel_days,
        begun.log_now,
        begun.log_last,
        begun.rate,
        {%- for name in ['likely', 'safe'] %}
        coalesce(
            reached.{{ name }}_day,
            least({{ last_curve_day() }} + ceil(
                (begun.log_last - begun.log_now - ln(1 - forecast_policy.{{ name }}_chance)) / begun.rate
            ), begun.age_days + {{ days_ahead }} + 1)
        ) as {{ name }}_day,
        {%- endfor %}
        {%- for days in [0, 10, 30, 'begun.bad_days'] %}
        {%- set name = days | replace('begun.bad_', '') %}
        case
            when begun.due_day is null then null
            when begun.age_days >= begun.due_day + {{ days }} then 1
            when begun.due_day + {{ days }} > {{ last_curve_day() }}
                then exp(begun.log_last - begun.rate * (begun.due_day + {{ days }} - {{ last_curve_day() }}) - begun.log_now)
            when begun.due_day + {{ days }} < {{ first_curve_day() }} then 1
            else exp(cast(reached.log_at_{{ name }} as double) - begun.log_now)
        end as chance_later_{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from begun
    cross join forecast_policy
    left join reached on begun.item_key = reached.item_key
)

select
    item_key,
    customer_id,
    curve,
    curve_customer_id,
    day_zero,
    age_days,
    channel_days,
    log_now,
    log_last,
    rate,
    case when likely_day <= age_days + {{ days_ahead }} then {{ days_after('day_zero', 'cast(likely_day as integer)') }} end as expected_on,
    case when safe_day <= age_days + {{ days_ahead }} then {{ days_after('day_zero', 'cast(safe_day as integer)') }} end as safe_on,
    {{ rounded_once('chance_later_0') }} as chance_later_0,
    {{ rounded_once('chance_later_10') }} as chance_later_10,
    {{ rounded_once('chance_later_30') }} as chance_later_30,
    {{ rounded_once('chance_later_days') }} as chance_gone_bad
from placed
