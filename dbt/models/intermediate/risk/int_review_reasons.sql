{{ config(materialized='view') }}
with accounts as (
    select * from {{ ref('int_review_accounts') }}
),

by_month as (
    select * from {{ ref('int_review_reasons_by_month') }}
),

score_falls as (
    select * from {{ ref('int_credit_score_changes') }}
    where alerting
),

broken_plans as (
    select * from {{ ref('int_promises') }}
    where plan_id is not null and state = 'broken'
),

triggers as (
    select * from {{ policy_rows('review_triggers') }} as review_triggers
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
        row_number() over (partition by customer_id order by points nulls last, bureau, score_code nulls last) as place
    from score_falls
),

-- Happened on, due on and told since: mostly one day. Seen is null where the day decides.
standing as (
    select
        customer_id,
        trigger,
        since as happened_on,
        since as told_since,
        cast(null as boolean) as is_seen,
        value,
        before,
        source,
        threshold
    from by_month
    union all
    -- The source does not date a status: no review can be said to have seen it.
    select
        customer_id,
        {{ policy_name('review_triggers', 'insolvency') }} as trigger,
        {{ as_of() }} as happened_on,
        cast(null as date) as told_since,
        false as is_seen,
        status as value,
        cast(null as string) as before,
        'The source' as source,
        cast(null as string) as threshold
    from accounts
    where status = 'insolvent'
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'first_60_days') }} as trigger,
        {{ days_after(as_of(), 'cast(triggers.threshold as integer) - accounts.oldest_past_due_days') }} as happened_on,
        {{ days_after(as_of(), 'cast(triggers.threshold as integer) - accounts.oldest_past_due_days') }} as told_since,
        cast(null as boolean) as is_seen,
        cast(accounts.oldest_past_due_days as string) as value,
        cast(null as string) as before,
        cast(null as string) as source,
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
            cast(broken_since.promised_date as string)
        ) as before,
        cast(null as string) as source,
        cast(null as string) as threshold
    from broken_since
    inner join triggers on triggers.trigger = 'broken_plan'
    where broken_since.recency = 1 and broken_since.broken_on > {{ dbt.dateadd('month', '-triggers.months', as_of()) }}
    union all
    select
        worst_falls.customer_id,
        {{ policy_name('review_triggers', 'bureau_fall') }} as trigger,
        case
            when worst_falls.fell_on > accounts.last_reviewed_on or accounts.last_reviewed_on is null then worst_falls.fell_on
            else worst_falls.scored_on_to
        end as happened_on,
        worst_falls.scored_on_from as told_since,
        coalesce(worst_falls.points_since_review > -triggers.threshold, false) as is_seen,
        {{ for_people('worst_falls.score_to', "'number'") }} as value,
        {{ for_people('worst_falls.score_from', "'number'") }} as before,
        concat_ws('', worst_falls.bureau, ' ', replace(worst_falls.score_code, '_', ' ')) as source,
        {{ for_people('triggers.threshold', "'number'") }} as threshold
    from worst_falls
    inner join accounts on worst_falls.customer_id = accounts.customer_id
    inner join triggers on triggers.trigger = 'bureau_fall'
    where worst_falls.place = 1
    union all
    select
        accounts.customer_id,
        {{ policy_name('review_triggers', 'cycle') }} as trigger,
        greatest(accounts.next_review_due, accounts.adopted_on) as happened_on,
        cast(null as date) as told_since,
        false as is_seen,
        cast(accounts.next_review_due as string) as value,
        cast(accounts.last_reviewed_on as string) as before,
        cast(null as string) as source,
        cast(null as string) as threshold
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
        cast(null as string) as value,
        cast(null as string) as before,
        cast(null as string) as source,
        cast(null as string) as threshold
    from accounts
    inner join triggers as cycle on cycle.trigger = 'cycle'
    where
        last_reviewed_on is null
        and has_reviews
        and (planned_on is null or planned_on <= {{ days_after(as_of(), 'cast(cycle.threshold as integer)') }})
)

-- A review has seen what was so on its day.
select
    standing.customer_id,
    standing.trigger,
    standing.happened_on,
    triggers.rank,
    triggers.cleared_by_review,
    coalesce(standing.is_seen, standing.happened_on <= accounts.last_reviewed_on, false) as is_seen,
    replace(replace(replace(replace(replace(
        triggers.sentence,
        '{value}', coalesce(standing.value, '')),
        '{before}', coalesce(standing.before, '')),
        '{source}', coalesce(standing.source, '')),
        '{threshold}', coalesce(standing.threshold, '')),
        '{since}', coalesce(' since ' || cast(standing.told_since as string), '')
    ) as sentence
from standing
inner join accounts on standing.customer_id = accounts.customer_id
inner join triggers on standing.trigger = triggers.trigger
