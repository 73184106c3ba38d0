with limit_use as (
    select * from {{ ref('credit_limit_use') }}
    where balance > 0
),

behaviour as (
    select * from {{ ref('payment_behaviour') }}
),

score_changes as (
    select * from {{ ref('credit_score_changes') }}
    where alerting
),

actions as (
    select * from {{ ref('int_dunning_actions') }}
),

falling as (
    select
        customer_id,
        min(points) as bureau_fall_points
    from score_changes
    group by customer_id
),

signs as (
    select
        limit_use.customer_id,
        limit_use.company_id,
        limit_use.customer_name,
        limit_use.collector,
        limit_use.status,
        limit_use.tier_in_force,
        limit_use.reporting_currency,
        limit_use.balance,
        limit_use.past_due_amount,
        limit_use.oldest_past_due_days,
        limit_use.credit_used_share,
        limit_use.hold_candidate,
        behaviour.dbt_days_3m,
        behaviour.dbt_days_12m,
        falling.bureau_fall_points,
        coalesce(behaviour.direction = 'rising', false) as is_worsening,
        falling.customer_id is not null as is_bureau_falling,
        coalesce(behaviour.hidden_stress, false) as is_hidden_stress,
        row_number() over (order by limit_use.balance desc, limit_use.customer_id)
        <= {{ policy_value('risk_policy', 'watch_largest', 'integer') }} as is_large
    from limit_use
    left join behaviour on limit_use.customer_id = behaviour.customer_id
    left join falling on limit_use.customer_id = falling.customer_id
),

counted as (
    select
        signs.*,
        case when is_large then 1 else 0 end
        + case when is_worsening then 1 else 0 end
        + case when is_bureau_falling then 1 else 0 end
        + case when is_hidden_stress then 1 else 0 end as sign_count
    from signs
),

-- Size alone is no reason to worry: it says whom to worry about first.
worrying as (
    select
        counted.*,
        row_number() over (order by sign_count desc, balance desc, customer_id) as rank
    from counted
    where is_worsening or is_bureau_falling or is_hidden_stress
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(worrying.rank as integer) as rank,
    cast(worrying.customer_id as string) as customer_id,
    cast(worrying.company_id as string) as company_id,
    cast(worrying.customer_name as string) as customer_name,
    cast(worrying.sign_count as integer) as sign_count,
    cast(worrying.is_large as boolean) as is_large,
    cast(worrying.is_worsening as boolean) as is_worsening,
    cast(worrying.is_bureau_falling as boolean) as is_bureau_falling,
    cast(worrying.is_hidden_stress as boolean) as is_hidden_stress,
    cast(worrying.tier_in_force as string) as tier_in_force,
    cast(worrying.reporting_currency as string) as reporting_currency,
    cast(worrying.balance as decimal(18, 4)) as balance,
    cast(worrying.past_due_amount as decimal(18, 4)) as past_due_amount,
    cast(worrying.oldest_past_due_days as integer) as oldest_past_due_days,
    cast(worrying.credit_used_share as decimal(18, 4)) as credit_used_share,
    cast(worrying.dbt_days_3m as decimal(18, 4)) as dbt_days_3m,
    cast(worrying.dbt_days_12m as decimal(18, 4)) as dbt_days_12m,
    cast(worrying.bureau_fall_points as decimal(18, 4)) as bureau_fall_points,
    cast(worrying.hold_candidate as boolean) as hold_candidate,
    cast(coalesce(actions.collector, worrying.collector) as string) as collector,
    cast(actions.step as string) as step,
    cast(actions.tone as string) as tone
from worrying
left join actions on worrying.customer_id = actions.customer_id
where worrying.rank <= {{ policy_value('risk_policy', 'watch_list_length', 'integer') }}
