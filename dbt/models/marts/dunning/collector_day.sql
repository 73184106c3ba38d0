with turns as (
    select * from {{ ref('int_dunning_turns') }}
),

collectors as (
    select * from {{ policy_rows('collectors') }} as collectors
    where list in ('standard', 'senior')
),

companies as (
    select max(reporting_currency) as reporting_currency from {{ ref('int_companies') }}
),

-- Whoever has a list, and whoever policy would give one and has nothing this morning.
people as (
    select collector from turns
    union
    select collector from collectors
),

summed as (
    select
        collector,
        sum(case when is_waiting then 0 else 1 end) as customers,
        sum(case when is_waiting then 0 else past_due_amount end) as past_due_amount,
        sum(case when is_waiting then 0 else expected_loss + carrying_cost end) as at_risk_amount,
        sum(case when is_waiting then 0 else minutes end) as minutes,
        sum(case when is_waiting then 1 else 0 end) as waiting_customers,
        sum(case when is_waiting then past_due_amount else 0 end) as waiting_past_due_amount,
        sum(case when is_waiting then minutes else 0 end) as waiting_minutes,
        max(planned_on) as last_planned_on
    from turns
    group by collector
),

filled as (
    select
        people.collector,
        coalesce(summed.customers, 0) as customers,
        coalesce(summed.past_due_amount, 0) as past_due_amount,
        coalesce(summed.at_risk_amount, 0) as at_risk_amount,
        coalesce(summed.minutes, 0) as minutes,
        coalesce(summed.waiting_customers, 0) as waiting_customers,
        coalesce(summed.waiting_past_due_amount, 0) as waiting_past_due_amount,
        coalesce(summed.waiting_minutes, 0) as waiting_minutes,
        summed.last_planned_on,
        {{ policy_value('dunning_policy', 'collector_minutes_a_day') }} as capacity_minutes
    from people
    left join summed on people.collector = summed.collector
    where people.collector is not null
)

select
    {{ as_of() }} as as_of,
    cast(filled.collector as string) as collector,
    cast(filled.customers as integer) as customers,
    cast(companies.reporting_currency as string) as reporting_currency,
    cast(filled.past_due_amount as decimal(18, 4)) as past_due_amount,
    cast(filled.at_risk_amount as decimal(18, 4)) as at_risk_amount,
    cast(filled.minutes as integer) as expected_minutes,
    cast(filled.capacity_minutes as integer) as capacity_minutes,
    {{ ratio('filled.minutes', 'filled.capacity_minutes') }} as used_share,
    cast(filled.waiting_customers as integer) as waiting_customers,
    cast(filled.waiting_past_due_amount as decimal(18, 4)) as waiting_past_due_amount,
    cast(filled.waiting_minutes as integer) as waiting_minutes,
    cast(filled.last_planned_on as date) as last_planned_on,
    {{ ratio('filled.past_due_amount + filled.waiting_past_due_amount', 'sum(filled.past_due_amount + filled.waiting_past_due_amount) over ()') }} as past_due_share,
    {{ ratio('filled.minutes + filled.waiting_minutes', 'sum(filled.minutes + filled.waiting_minutes) over ()') }} as minutes_share
from filled
cross join companies
