with accounts as (
    select * from {{ ref('int_review_accounts') }}
),

advice as (
    select * from {{ policy_rows('review_advice') }} as review_advice
),

risk_policy as (
    select *
    from {{ policy_values(
        'risk_policy', thin_margin_pct='decimal(9, 4)', slow_from_days='decimal(9, 4)', tie_break_strategic_value='decimal(9, 4)'
    ) }} as risk_policy
),

kpi_policy as (
    select * from {{ policy_values('kpi_policy', cost_of_capital_pct='decimal(9, 4)') }} as kpi_policy
),

standing as (
    select * from {{ ref('int_review_reasons') }}
),

score_falls as (
    select
        customer_id,
        min(points) as points
    from {{ ref('int_credit_score_changes') }}
    where alerting
    group by customer_id
),

ranked as (
    select
        standing.*,
        row_number() over (partition by customer_id order by rank, trigger) as place
    from standing
    where not (is_seen and cleared_by_review)
),

reasons as (
    select
        ranked.customer_id,
        -- What the last review has seen is on the list, and late only from today. Nothing was due before policy bound.
        min(case when is_seen then {{ as_of() }} when happened_on < accounts.adopted_on then accounts.adopted_on else happened_on end) as due_on,
        max(case when place = 1 then trigger end) as trigger,
        max(case
            when place = 1 and is_seen then concat_ws('', sentence, ', as it was at the last review')
            when place = 1 then sentence
        end) as detail,
        max(case when is_seen or trigger in ('cycle', 'never_reviewed') then 0 else 1 end) = 1 as has_news,
        {{ dbt.listagg('trigger', "','", 'order by place') }} as all_triggers
    from ranked
    inner join accounts on ranked.customer_id = accounts.customer_id
    group by ranked.customer_id
)

select
    cast(accounts.customer_id as string) as customer_id,
    cast(accounts.company_id as string) as company_id,
    cast(accounts.customer_name as string) as customer_name,
    cast(reasons.due_on as date) as due_on,
    cast(reasons.trigger as string) as trigger,
    cast(reasons.detail as string) as detail,
    cast(reasons.all_triggers as string) as all_triggers,
    cast(reasons.has_news as boolean) as has_news,
    cast(greatest({{ dbt.datediff('reasons.due_on', as_of(), 'day') }}, 0) as integer) as days_overdue,
    cast(
        accounts.has_reviews and coalesce(
            case when accounts.last_reviewed_on is null then accounts.first_cycle_ends_on else accounts.next_review_due end < {{ as_of() }}
            and accounts.adopted_on < {{ as_of() }},
            false
        ) as boolean
    ) as is_cycle_overdue,
    cast(accounts.tier_in_force as string) as tier_in_force,
    cast(accounts.tier_indicated as string) as tier_indicated,
    cast(accounts.last_reviewed_on as date) as last_reviewed_on,
    cast(accounts.next_review_due as date) as next_review_due,
    cast(accounts.reporting_currency as string) as reporting_currency,
    cast(accounts.balance as decimal(18, 4)) as exposure_amount,
    cast(accounts.credit_limit as decimal(18, 4)) as credit_limit,
    cast(accounts.credit_used_share as decimal(18, 4)) as credit_used_share,
    cast(accounts.oldest_past_due_days as integer) as oldest_past_due_days,
    cast(accounts.gross_margin_pct as decimal(18, 4)) as gross_margin_pct,
    cast(accounts.strategic_value as decimal(18, 4)) as strategic_value,
    {{ rounded(per_cent_of('accounts.past_due_amount', 'kpi_policy.cost_of_capital_pct'), 'reporting.digits') }}
        as carrying_cost_a_year_amount,
    cast(advice.advice as string) as advice,
    cast(accounts.dbt_direction as string) as dbt_direction,
    cast(accounts.dbt_days_recent as decimal(18, 4)) as dbt_days_recent,
    cast(accounts.dbt_days_prior as decimal(18, 4)) as dbt_days_prior,
    cast(accounts.bureau_score as decimal(18, 4)) as bureau_score,
    cast(score_falls.points as decimal(18, 4)) as bureau_fall_points,
    cast(accounts.bureau_status as string) as bureau_status
from reasons
inner join accounts on reasons.customer_id = accounts.customer_id
cross join risk_policy
cross join kpi_policy
cross join {{ reporting_digits() }} as reporting
left join score_falls on accounts.customer_id = score_falls.customer_id
left join advice
    on advice.margin = case
        when accounts.gross_margin_pct is null then 'unknown'
        when accounts.gross_margin_pct < risk_policy.thin_margin_pct then 'thin'
        else 'sound'
    end
    and advice.pace = case
        when accounts.dbt_days_recent >= risk_policy.slow_from_days then 'slow' else 'prompt'
    end
    and advice.standing = case
        when accounts.strategic_value >= risk_policy.tie_break_strategic_value then 'strategic' else 'ordinary'
    end
