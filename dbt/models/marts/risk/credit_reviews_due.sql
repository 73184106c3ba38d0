with customers as (
    select * from {{ ref('int_customers') }}
    where status <> 'closed'
),

tiers as (
    select * from {{ ref('int_risk_tiers') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

signals as (
    select * from {{ ref('int_risk_signals') }}
),

payment_trends as (
    select * from {{ ref('int_payment_behaviour') }}
),

limit_use as (
    select * from {{ ref('int_credit_limit_use') }}
),

score_falls as (
    select * from {{ ref('credit_score_changes') }}
    where alerting
),

broken_plans as (
    select * from {{ ref('int_promises') }}
    where plan_id is not null and state = 'broken'
),

first_days as (
    select * from {{ ref('int_customer_snapshots') }}
    where is_as_of
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

triggers as (
    select * from {{ policy_rows('review_triggers') }} as review_triggers
),

adopted as (
    select * from {{ ref('policy_adopted') }}
),

review_plan as (
    select * from {{ ref('int_review_plan') }}
),

-- Without reviews in the source nobody is late with one: what happened to an account counts all the same.
accounts as (
    select
        customers.customer_id,
        customers.company_id,
        customers.name as customer_name,
        customers.status,
        tiers.tier_in_force,
        tiers.tier_indicated,
        tiers.last_reviewed_on,
        tiers.next_review_due,
        kept_records.has_reviews,
        adopted.adopted_on,
        review_plan.planned_on,
        coalesce(
            review_plan.planned_on,
            cast({{ dbt.dateadd('month', 'indicated_terms.review_months', 'first_days.customer_since') }} as date)
        ) as first_cycle_ends_on,
        terms_in_force.review_use_share,
        limit_use.reporting_currency,
        limit_use.balance,
        limit_use.used_amount,
        limit_use.credit_limit,
        limit_use.credit_used_share,
        limit_use.oldest_past_due_days,
        limit_use.detail as limit_detail,
        signals.dbt_direction,
        payment_trends.dbt_days_recent,
        payment_trends.dbt_days_prior,
        signals.bureau_score,
        signals.bureau_status,
        signals.bureau_status_source
    from customers
    cross join (select count(*) > 0 as has_reviews from tiers where last_reviewed_on is not null) as kept_records
    cross join adopted
    inner join tiers on customers.customer_id = tiers.customer_id
    inner join limit_use on customers.customer_id = limit_use.customer_id
    left join signals on customers.customer_id = signals.customer_id and signals.is_as_of
    left join payment_trends on customers.customer_id = payment_trends.customer_id
    left join review_plan on customers.customer_id = review_plan.customer_id
    left join first_days on customers.customer_id = first_days.customer_id
    left join tier_terms as terms_in_force on tiers.tier_in_force = terms_in_force.tier
    left join tier_terms as indicated_terms on tiers.tier_indicated = indicated_terms.tier
),

-- The newest month end on which it was not yet so. What stands today stands since the one after it.
last_without as (
    select
        accounts.customer_id,
        min(signals.snapshot_date) as first_snapshot_date,
        max(case when coalesce(tier_history.tier_indicated, '') = accounts.tier_in_force then signals.snapshot_date end) as no_drift_on,
        max(case when coalesce(signals.dbt_direction, '') <> 'rising' then signals.snapshot_date end) as not_rising_on,
        max(case when coalesce(signals.bureau_status, '') <> accounts.bureau_status then signals.snapshot_date end) as other_status_on,
        max(case when coalesce(signals.credit_used_share, 0) <= over_limit.threshold then signals.snapshot_date end) as within_limit_on,
        max(case when coalesce(signals.credit_used_share, 0) <= accounts.review_use_share then signals.snapshot_date end) as below_mark_on
    from accounts
    inner join signals on accounts.customer_id = signals.customer_id and not signals.is_as_of
    left join tier_history
        on signals.customer_id = tier_history.customer_id
        and signals.snapshot_date = tier_history.snapshot_date
    left join triggers as over_limit on over_limit.trigger = 'over_limit'
    group by accounts.customer_id
),

following as (
    select
        snapshot_date,
        lead(snapshot_date) over (order by snapshot_date) as next_snapshot_date
    from snapshot_dates
),

broken_since as (
    select
        customer_id,
        plan_id,
        amount,
        currency,
        promised_date,
        {{ days_after('grace_until', 1) }} as broken_on,
        row_number() over (partition by customer_id order by grace_until desc, promise_id) as recency
    from broken_plans
),

worst_falls as (
    select
        score_falls.*,
        row_number() over (partition by customer_id order by points, bureau, score_code) as place
    from score_falls
),

dated_by_month as (
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'tier_drift') }} as trigger,
        last_without.no_drift_on as last_without_on,
        accounts.tier_indicated as value,
        accounts.tier_in_force as before,
        cast(null as varchar) as source,
        cast(null as varchar) as threshold
    from accounts
    left join last_without on accounts.customer_id = last_without.customer_id
    where accounts.tier_indicated <> accounts.tier_in_force
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'direction_rising') }} as trigger,
        last_without.not_rising_on as last_without_on,
        {{ for_people('accounts.dbt_days_recent', "'days'") }} as value,
        {{ for_people('accounts.dbt_days_prior', "'days'") }} as before,
        cast(null as varchar) as source,
        cast(null as varchar) as threshold
    from accounts
    left join last_without on accounts.customer_id = last_without.customer_id
    where accounts.dbt_direction = 'rising'
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'insolvency') }} as trigger,
        last_without.other_status_on as last_without_on,
        accounts.bureau_status as value,
        cast(null as varchar) as before,
        accounts.bureau_status_source as source,
        cast(null as varchar) as threshold
    from accounts
    left join last_without on accounts.customer_id = last_without.customer_id
    where accounts.status <> 'insolvent' and accounts.bureau_status in ('insolvent', 'dissolved')
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'over_limit') }} as trigger,
        last_without.within_limit_on as last_without_on,
        accounts.limit_detail as value,
        cast(null as varchar) as before,
        cast(null as varchar) as source,
        {{ for_people('triggers.threshold', "'percent'") }} as threshold
    from accounts
    inner join triggers on triggers.trigger = 'over_limit'
    left join last_without on accounts.customer_id = last_without.customer_id
    where accounts.used_amount > 0 and accounts.used_amount > accounts.credit_limit * triggers.threshold
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'use_above_share') }} as trigger,
        last_without.below_mark_on as last_without_on,
        {{ for_people('accounts.credit_used_share', "'percent'") }} as value,
        accounts.tier_in_force as before,
        cast(null as varchar) as source,
        {{ for_people('accounts.review_use_share', "'percent'") }} as threshold
    from accounts
    inner join triggers as over_limit on over_limit.trigger = 'over_limit'
    left join last_without on accounts.customer_id = last_without.customer_id
    where
        accounts.used_amount > accounts.credit_limit * accounts.review_use_share
        and accounts.used_amount <= accounts.credit_limit * over_limit.threshold
),

