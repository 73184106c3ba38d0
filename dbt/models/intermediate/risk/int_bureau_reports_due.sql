with ledger as (
    select * from {{ ref('stg_reference__ledger') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

limit_use as (
    select * from {{ ref('int_credit_limit_use') }}
),

scores as (
    select * from {{ ref('int_bureau_scores') }}
),

events as (
    select * from {{ ref('stg_inquiries__bureau_events') }}
    where occurred_on <= {{ as_of() }}
),

matches as (
    select * from {{ ref('stg_inquiries__bureau_matches') }}
),

bureau_policy as (
    select * from {{ policy_rows('bureau_policy') }} as bureau_policy
),

cadences as (
    select * from {{ policy_rows('bureau_cadence') }} as bureau_cadence
),

-- The bureau that is asked for reports, where it is one; else whatever any bureau said counts, for somebody fetches it by hand. Where none
-- ever said anything, nobody does.
bureau_in_use as (
    select
        ledger.bureau,
        own.bureau is not null as is_asked,
        coalesce(own.reports_a_day, others.reports_a_day) as reports_a_day,
        coalesce(own.reports_a_month, others.reports_a_month) as reports_a_month,
        coalesce(own.not_found_days, others.not_found_days) as not_found_days,
        coalesce(own.failed_days, others.failed_days) as failed_days
    from ledger
    left join bureau_policy as own on ledger.bureau = own.bureau
    left join bureau_policy as others on others.bureau = {{ policy_name('bureau_policy', '*') }}
    cross join (select count(*) > 0 as has_scores from scores) as evidence
    where ledger.bureau <> 'none' and (own.bureau is not null or evidence.has_scores)
),

-- The calendar month of the next morning, which is when what is due is asked for.
spent as (
    select coalesce(sum(events.billed), 0) as reports
    from events
    inner join bureau_in_use on events.bureau = bureau_in_use.bureau
    where {{ month_index('events.occurred_on') }} = {{ month_index(days_after(as_of(), 1)) }}
),

said as (
    select
        scores.customer_id,
        scores.scored_on as said_on
    from scores
    cross join bureau_in_use
    where not bureau_in_use.is_asked or lower(scores.bureau) = bureau_in_use.bureau
    union all
    select
        events.customer_id,
        events.occurred_on as said_on
    from events
    inner join bureau_in_use on events.bureau = bureau_in_use.bureau
    where events.kind = 'report'
),

newest as (
    select
        customer_id,
        max(said_on) as said_on
    from said
    group by customer_id
),

-- Of answers without a report only the newest word counts, and none that a report has followed.
asked as (
    select
        events.customer_id,
        max(case when events.kind = 'alert' then events.occurred_on end) as alerted_on,
        max(case when events.kind = 'not_found' then events.occurred_on end) as not_found_on,
        max(case when events.kind in ('failed', 'lost') then events.occurred_on end) as failed_on
    from events
    inner join bureau_in_use on events.bureau = bureau_in_use.bureau
    group by events.customer_id
),

-- One accepted company is a match; none, and some that are proposed, or two accepted, is for somebody to decide.
matched as (
    select
        matches.customer_id,
        count(case when matches.decision = 'accepted' then 1 end) as accepted,
        count(case when matches.decision = 'proposed' then 1 end) as proposed
    from matches
    inner join bureau_in_use on matches.bureau = bureau_in_use.bureau
    group by matches.customer_id
),

bands as (
    select
        limit_use.customer_id,
        min(cadences.days) as cadence_days
    from limit_use
    inner join cadences
        on cadences.tier in ('*', coalesce(limit_use.tier_in_force, '*'))
        and limit_use.balance >= cadences.exposure_from
    where limit_use.status not in ('closed', 'insolvent', 'unknown')
    group by limit_use.customer_id
),

own_entities as (
    select customers.customer_id
    from customers
    inner join companies on companies.company_id in (customers.customer_id, customers.parent_customer_id)
),

accounts as (
    select
        bureau_in_use.bureau,
        bureau_in_use.is_asked,
        bureau_in_use.reports_a_day,
        bureau_in_use.reports_a_month,
        bands.customer_id,
        bands.cadence_days,
        newest.said_on,
        {{ dbt.datediff('newest.said_on', as_of(), 'day') }} as age_days,
        asked.alerted_on,
        coalesce(asked.alerted_on >= coalesce(newest.said_on, asked.alerted_on), false) as is_alerted,
        coalesce(
            {{ days_after('asked.not_found_on', 'bureau_in_use.not_found_days') }} > {{ as_of() }}
            and asked.not_found_on >= coalesce(newest.said_on, asked.not_found_on), false
        ) as is_not_found,
        coalesce(
            {{ days_after('asked.failed_on', 'bureau_in_use.failed_days') }} > {{ as_of() }}
            and asked.failed_on >= coalesce(newest.said_on, asked.failed_on), false
        ) as is_failed,
        coalesce((matched.accepted = 0 and matched.proposed > 0) or matched.accepted > 1, false) as is_to_review
    from bands
    cross join bureau_in_use
    left join newest on bands.customer_id = newest.customer_id
    left join asked on bands.customer_id = asked.customer_id
    left join matched on bands.customer_id = matched.customer_id
    where bands.customer_id not in (select customer_id from own_entities)
),

due as (
    select
        accounts.*,
        limit_use.tier_in_force,
        limit_use.reporting_currency,
        limit_use.balance,
        case when said_on is null then 'never' when is_alerted then 'alert' else 'older' end as reason,
        case
            when is_to_review then 'waits_for_review'
            when is_not_found then 'not_found'
            when is_failed then 'failed'
            else 'to_ask'
        end as state,
        case
            when said_on is null or is_alerted then {{ policy_value('risk_policy', 'bureau_no_weight_days') }}
            else least(age_days, {{ policy_value('risk_policy', 'bureau_no_weight_days') }})
        end as days_at_stake
    from accounts
    inner join limit_use on accounts.customer_id = limit_use.customer_id
    where said_on is null or is_alerted or age_days >= cadence_days
),

ranked as (
    select
        due.*,
        row_number() over (
            partition by state
            order by balance * days_at_stake desc, balance desc, customer_id
        ) as place
    from due
)

select
    ranked.bureau,
    ranked.customer_id,
    ranked.reason,
    case
        when ranked.state <> 'to_ask' then ranked.state
        when not ranked.is_asked then 'by_hand'
        when ranked.place <= least(ranked.reports_a_day, ranked.reports_a_month - spent.reports) then 'next_night'
        else 'waits_for_budget'
    end as state,
    ranked.place,
    ranked.said_on,
    ranked.age_days,
    ranked.cadence_days,
    ranked.alerted_on,
    ranked.tier_in_force,
    ranked.reporting_currency,
    ranked.balance,
    ranked.days_at_stake
from ranked
cross join spent
