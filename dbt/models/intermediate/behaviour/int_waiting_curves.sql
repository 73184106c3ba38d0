with delays as (
    select * from {{ ref('int_payment_delays') }}
),

promised_items as (
    select * from {{ ref('int_promised_items') }}
),

digits as (
    {{ ten_digits() }}
),

curve_days as (
    select
        curves.curve,
        hundreds.digit * 100 + tens.digit * 10 + ones.digit + {{ first_curve_day() }} as day
    from digits as hundreds
    cross join digits as tens
    cross join digits as ones
    cross join (select 'dispute' as curve union all select 'promise' as curve) as curves
    where hundreds.digit * 100 + tens.digit * 10 + ones.digit <= {{ last_curve_day() }} - {{ first_curve_day() }}
),

-- Days from the opening of the dispute, and from the day that was promised.
waits as (
    select
        'dispute' as curve,
        outcome,
        weight,
        {{ dbt.datediff('disputed_on', 'ended_on', 'day') }} as days
    from delays
    where disputed_on <= ended_on
    union all
    select
        'promise' as curve,
        delays.outcome,
        delays.weight,
        {{ dbt.datediff('promised_items.promised_date', 'delays.ended_on', 'day') }} as days
    from promised_items
    inner join delays on promised_items.item_key = delays.item_key
    where promised_items.made_on <= delays.ended_on
),

exits as (
    select
        curve,
        {{ curve_day('days') }} as day,
        sum(case when outcome = 'paid' and days <= {{ last_curve_day() }} then weight else 0 end) as paid,
        sum(weight) as ended
    from waits
    group by 1, 2
),

counted as (
    select
        curve_days.curve,
        curve_days.day,
        coalesce(exits.paid, 0) as paid,
        sum(coalesce(exits.ended, 0)) over (
            partition by curve_days.curve order by curve_days.day desc rows between unbounded preceding and current row
        ) as at_risk
    from curve_days
    left join exits
        on curve_days.curve = exits.curve
        and curve_days.day = exits.day
),

-- Of a day on which little was seen, what all days from the first on say.
usual_chances as (
    select
        curve,
        (cast(sum(paid) as double) + {{ policy_value('forecast_policy', 'chance_a_day', 'double') }})
        / (cast(sum(at_risk) as double) + 1) as chance
    from counted
    where day >= 0
    group by curve
),

chances as (
    select
        counted.curve,
        counted.day,
        (cast(counted.paid as double) + case when counted.day < 0 then 0 else usual_chances.chance end)
        / (cast(counted.at_risk as double) + 1) as chance
    from counted
    inner join usual_chances on counted.curve = usual_chances.curve
)

select
    curve,
    day,
    sum(cast(ln(1 - least(chance, 0.999)) as decimal(28, 12))) over (
        partition by curve order by day rows between unbounded preceding and current row
    ) as log_still_open
from chances