-- Happened on, due on and told since: mostly one day. Seen is null where the day decides.
standing as (
    select
        dated_by_month.customer_id,
        dated_by_month.trigger,
        coalesce(
            following.next_snapshot_date,
            case when dated_by_month.last_without_on is null then last_without.first_snapshot_date end,
            {{ as_of() }}
        ) as happened_on,
        coalesce(
            following.next_snapshot_date,
            case when dated_by_month.last_without_on is null then last_without.first_snapshot_date end,
            {{ as_of() }}
        ) as told_since,
        cast(null as boolean) as is_seen,
        dated_by_month.value,
        dated_by_month.before,
        dated_by_month.source,
        dated_by_month.threshold
    from dated_by_month
    left join following on dated_by_month.last_without_on = following.snapshot_date
    left join last_without on dated_by_month.customer_id = last_without.customer_id
    union all
    -- The source does not date a status: no review can be said to have seen it.
    select
        customer_id,
        {{ policy_name('review_triggers', 'insolvency') }} as trigger,
        {{ as_of() }} as happened_on,
        cast(null as date) as told_since,
        false as is_seen,
        status as value,
        cast(null as varchar) as before,
        'The source' as source,
        cast(null as varchar) as threshold
    from accounts
    where status = 'insolvent'
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'first_60_days') }} as trigger,
        {{ days_after(as_of(), 'cast(triggers.threshold as integer) - accounts.oldest_past_due_days') }} as happened_on,
        {{ days_after(as_of(), 'cast(triggers.threshold as integer) - accounts.oldest_past_due_days') }} as told_since,
        cast(null as boolean) as is_seen,
        cast(accounts.oldest_past_due_days as varchar) as value,
        cast(null as varchar) as before,
        cast(null as varchar) as source,
        {{ for_people('triggers.threshold', "'days'") }} as threshold
    from accounts
    inner join triggers on triggers.trigger = 'first_60_days'
    where accounts.oldest_past_due_days >= triggers.threshold
    union all
    select
        broken_since.customer_id,
        {{ policy_name('review_triggers', 'broken_plan') }} as trigger,
        broken_since.broken_on as happened_on,
        broken_since.broken_on as told_since,
        cast(null as boolean) as is_seen,
        broken_since.plan_id as value,
        concat_ws('',
            {{ amount_for_people('broken_since.amount', digits_of('broken_since.currency')) }}, coalesce(' ' || broken_since.currency, ''), ' by ',
            cast(broken_since.promised_date as varchar)
        ) as before,
        cast(null as varchar) as source,
        cast(null as varchar) as threshold
    from broken_since
    inner join triggers on triggers.trigger = 'broken_plan'
    where broken_since.recency = 1 and broken_since.broken_on > {{ dbt.dateadd('month', '-triggers.months', as_of()) }}
    union all
    select
        worst_falls.customer_id,
        {{ policy_name('review_triggers', 'bureau_fall') }} as trigger,
        case when worst_falls.fell_on > tiers.last_reviewed_on or tiers.last_reviewed_on is null then worst_falls.fell_on else worst_falls.scored_on_to end
            as happened_on,
        worst_falls.scored_on_from as told_since,
        coalesce(worst_falls.points_since_review > -triggers.threshold, false) as is_seen,
        {{ for_people('worst_falls.score_to', "'number'") }} as value,
        {{ for_people('worst_falls.score_from', "'number'") }} as before,
        concat_ws('', worst_falls.bureau, ' ', replace(worst_falls.score_code, '_', ' ')) as source,
        {{ for_people('triggers.threshold', "'number'") }} as threshold
    from worst_falls
    inner join tiers on worst_falls.customer_id = tiers.customer_id
    inner join triggers on triggers.trigger = 'bureau_fall'
    where worst_falls.place = 1
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'cycle') }} as trigger,
        greatest(accounts.next_review_due, accounts.adopted_on) as happened_on,
        cast(null as date) as told_since,
        false as is_seen,
        cast(accounts.next_review_due as varchar) as value,
        cast(accounts.last_reviewed_on as varchar) as before,
        cast(null as varchar) as source,
        cast(null as varchar) as threshold
    from accounts
    inner join triggers on triggers.trigger = 'cycle'
    where
        accounts.last_reviewed_on is not null
        and accounts.next_review_due <= {{ days_after(as_of(), 'cast(triggers.threshold as integer)') }}
        and accounts.adopted_on <= {{ days_after(as_of(), 'cast(triggers.threshold as integer)') }}
    union all
    select
        customer_id,
        {{ policy_name('review_triggers', 'never_reviewed') }} as trigger,
        coalesce(planned_on, least(coalesce(first_cycle_ends_on, {{ as_of() }}), {{ as_of() }})) as happened_on,
        cast(null as date) as told_since,
        false as is_seen,
        cast(null as varchar) as value,
        cast(null as varchar) as before,
        cast(null as varchar) as source,
        cast(null as varchar) as threshold
    from accounts
    inner join triggers as cycle on cycle.trigger = 'cycle'
    where
        last_reviewed_on is null
        and has_reviews
        and (planned_on is null or planned_on <= {{ days_after(as_of(), 'cast(cycle.threshold as integer)') }})
),

