with factors as (
    select * from {{ ref('int_risk_factors') }}
),

criteria as (
    select * from {{ ref('risk_criteria') }}
    where policy = '{{ var("policy") }}'
),

terms as (
    select * from {{ ref('risk_tier_terms') }}
    where policy = '{{ var("policy") }}'
),

customer_dates as (
    select * from {{ ref('int_risk_scores') }}
),

-- A tier is closed to a customer by a requirement of its own that does not hold, and by a criterion that forces a worse tier.
-- Closed tiers are kept as a set of bits: tier rank 1 is bit 2, rank 2 is bit 4, and so on.
tiers as (
    select
        tier,
        tier_rank,
        valid_from,
        valid_to,
        cast(power(2, tier_rank) as bigint) as bit,
        cast(power(2, tier_rank) - 2 as bigint) as better_bits
    from terms
),

judged as (
    select
        factors.customer_id,
        factors.snapshot_date,
        case
            when criteria.effect = 'requires' and not {{ criterion_holds('criteria', 'factors') }} then tiers.bit
            when criteria.effect = 'forces' and {{ criterion_holds('criteria', 'factors') }} then tiers.better_bits
        end as closed_bits
    from factors
    inner join criteria
        on factors.factor = criteria.factor
        and criteria.valid_from <= factors.snapshot_date
        and (criteria.valid_to is null or criteria.valid_to >= factors.snapshot_date)
    inner join tiers
        on criteria.tier = tiers.tier
        and tiers.valid_from <= factors.snapshot_date
        and (tiers.valid_to is null or tiers.valid_to >= factors.snapshot_date)
),

closed as (
    select
        customer_id,
        snapshot_date,
        coalesce(bit_or(closed_bits), 0) as closed_bits
    from judged
    group by customer_id, snapshot_date
),

best_open as (
    select
        customer_dates.customer_id,
        customer_dates.snapshot_date,
        min(tiers.tier_rank) as tier_rank
    from customer_dates
    left join closed
        on customer_dates.customer_id = closed.customer_id
        and customer_dates.snapshot_date = closed.snapshot_date
    inner join tiers
        on tiers.valid_from <= customer_dates.snapshot_date
        and (tiers.valid_to is null or tiers.valid_to >= customer_dates.snapshot_date)
        and coalesce(closed.closed_bits, 0) & tiers.bit = 0
    group by customer_dates.customer_id, customer_dates.snapshot_date
)

select
    best_open.customer_id,
    best_open.snapshot_date,
    tiers.tier as tier_indicated,
    tiers.tier_rank
from best_open
inner join tiers
    on best_open.tier_rank = tiers.tier_rank
    and tiers.valid_from <= best_open.snapshot_date
    and (tiers.valid_to is null or tiers.valid_to >= best_open.snapshot_date)
