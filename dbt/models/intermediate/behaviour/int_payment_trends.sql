with months as (
    select * from {{ ref('int_payment_months') }}
    where is_complete
),

customer_snapshots as (
    select * from {{ ref('int_customer_snapshots') }}
),

behaviour_policy as (
    select *
    from {{ policy_values(
        'behaviour_policy', 'trend_min_months',
        trend_slope_days='decimal(18, 4)', trend_change_days='decimal(18, 4)', trend_erratic_days='decimal(18, 4)'
    ) }} as behaviour_policy
),

-- A month without activity is a row without a value: the windows below count months, not rows.
cells as (
    select
        customer_id,
        month_index,
        dbt_days,
        weighed_amount,
        weighed_x_days,
        false as is_needed
    from months
    union all
    select
        customer_id,
        last_complete_month_index as month_index,
        cast(null as decimal(18, 4)) as dbt_days,
        null as weighed_amount,
        null as weighed_x_days,
        true as is_needed
    from customer_snapshots
),

month_rows as (
    select
        customer_id,
        month_index,
        max(dbt_days) as dbt_days,
        sum(weighed_amount) as weighed_amount,
        sum(weighed_x_days) as weighed_x_days,
        max(case when is_needed then 1 else 0 end) = 1 as is_needed
    from cells
    group by customer_id, month_index
),

-- The line is laid through exact sums: what an engine makes of its own regression depends on the order in which it adds. Sums are as wide as
-- their products below have room for in 38 digits.
windowed as (
    select
        customer_id,
        month_index,
        is_needed,
        cast(count(dbt_days) over trailing_year as integer) as active_months,
        cast(sum(case when dbt_days is not null then month_index end) over trailing_year as integer) as sum_x,
        cast(sum(dbt_days) over trailing_year as decimal(19, 4)) as sum_y,
        sum(case when dbt_days is not null then month_index * month_index end) over trailing_year as sum_xx,
        cast(sum(month_index * dbt_days) over trailing_year as decimal(24, 4)) as sum_xy,
        cast(sum(dbt_days * dbt_days) over trailing_year as decimal(24, 8)) as sum_yy,
        sum(weighed_amount) over recent as recent_amount,
        sum(weighed_x_days) over recent as recent_x_days,
        sum(weighed_amount) over before_recent as prior_amount,
        sum(weighed_x_days) over before_recent as prior_x_days
    from month_rows
    window
        trailing_year as (partition by customer_id order by month_index range between 11 preceding and current row),
        recent as (partition by customer_id order by month_index range between 2 preceding and current row),
        before_recent as (partition by customer_id order by month_index range between 5 preceding and 3 preceding)
),

-- Each is the count squared times what statistics calls the variance of months, of days, and their covariance.
spreads as (
    select
        customer_id,
        month_index,
        active_months,
        cast(active_months * sum_xx - cast(sum_x as bigint) * sum_x as double) as spread_x,
        cast(active_months * sum_yy - sum_y * cast(sum_y as decimal(17, 4)) as double) as spread_y,
        cast(active_months * sum_xy - sum_x * sum_y as double) as spread_xy,
        recent_amount,
        recent_x_days,
        prior_amount,
        prior_x_days
    from windowed
    where is_needed
),

trends as (
    select
        customer_id,
        month_index,
        active_months,
        case when active_months >= 2 then {{ rounded_once('spread_xy / spread_x') }} end as dbt_slope,
        case
            when active_months < 3 then null
            when spread_y = 0 then 1
            else {{ rounded_once('spread_xy * spread_xy / (spread_x * spread_y)') }}
        end as dbt_r2,
        case when active_months >= 2 then {{ rounded_once('sqrt(spread_y / (active_months * (active_months - 1)))') }} end as dbt_stddev,
        {{ ratio('recent_x_days', 'recent_amount') }} as dbt_days_recent,
        {{ ratio('prior_x_days', 'prior_amount') }} as dbt_days_prior
    from spreads
)

select
    customer_id,
    month_index,
    cast(active_months as integer) as active_months,
    case when active_months >= behaviour_policy.trend_min_months then dbt_slope end as dbt_slope,
    case when active_months >= behaviour_policy.trend_min_months then dbt_r2 end as dbt_r2,
    dbt_stddev,
    dbt_days_recent,
    dbt_days_prior,
    case
        when active_months < behaviour_policy.trend_min_months then 'insufficient_history'
        when
            dbt_slope >= behaviour_policy.trend_slope_days
            and dbt_days_recent - dbt_days_prior >= behaviour_policy.trend_change_days
            then 'rising'
        when
            dbt_slope <= -behaviour_policy.trend_slope_days
            and dbt_days_prior - dbt_days_recent >= behaviour_policy.trend_change_days
            then 'falling'
        when dbt_stddev >= behaviour_policy.trend_erratic_days then 'erratic'
        else 'steady'
    end as direction
from trends
cross join behaviour_policy