-- A review has seen what was so on its day.
judged as (
    select
        standing.customer_id,
        standing.trigger,
        standing.happened_on,
        triggers.rank,
        triggers.cleared_by_review,
        accounts.adopted_on,
        coalesce(standing.is_seen, standing.happened_on <= accounts.last_reviewed_on, false) as is_seen,
        replace(replace(replace(replace(replace(
            triggers.sentence,
            '{value}', coalesce(standing.value, '')),
            '{before}', coalesce(standing.before, '')),
            '{source}', coalesce(standing.source, '')),
            '{threshold}', coalesce(standing.threshold, '')),
            '{since}', coalesce(' since ' || cast(standing.told_since as varchar), '')
        ) as sentence
    from standing
    inner join accounts on standing.customer_id = accounts.customer_id
    inner join triggers on standing.trigger = triggers.trigger
),

ranked as (
    select
        judged.*,
        row_number() over (partition by customer_id order by rank, trigger) as place
    from judged
    where not (is_seen and cleared_by_review)
),

reasons as (
    select
        customer_id,
        -- What the last review has seen is on the list, and late only from today. Nothing was due before policy bound.
        min(case when is_seen then {{ as_of() }} when happened_on < adopted_on then adopted_on else happened_on end) as due_on,
        max(case when place = 1 then trigger end) as trigger,
        max(case
            when place = 1 and is_seen then concat_ws('', sentence, ', as it was at the last review')
            when place = 1 then sentence
        end) as detail,
        max(case when is_seen or trigger in ('cycle', 'never_reviewed') then 0 else 1 end) = 1 as has_news,
        {{ dbt.listagg('trigger', "','", 'order by place') }} as all_triggers
    from ranked
    group by customer_id
)

