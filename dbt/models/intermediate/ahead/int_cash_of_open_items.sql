with expected as (
    select * from {{ ref('int_expected_payments') }}
),

-- Wide enough for what amounts are multiplied by: a book in yen has some that an eighteen-digit product does not hold.
open_items as (
    select
        item_key,
        company_id,
        currency,
        days_past_due,
        cast(open_amount as decimal(24, 4)) as open_amount,
        cast(open_amount_reporting as decimal(24, 4)) as open_amount_reporting
    from {{ ref('int_open_items') }}
    where item_type in ('invoice', 'debit_memo') and open_amount > 0
),

curves as (
    select * from {{ ref('int_curves') }}
),

reached as (
    select
        expected.item_key,
        expected.curve,
        week.n as week,
        case
            when week.n = 0 then 1
            when expected.age_days + 7 * week.n > {{ last_curve_day() }}
                then exp(
                    expected.log_last - expected.rate * (expected.age_days + 7 * week.n - {{ last_curve_day() }}) - expected.log_now
                )
            when expected.age_days + 7 * week.n < {{ first_curve_day() }} then 1
            else exp(cast(curves.log_still_open as double) - expected.log_now)
        end as still_open
    from expected
    cross join {{ whole_numbers(0, weeks_ahead()) }} as week
    left join curves
        on expected.curve = curves.curve
        and expected.curve_customer_id = curves.curve_customer_id
        and expected.age_days + 7 * week.n = curves.day
),

chances as (
    select
        item_key,
        curve,
        week,
        cast(lag(still_open) over (partition by item_key order by week) - still_open as decimal(12, 9)) as chance
    from reached
)

-- Amounts times chances are exact sums; a variance is rounded item by item, so that every night has the same.
select
    open_items.company_id,
    open_items.currency,
    chances.week,
    {%- for measure, condition in [
        ('open_items', "chances.curve <> 'promise'"), ('promised', "chances.curve = 'promise'"), ('overdue_part', 'open_items.days_past_due > 0')
    ] %}
    cast(sum(case when {{ condition }} then open_items.open_amount * chances.chance else 0 end) as decimal(28, 8)) as {{ measure }},
    cast(sum(case when {{ condition }} then open_items.open_amount_reporting * chances.chance else 0 end) as decimal(28, 8))
        as {{ measure }}_reporting,
    {%- endfor %}
    sum(cast(
        cast(open_items.open_amount as double) * cast(open_items.open_amount as double)
        * cast(chances.chance as double) * (1 - cast(chances.chance as double)) as decimal(32, 4)
    )) as variance,
    sum(cast(
        cast(open_items.open_amount_reporting as double) * cast(open_items.open_amount_reporting as double)
        * cast(chances.chance as double) * (1 - cast(chances.chance as double)) as decimal(32, 4)
    )) as variance_reporting
from chances
inner join open_items on chances.item_key = open_items.item_key
where chances.week > 0
group by open_items.company_id, open_items.currency, chances.week
