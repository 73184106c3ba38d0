with tier_history as (
    select * from {{ ref('int_tier_history') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

balances as (
    select * from {{ ref('int_customer_balances') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

tier_terms as (
    select * from {{ policy_history('risk_tier_terms') }} as risk_tier_terms
),

steps as (
    select
        snapshot_date,
        is_as_of,
        lag(snapshot_date) over (order by snapshot_date) as prior_snapshot_date
    from snapshot_dates
),

exposures as (
    select
        customer_id,
        snapshot_date,
        sum(balance_reporting) as exposure_amount
    from balances
    group by customer_id, snapshot_date
),

ranked_history as (
    select
        tier_history.customer_id,
        tier_history.snapshot_date,
        tier_history.tier_indicated as tier,
        tier_terms.tier_rank
    from tier_history
    left join tier_terms
        on tier_history.tier_indicated = tier_terms.tier
        and {{ valid_on('tier_history.snapshot_date', 'tier_terms') }}
),

arrived as (
    select
        ranked_history.customer_id,
        ranked_history.tier,
        ranked_history.tier_rank,
        steps.snapshot_date,
        steps.prior_snapshot_date
    from ranked_history
    inner join steps on ranked_history.snapshot_date = steps.snapshot_date
    where steps.prior_snapshot_date is not null
),

left_behind as (
    select
        ranked_history.customer_id,
        ranked_history.tier,
        ranked_history.tier_rank,
        steps.snapshot_date,
        steps.prior_snapshot_date
    from ranked_history
    inner join steps on ranked_history.snapshot_date = steps.prior_snapshot_date
),

moves as (
    select
        coalesce(arrived.customer_id, left_behind.customer_id) as customer_id,
        coalesce(arrived.snapshot_date, left_behind.snapshot_date) as snapshot_date,
        coalesce(arrived.prior_snapshot_date, left_behind.prior_snapshot_date) as prior_snapshot_date,
        coalesce(left_behind.tier, 'new') as from_tier,
        coalesce(arrived.tier, 'gone') as to_tier,
        left_behind.tier_rank as from_rank,
        arrived.tier_rank as to_rank
    from arrived
    full outer join left_behind
        on arrived.customer_id = left_behind.customer_id
        and arrived.snapshot_date = left_behind.snapshot_date
),

only_currency as (
    select max(reporting_currency) as reporting_currency
    from companies
)

select
    cast(moves.snapshot_date as date) as snapshot_date,
    cast(moves.prior_snapshot_date as date) as prior_snapshot_date,
    cast(moves.from_tier as string) as from_tier,
    cast(moves.to_tier as string) as to_tier,
    cast(
        case
            when moves.from_tier = 'new' then 'new'
            when moves.to_tier = 'gone' then 'gone'
            when moves.to_rank < moves.from_rank then 'better'
            when moves.to_rank > moves.from_rank then 'worse'
            else 'same'
        end as string
    ) as direction,
    cast(count(*) as integer) as customers,
    cast(max(only_currency.reporting_currency) as string) as reporting_currency,
    cast(sum(coalesce(exposures.exposure_amount, 0)) as decimal(18, 4)) as exposure_amount
from moves
cross join only_currency
left join exposures
    on moves.customer_id = exposures.customer_id
    and moves.snapshot_date = exposures.snapshot_date
group by moves.snapshot_date, moves.prior_snapshot_date, moves.from_tier, moves.to_tier, moves.from_rank, moves.to_rank
