with buckets as (
    select * from {{ policy_rows('aging_buckets') }} as aging_buckets
),

tiers as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
),

tones as (
    select * from {{ policy_rows('dunning_tones') }} as dunning_tones
),

reasons as (
    select * from {{ policy_rows('held_reasons') }} as held_reasons
),

regimes as (
    select * from {{ policy_rows('late_fee_regimes') }} as late_fee_regimes
),

rates as (
    select * from {{ policy_rows('statutory_rates') }} as statutory_rates
),

packs as (
    select distinct policy from {{ ref('risk_tier_terms').render() }}
),

dated as (
    {%- for seed, key in var('policy_keys').items() %}
    select
        '{{ seed }}.csv' as file,
        policy,
        concat_ws(' '{% for column in key %}, '{{ column }}', coalesce(cast({{ column }} as string), 'without a name'){% endfor %}) as subject,
        valid_from,
        valid_to,
        approved_by,
        approved_on
    from {{ ref(seed).render() }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

followed as (
    select
        dated.*,
        lead(valid_from) over (partition by file, policy, subject order by valid_from nulls last, valid_to nulls last) as next_from
    from dated
),

span_faults as (
    select
        file,
        policy,
        subject,
        case
            when valid_from is null then 'has no first day: fill in valid_from'
            when valid_to < valid_from then 'ends before it begins: mend valid_from or valid_to'
            when next_from is not null and (valid_to is null or valid_to >= next_from)
                then 'two rows are valid on one day: end the earlier one the day before the later begins'
        end as fault
    from followed
),

word_faults as (
    select
        file,
        policy,
        subject,
        'nobody approved it: fill in approved_by and approved_on' as fault
    from dated
    where coalesce(trim(approved_by), '') = '' or approved_on is null
    union all
    select
        dated.file,
        dated.policy,
        dated.subject,
        'is for a pack that has no tiers: name one of risk_tier_terms.csv, or * for every pack' as fault
    from dated
    left join packs on dated.policy = packs.policy
    where packs.policy is null and coalesce(dated.policy, '') <> '*'
),

-- A tier may leave all its losses to those of any tier (*); one that has some of its own has one for every bucket.
{%- set loss_tables = {
    'worklist_priority': 'or what is past due in it is worth nothing to the worklist',
    'provision_matrix': 'and no_due_date one, or what is open in it is provided for with nothing',
} %}
{%- for seed, consequence in loss_tables.items() %}
{{ seed }}_losses as (
    select * from {{ policy_rows(seed) }} as {{ seed }}
),

{{ seed }}_buckets as (
    select bucket from buckets
    {%- if seed == 'provision_matrix' %}
    union all
    select 'no_due_date' as bucket
    {%- endif %}
),

{{ seed }}_tiers as (
    select '*' as tier
    union
    select tier from {{ seed }}_losses where policy <> '*'
),
{% endfor %}
loss_faults as (
    {%- for seed, consequence in loss_tables.items() %}
    select
        '{{ seed }}.csv' as file,
        losses_due.tier,
        due_buckets.bucket,
        'has no loss_pct: give every bucket of aging_buckets.csv one, {{ consequence }}' as fault
    from {{ seed }}_tiers as losses_due
    cross join {{ seed }}_buckets as due_buckets
    left join {{ seed }}_losses as losses
        on losses_due.tier = losses.tier
        and due_buckets.bucket = losses.aging_bucket
    where losses.loss_pct is null
    union all
    select
        '{{ seed }}.csv' as file,
        losses.tier,
        losses.aging_bucket as bucket,
        'is for a bucket that aging_buckets.csv does not have' as fault
    from {{ seed }}_losses as losses
    left join {{ seed }}_buckets as due_buckets on losses.aging_bucket = due_buckets.bucket
    where due_buckets.bucket is null
    union all
    select
        '{{ seed }}.csv' as file,
        losses.tier,
        losses.aging_bucket as bucket,
        'is for a tier that the pack does not have: * is any' as fault
    from {{ seed }}_losses as losses
    left join tiers on losses.tier = tiers.tier
    where losses.tier <> '*' and tiers.tier is null
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

-- A pattern without rows is spoken to as the step has it; one that has some has one for every tone of the steps.
tone_faults as (
    select
        patterns.payer_pattern,
        spoken.tone,
        'has no tone_used: give the pattern a row for every tone the steps have' as fault
    from (select distinct payer_pattern from tones) as patterns
    cross join (select distinct tone from steps) as spoken
    left join tones
        on patterns.payer_pattern = tones.payer_pattern
        and spoken.tone = tones.tone
    where tones.tone_used is null
),

reason_faults as (
    select
        reason,
        case
            when list is null then 'has no list: say where the item goes meanwhile, or none'
            when
                list not in (
                    'none', 'legal', 'agency', 'disputes', 'promises', 'payment_plans', 'cash_application', 'waiting', 'data_fix', 'collections'
                )
                then 'is on a list that nobody has: ' || list
            when rank is null then 'has no rank: say which of two reasons is the reason'
            when count(*) over (partition by rank) > 1 then 'shares its rank: say which of two reasons is the reason'
        end as fault
    from reasons
),

regime_faults as (
    select
        regimes.entity_country,
        regimes.customer_country,
        'has no rate: give ' || regimes.regime || ' a row of statutory_rates.csv that is valid on {{ as_of_text() }}' as fault
    from regimes
    left join rates on regimes.regime = rates.regime
    where regimes.regime <> 'contractual' and rates.regime is null
    union all
    select
        '*' as entity_country,
        '*' as customer_country,
        'is not there: say which late fee holds where nothing else is said' as fault
    from (select count(*) as regimes from regimes where entity_country = '*' and customer_country = '*') as counted
    where regimes = 0
),

faults as (
    select file, policy, subject, fault from span_faults
    union
    select file, policy, subject, fault from word_faults
    union
    select
        file,
        '{{ var("policy") }}' as policy,
        concat_ws(' ', 'tier', tier, 'aging_bucket', bucket) as subject,
        fault
    from loss_faults
    union
    select
        'dunning_tones.csv' as file,
        '{{ var("policy") }}' as policy,
        concat_ws(' ', 'payer_pattern', payer_pattern, 'tone', tone) as subject,
        fault
    from tone_faults
    union
    select
        'held_reasons.csv' as file,
        '{{ var("policy") }}' as policy,
        concat_ws(' ', 'reason', reason) as subject,
        fault
    from reason_faults
    union
    select
        'late_fee_regimes.csv' as file,
        '{{ var("policy") }}' as policy,
        concat_ws(' ', 'entity_country', entity_country, 'customer_country', customer_country) as subject,
        fault
    from regime_faults
)

select
    file,
    policy,
    subject,
    fault
from faults
where fault is not null
