with risk_factors as (
    select * from {{ ref('int_risk_factors') }}
    where snapshot_date = {{ as_of() }} and factor in ('bureau_score', 'current_ratio', 'quick_ratio')
),

payment_behaviour as (
    select * from {{ ref('int_payment_behaviour') }}
),

dunning_policy as (
    select *
    from {{ policy_values(
        'dunning_policy', looming_bureau_score='decimal(18, 4)', sound_bureau_score='decimal(18, 4)',
        failing_current_ratio='decimal(18, 4)', failing_quick_ratio='decimal(18, 4)'
    ) }} as dunning_policy
),

evidence as (
    select
        customer_id,
        max(case when factor = 'bureau_score' then value_number end) as bureau_score,
        max(case when factor = 'current_ratio' then value_number end) as current_ratio,
        max(case when factor = 'quick_ratio' then value_number end) as quick_ratio
    from risk_factors
    group by customer_id
),

judged as (
    select
        evidence.customer_id,
        evidence.bureau_score,
        evidence.current_ratio,
        evidence.quick_ratio,
        evidence.bureau_score < dunning_policy.looming_bureau_score as insolvency_looms,
        evidence.current_ratio < dunning_policy.failing_current_ratio as cannot_cover_current,
        evidence.quick_ratio < dunning_policy.failing_quick_ratio as cannot_cover_quick,
        payment_behaviour.payer_pattern = 'one_off' and evidence.bureau_score >= dunning_policy.sound_bureau_score as is_late_this_once
    from evidence
    cross join dunning_policy
    left join payment_behaviour on evidence.customer_id = payment_behaviour.customer_id
)

select
    customer_id,
    case
        when insolvency_looms then 'security_or_prepayment'
        when cannot_cover_current or cannot_cover_quick then 'instalments'
        else 'more_time'
    end as arrangement,
    case
        when insolvency_looms
            then concat_ws('', 'The bureau scores it ', cast(cast(bureau_score as decimal(18, 0)) as string), ' of 100: insolvency looms.')
        when cannot_cover_current
            then concat_ws('', 'Liquidity is failing: current ratio ', cast(cast(current_ratio as decimal(18, 2)) as string), '.')
        when cannot_cover_quick
            then concat_ws('', 'Liquidity is failing: quick ratio ', cast(cast(quick_ratio as decimal(18, 2)) as string), '.')
        else concat_ws('', 'Late this once, and the bureau scores it ', cast(cast(bureau_score as decimal(18, 0)) as string), ' of 100.')
    end as reason
from judged
where insolvency_looms or cannot_cover_current or cannot_cover_quick or is_late_this_once
