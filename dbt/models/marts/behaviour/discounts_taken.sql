with discounts as (
    select * from {{ ref('int_discounts') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

summed as (
    select
        cast({{ dbt.date_trunc('month', 'discount_until') }} as date) as month,
        company_id,
        reporting_currency,
        count(*) as invoices,
        sum(offered_amount) as offered,
        sum(taken_amount) as taken,
        sum(unearned_amount) as unearned,
        sum(deducted_amount) as deducted,
        sum(early_amount) as paid_early,
        sum(early_amount_x_days) * {{ policy_value('kpi_policy', 'cost_of_capital_pct', 'decimal(9, 4)') }} as early_amount_x_days_x_pct
    from discounts
    group by cast({{ dbt.date_trunc('month', 'discount_until') }} as date), company_id, reporting_currency
)

select
    cast(summed.month as date) as month,
    cast(summed.company_id as string) as company_id,
    cast(summed.reporting_currency as string) as reporting_currency,
    cast(summed.invoices as integer) as invoices,
    cast(summed.offered as decimal(18, 4)) as offered,
    cast(summed.taken as decimal(18, 4)) as taken,
    cast(summed.unearned as decimal(18, 4)) as unearned,
    cast(summed.deducted as decimal(18, 4)) as deducted,
    cast(summed.paid_early as decimal(18, 4)) as paid_early,
    {{ rounded(quotient('summed.early_amount_x_days_x_pct', '36500'), 'currencies.digits') }} as cost_of_capital_value
from summed
left join currencies on summed.reporting_currency = currencies.currency
