{{ config(meta={'dagster': {'ref': {'name': 'risk_tier_migration'}}, 'description': 'Who arrives in a tier on a snapshot date is who risk_tier_history has there, and who leaves one is who it had there before.'}) }}

with migration as (
    select * from {{ ref('risk_tier_migration') }}
),

tier_history as (
    select * from {{ ref('risk_tier_history') }}
),

counted as (
    select
        snapshot_date as day,
        to_tier as tier,
        customers as arrived,
        0 as departed,
        0 as known
    from migration
    where to_tier <> 'gone'
    union all
    select
        prior_snapshot_date as day,
        from_tier as tier,
        0 as arrived,
        customers as departed,
        0 as known
    from migration
    where from_tier <> 'new'
    union all
    select
        snapshot_date as day,
        tier_indicated as tier,
        0 as arrived,
        0 as departed,
        1 as known
    from tier_history
)

select
    day,
    tier,
    sum(arrived) as arrived,
    sum(departed) as departed,
    sum(known) as known
from counted
group by day, tier
having
    (sum(counted.arrived) <> sum(counted.known) and day > (select min(prior_snapshot_date) from migration))
    or (sum(counted.departed) <> sum(counted.known) and day < {{ as_of() }})
