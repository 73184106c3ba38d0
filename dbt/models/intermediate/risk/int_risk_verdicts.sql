with signals as (
    select * from {{ ref('int_risk_signals') }}
),

scores as (
    select * from {{ ref('int_risk_scores') }}
),

criteria as (
    select * from {{ policy_history('risk_criteria', every_pack=true) }} as risk_criteria
),

terms as (
    select * from {{ policy_history('risk_tier_terms', every_pack=true) }} as risk_tier_terms
),

packs as (
    select distinct policy, snapshot_date
    from scores
),

-- A tier is closed to a customer by a requirement of its own that does not hold, and by a criterion that forces a worse tier.
-- Closed tiers are kept as a set of bits: tier rank 1 is bit 2, rank 2 is bit 4, and so on.
tiers as (
    select
        packs.policy,
        packs.snapshot_date,
        terms.tier,
        terms.tier_rank,
        cast(power(2, terms.tier_rank) as bigint) as bit,
        cast(power(2, terms.tier_rank) - 2 as bigint) as better_bits
    from packs
    inner join terms
        on packs.policy = terms.policy
        and {{ valid_on('packs.snapshot_date', 'terms') }}
),

criteria_on as (
    select
        tiers.policy,
        tiers.snapshot_date,
        criteria.factor,
        criteria.operator,
        criteria.threshold,
        try_cast(criteria.threshold as decimal(18, 4)) as threshold_number,
        criteria.effect,
        case criteria.effect when 'requires' then tiers.bit when 'forces' then tiers.better_bits end as bits
    from tiers
    inner join criteria
        on tiers.policy = criteria.policy
        and tiers.tier = criteria.tier
        and {{ valid_on('tiers.snapshot_date', 'criteria') }}
),

-- What closes a tier, a factor at a time: each reads one column, and most criteria are met by most customers.
strikes as (
    {%- for factor in risk_factors() %}
    select
        criteria_on.policy,
        signals.customer_id,
        signals.snapshot_date,
        criteria_on.bits
    from signals
    inner join criteria_on
        on signals.snapshot_date = criteria_on.snapshot_date
        and criteria_on.factor = '{{ factor.name }}'
        {%- set value = 'signals.' ~ factor.name %}
    where (criteria_on.effect = 'requires')
        <> {{ criterion_holds('criteria_on', value if factor.kind == 'number', value if factor.kind == 'text') | indent(8) }}
    union all
    {%- endfor %}
    {%- for factor, value in {'risk_score': 'scores.risk_score + scores.tie_break', 'evidence': 'scores.evidence'}.items() %}
    select
        criteria_on.policy,
        scores.customer_id,
        scores.snapshot_date,
        criteria_on.bits
    from scores
    inner join criteria_on
        on scores.policy = criteria_on.policy
        and scores.snapshot_date = criteria_on.snapshot_date
        and criteria_on.factor = '{{ factor }}'
    where (criteria_on.effect = 'requires') <> {{ criterion_holds('criteria_on', value, none) | indent(8) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

-- Whom nothing strikes has a row too.
closed as (
    select
        policy,
        customer_id,
        snapshot_date,
        bit_or(bits) as bits
    from (
        select policy, customer_id, snapshot_date, bits from strikes
        union all
        select policy, customer_id, snapshot_date, 0 as bits from scores
    ) as strikes_or_none
    group by policy, customer_id, snapshot_date
),

-- Few sets of closed tiers occur: the best tier that is left is looked for once in each.
best_open as (
    select
        sets.policy,
        sets.snapshot_date,
        sets.bits,
        min(tiers.tier_rank) as tier_rank
    from (select distinct policy, snapshot_date, bits from closed) as sets
    inner join tiers
        on sets.policy = tiers.policy
        and sets.snapshot_date = tiers.snapshot_date
        and sets.bits & tiers.bit = 0
    group by sets.policy, sets.snapshot_date, sets.bits
)

select
    closed.policy,
    closed.customer_id,
    closed.snapshot_date,
    tiers.tier as tier_indicated,
    tiers.tier_rank
from closed
inner join best_open
    on closed.policy = best_open.policy
    and closed.snapshot_date = best_open.snapshot_date
    and closed.bits = best_open.bits
inner join tiers
    on best_open.policy = tiers.policy
    and best_open.snapshot_date = tiers.snapshot_date
    and best_open.tier_rank = tiers.tier_rank
