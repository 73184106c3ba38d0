with customers as (
    select * from {{ ref('int_customers') }}
),

payment_windows as (
    select * from {{ ref('int_payment_windows') }}
    where is_as_of
),

trends as (
    select * from {{ ref('int_payment_trends') }}
),

bureau_signals as (
    select * from {{ ref('int_bureau_signals') }}
    where snapshot_date = {{ as_of() }}
),

behaviour_policy as (
    select *
    from {{ policy_values(
        'behaviour_policy', 'new_paid_invoices', 'new_account_days',
        chronic_late_share='decimal(18, 4)', one_off_on_time_share='decimal(18, 4)', hidden_stress_own_days='decimal(18, 4)',
        hidden_stress_bureau_days='decimal(18, 4)', hidden_stress_bureau_rise_days='decimal(18, 4)'
    ) }} as behaviour_policy
),

paydex_scale as (
    select
        days_beyond_terms as from_days,
        score as from_score,
        lead(days_beyond_terms) over (order by days_beyond_terms) as to_days,
        lead(score) over (order by days_beyond_terms) as to_score,
        min(days_beyond_terms) over () as first_days,
        max(days_beyond_terms) over () as last_days
    from {{ policy_rows('paydex_scale') }} as paydex_scale
),

figures as (
    select
        customers.customer_id,
        payment_windows.first_document_on,
        payment_windows.dbt_days_3m,
        payment_windows.dbt_days_6m,
        payment_windows.dbt_days_12m,
        payment_windows.dbt_days_24m,
        payment_windows.on_time_share_12m,
        payment_windows.on_time_share_24m,
        payment_windows.late_share_12m,
        payment_windows.days_to_pay_12m,
        payment_windows.paid_amount_12m,
        payment_windows.past_due_amount,
        coalesce(payment_windows.paid_invoices_24m, 0) as paid_invoices_24m,
        coalesce(trends.active_months, 0) as active_months,
        trends.dbt_slope,
        trends.dbt_r2,
        trends.dbt_stddev,
        trends.dbt_days_recent,
        trends.dbt_days_prior,
        coalesce(trends.direction, 'insufficient_history') as direction,
        bureau_signals.bureau_dbt,
        bureau_signals.bureau_dbt_change_6m,
        bureau_signals.industry_dbt
    from customers
    inner join payment_windows on customers.customer_id = payment_windows.customer_id
    left join trends
        on payment_windows.customer_id = trends.customer_id
        and payment_windows.last_complete_month_index = trends.month_index
    left join bureau_signals on customers.customer_id = bureau_signals.customer_id
),

judged as (
    select
        figures.*,
        case
            when late_share_12m is null then 'new'
            when
                paid_invoices_24m < behaviour_policy.new_paid_invoices
                and {{ dbt.datediff('first_document_on', as_of(), 'day') }} < behaviour_policy.new_account_days
                then 'new'
            when late_share_12m >= behaviour_policy.chronic_late_share then 'chronic'
            when on_time_share_12m < behaviour_policy.one_off_on_time_share then 'occasional'
            when past_due_amount > 0 then 'one_off'
            else 'prompt'
        end as payer_pattern,
        case
            when dbt_days_3m > behaviour_policy.hidden_stress_own_days then false
            when dbt_days_3m is null or bureau_dbt is null then null
            else
                bureau_dbt >= behaviour_policy.hidden_stress_bureau_days
                or coalesce(
                    bureau_dbt_change_6m >= behaviour_policy.hidden_stress_bureau_rise_days,
                    false
                )
        end as hidden_stress
    from figures
    cross join behaviour_policy
),

on_paydex_scale as (
    select
        judged.*,
        case
            when paydex_scale.to_days is null or judged.dbt_days_12m <= paydex_scale.from_days then cast(paydex_scale.from_score as decimal(18, 4))
            else paydex_scale.from_score + {{ ratio(
                '(judged.dbt_days_12m - paydex_scale.from_days) * (paydex_scale.to_score - paydex_scale.from_score)',
                'paydex_scale.to_days - paydex_scale.from_days'
            ) }}
        end as paydex_equivalent
    from judged
    left join paydex_scale
        on (judged.dbt_days_12m >= paydex_scale.from_days or paydex_scale.from_days = paydex_scale.first_days)
        and (judged.dbt_days_12m < paydex_scale.to_days or paydex_scale.from_days = paydex_scale.last_days)
        and judged.dbt_days_12m is not null
)

select
    cast(customer_id as string) as customer_id,
    cast(dbt_days_3m as decimal(18, 4)) as dbt_days_3m,
    cast(dbt_days_6m as decimal(18, 4)) as dbt_days_6m,
    cast(dbt_days_12m as decimal(18, 4)) as dbt_days_12m,
    cast(dbt_days_24m as decimal(18, 4)) as dbt_days_24m,
    cast(active_months as integer) as active_months,
    cast(dbt_slope as decimal(18, 4)) as dbt_slope,
    cast(dbt_r2 as decimal(18, 4)) as dbt_r2,
    cast(dbt_stddev as decimal(18, 4)) as dbt_stddev,
    cast(dbt_days_recent as decimal(18, 4)) as dbt_days_recent,
    cast(dbt_days_prior as decimal(18, 4)) as dbt_days_prior,
    cast(paydex_equivalent as decimal(18, 4)) as paydex_equivalent,
    cast(direction as string) as direction,
    cast(payer_pattern as string) as payer_pattern,
    cast(paid_amount_12m as decimal(18, 4)) as paid_amount_12m,
    cast(past_due_amount as decimal(18, 4)) as past_due_amount,
    cast(days_to_pay_12m as decimal(18, 4)) as days_to_pay_12m,
    cast(late_share_12m as decimal(18, 4)) as late_share_12m,
    cast(on_time_share_12m as decimal(18, 4)) as on_time_share_12m,
    cast(on_time_share_24m as decimal(18, 4)) as on_time_share_24m,
    cast(bureau_dbt as decimal(18, 4)) as bureau_dbt,
    cast(bureau_dbt_change_6m as decimal(18, 4)) as bureau_dbt_change_6m,
    cast(industry_dbt as decimal(18, 4)) as industry_dbt,
    cast(hidden_stress as boolean) as hidden_stress
from on_paydex_scale
