with figures as (
    select * from {{ ref('int_pilot_figures') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

definitions as (
    select * from {{ policy_rows('kpi_definitions') }} as kpi_definitions
),

-- Without a pilot the last months stand in for it: whatever shows there is chance.
begun as (
    select
        named.first_day is not null as is_running,
        cast({{ dbt.date_trunc('month', 'coalesce(named.first_day, stand_in.first_day)') }} as date) as first_month
    from (
        select cast(nullif({{ policy_value('kpi_policy', 'pilot_from', 'string') }}, 'none') as date) as first_day
    ) as named
    cross join (
        select cast({{ dbt.dateadd('month', '1 - ' ~ policy_value('kpi_policy', 'pilot_months_before'), 'max(month)') }} as date) as first_day from months
    ) as stand_in
),

before as (
    select
        figures.kpi,
        figures.arm,
        figures.customer_id,
        sum(figures.numerator) as numerator,
        sum(figures.denominator) as denominator
    from figures
    cross join begun
    where
        figures.month < begun.first_month
        and figures.month >= {{ dbt.dateadd('month', '-' ~ policy_value('kpi_policy', 'pilot_months_before'), 'begun.first_month') }}
    group by figures.kpi, figures.arm, figures.customer_id
),

after as (
    select figures.*
    from figures
    cross join begun
    where figures.month >= begun.first_month
),

accounts as (
    select
        after_months.month,
        sides.kpi,
        sides.arm,
        sides.customer_id
    from (select distinct month, kpi from after) as after_months
    inner join before as sides on after_months.kpi = sides.kpi
    union
    select month, kpi, arm, customer_id from after
),

beside as (
    select
        accounts.month,
        accounts.kpi,
        accounts.arm,
        accounts.customer_id,
        cast(coalesce(before.numerator, 0) as double) as numerator_before,
        cast(coalesce(before.denominator, 0) as double) as denominator_before,
        cast(coalesce(after.numerator, 0) as double) as numerator_after,
        cast(coalesce(after.denominator, 0) as double) as denominator_after
    from accounts
    left join before
        on accounts.kpi = before.kpi
        and accounts.customer_id = before.customer_id
    left join after
        on accounts.kpi = after.kpi
        and accounts.customer_id = after.customer_id
        and accounts.month = after.month
),

arms as (
    select
        month,
        kpi,
        arm,
        count(*) as n,
        {%- for side in ['before', 'after'] %}
        sum(cast(numerator_{{ side }} as decimal(28, 4))) as numerator_{{ side }},
        sum(cast(denominator_{{ side }} as decimal(28, 4))) as denominator_{{ side }}{{ ',' if not loop.last }}
        {%- endfor %}
    from beside
    group by month, kpi, arm
),

ratios as (
    select
        *,
        {%- for side in ['before', 'after'] %}
        case
            when denominator_{{ side }} > 0 then cast(numerator_{{ side }} as double) / cast(denominator_{{ side }} as double)
        end as ratio_{{ side }},
        cast(nullif(denominator_{{ side }}, 0) as double) as weight_{{ side }}{{ ',' if not loop.last }}
        {%- endfor %}
    from arms
),

-- How far each account moves its arm's change: the variance of a ratio of sums, account by account, before and after together.
moved as (
    select
        beside.month,
        beside.kpi,
        beside.arm,
        (beside.numerator_after - ratios.ratio_after * beside.denominator_after) / ratios.weight_after
        - (beside.numerator_before - ratios.ratio_before * beside.denominator_before) / ratios.weight_before as deviation
    from beside
    inner join ratios
        on beside.month = ratios.month
        and beside.kpi = ratios.kpi
        and beside.arm = ratios.arm
),

spread as (
    select
        month,
        kpi,
        arm,
        cast(sum(cast(deviation * deviation as decimal(38, 16))) as double) as squares
    from moved
    group by month, kpi, arm
),

changed as (
    select
        ratios.month,
        ratios.kpi,
        ratios.arm,
        ratios.n,
        ratios.ratio_after,
        ratios.ratio_after - ratios.ratio_before as change,
        spread.squares * ratios.n / nullif(ratios.n - 1, 0) as variance
    from ratios
    inner join spread
        on ratios.month = spread.month
        and ratios.kpi = spread.kpi
        and ratios.arm = spread.arm
),

effects as (
    select
        pilot.month,
        pilot.kpi,
        pilot.n as pilot_n,
        control.n as control_n,
        pilot.ratio_after as pilot,
        control.ratio_after as control,
        pilot.change - control.change as effect,
        sqrt(pilot.variance + control.variance) * {{ policy_value('kpi_policy', 'pilot_interval_z', 'double') }} as reach
    from changed as pilot
    inner join changed as control
        on pilot.month = control.month
        and pilot.kpi = control.kpi
    where pilot.arm = 'pilot' and control.arm = 'control'
)

select
    cast(effects.month as date) as month,
    cast(effects.kpi as string) as kpi,
    cast(definitions.title as string) as title,
    cast(definitions.unit as string) as unit,
    cast(definitions.better as string) as better,
    cast(begun.is_running as boolean) as is_running,
    {{ rounded_once('effects.pilot') }} as pilot,
    {{ rounded_once('effects.control') }} as control,
    {{ rounded_once('effects.effect') }} as difference_in_differences,
    {{ rounded_once('effects.effect - effects.reach') }} as low,
    {{ rounded_once('effects.effect + effects.reach') }} as high,
    cast(effects.pilot_n + effects.control_n as integer) as n,
    cast(effects.pilot_n as integer) as pilot_n,
    cast(
        coalesce(
            least(effects.pilot_n, effects.control_n) >= {{ policy_value('kpi_policy', 'pilot_min_accounts') }} and abs(effects.effect) > effects.reach,
            false
        ) as boolean
    ) as enough
from effects
cross join begun
left join definitions on effects.kpi = definitions.kpi
