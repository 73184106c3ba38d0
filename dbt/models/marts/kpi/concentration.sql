with concentration as (
    select * from {{ ref('int_concentration') }}
    where is_as_of
),

payment_windows as (
    select * from {{ ref('int_payment_windows') }}
    where is_as_of
),

risk_tiers as (
    select * from {{ ref('int_risk_tiers') }}
),

bands as (
    select 'top5' as band, 1 as place
    union all
    select 'next15' as band, 2 as place
    union all
    select 'rest' as band, 3 as place
),

customers as (
    select
        band,
        customer_id,
        ultimate_parent_id,
        sum(billed) as billed
    from concentration
    group by band, customer_id, ultimate_parent_id
),

summed as (
    select
        customers.band,
        count(distinct customers.ultimate_parent_id) as customers,
        sum(customers.billed) as billed,
        sum(payment_windows.paid_amount_12m) as paid,
        sum(cast(payment_windows.paid_amount_12m as decimal(19, 4)) * payment_windows.days_to_pay_12m) as paid_x_days_to_pay,
        sum(case when risk_tiers.risk_score is not null and customers.billed > 0 then customers.billed end) as scored,
        sum(case when customers.billed > 0 then cast(customers.billed as decimal(19, 4)) * risk_tiers.risk_score end) as scored_x_risk
    from customers
    left join payment_windows on customers.customer_id = payment_windows.customer_id
    left join risk_tiers on customers.customer_id = risk_tiers.customer_id
    group by customers.band
)

select
    cast(bands.band as string) as band,
    cast(coalesce(summed.customers, 0) as integer) as customers,
    cast(coalesce(summed.billed, 0) as decimal(18, 4)) as billed,
    {{ ratio('coalesce(summed.billed, 0)', 'sum(summed.billed) over ()') }} as billed_share,
    {{ ratio('summed.paid_x_days_to_pay', 'summed.paid') }} as days_to_pay,
    {{ ratio('summed.scored_x_risk', 'summed.scored') }} as risk
from bands
left join summed on bands.band = summed.band