select
    cast(accounts.customer_id as varchar) as customer_id,
    cast(accounts.company_id as varchar) as company_id,
    cast(accounts.customer_name as varchar) as customer_name,
    cast(reasons.due_on as date) as due_on,
    cast(reasons.trigger as varchar) as trigger,
    cast(reasons.detail as varchar) as detail,
    cast(reasons.all_triggers as varchar) as all_triggers,
    cast(reasons.has_news as boolean) as has_news,
    cast(greatest({{ dbt.datediff('reasons.due_on', as_of(), 'day') }}, 0) as integer) as days_overdue,
    cast(
        accounts.has_reviews and coalesce(
            case when accounts.last_reviewed_on is null then accounts.first_cycle_ends_on else accounts.next_review_due end < {{ as_of() }}
            and accounts.adopted_on < {{ as_of() }},
            false
        ) as boolean
    ) as is_cycle_overdue,
    cast(accounts.tier_in_force as varchar) as tier_in_force,
    cast(accounts.tier_indicated as varchar) as tier_indicated,
    cast(accounts.last_reviewed_on as date) as last_reviewed_on,
    cast(accounts.next_review_due as date) as next_review_due,
    cast(accounts.reporting_currency as varchar) as reporting_currency,
    cast(accounts.balance as decimal(18, 4)) as exposure_amount,
    cast(accounts.credit_limit as decimal(18, 4)) as credit_limit,
    cast(accounts.credit_used_share as decimal(18, 4)) as credit_used_share,
    cast(accounts.oldest_past_due_days as integer) as oldest_past_due_days,
    cast(accounts.dbt_direction as varchar) as dbt_direction,
    cast(accounts.dbt_days_recent as decimal(18, 4)) as dbt_days_recent,
    cast(accounts.dbt_days_prior as decimal(18, 4)) as dbt_days_prior,
    cast(accounts.bureau_score as decimal(18, 4)) as bureau_score,
    cast(worst_falls.points as decimal(18, 4)) as bureau_fall_points,
    cast(accounts.bureau_status as varchar) as bureau_status
from reasons
inner join accounts on reasons.customer_id = accounts.customer_id
left join worst_falls on accounts.customer_id = worst_falls.customer_id and worst_falls.place = 1
