with outcomes as (
    select
        *,
        not was_bad as is_judged,
        not was_bad and went_bad as is_bad,
        not was_bad and (is_over_limit or is_past_due_too_long) as is_held
    from {{ ref('int_policy_outcomes') }}
),

companies as (
    select max(reporting_currency) as reporting_currency from {{ ref('int_companies') }}
)

select
    cast(outcomes.policy as string) as policy,
    cast(outcomes.snapshot_date as date) as snapshot_date,
    cast(outcomes.judged_on as date) as judged_on,
    cast(outcomes.tier_indicated as string) as tier,
    cast(outcomes.tier_rank as integer) as tier_rank,
    cast(companies.reporting_currency as string) as reporting_currency,
    cast(sum(case when outcomes.was_bad then 1 else 0 end) as integer) as bad_before_customers
    {%- for name, condition in [
        ('', 'is_judged'),
        ('went_bad_', 'is_bad'),
        ('held_', 'is_held'),
        ('held_and_went_bad_', 'is_held and outcomes.is_bad'),
    ] %},
    cast(sum(case when outcomes.{{ condition }} then 1 else 0 end) as integer) as {{ name }}customers,
    cast(sum(case when outcomes.{{ condition }} then outcomes.owed_amount else 0 end) as decimal(18, 4)) as {{ name }}amount
    {%- endfor %}
from outcomes
cross join companies
group by outcomes.policy, outcomes.snapshot_date, outcomes.judged_on, outcomes.tier_indicated, outcomes.tier_rank, companies.reporting_currency
