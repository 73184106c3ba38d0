with payment_behaviour as (
    select * from {{ ref('int_payment_behaviour') }}
)

select
    customer_id,
    dbt_days_3m,
    dbt_days_6m,
    dbt_days_12m,
    dbt_days_24m,
    active_months,
    dbt_slope,
    dbt_r2,
    dbt_stddev,
    dbt_days_recent,
    dbt_days_prior,
    paydex_equivalent,
    direction,
    payer_pattern,
    paid_amount_12m,
    past_due_amount,
    days_to_pay_12m,
    late_share_12m,
    on_time_share_12m,
    on_time_share_24m,
    bureau_dbt,
    bureau_dbt_change_6m,
    industry_dbt,
    hidden_stress
from payment_behaviour
