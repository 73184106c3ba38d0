-- 7 and 14 are in the columns' names; a step is judged once 14 days have passed.
with issued_steps as (
    select * from {{ ref('stg_delivery__issued_steps') }}
    where {{ days_after('worklist_date', 14) }} <= {{ as_of() }} and open_amount > 0
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
    where {{ spans(as_of()) }}
),

cash as (
    select * from {{ ref('int_item_allocations') }}
    where source_type = 'payment' and ended_on is null
),

reporting as (
    select max(reporting_currency) as currency
    from companies
),

answered as (
    select
        issued_steps.worklist_date,
        issued_steps.item_id,
        issued_steps.step,
        {{ dbt.datediff('issued_steps.worklist_date', 'cash.payment_date', 'day') }} as days_to_pay,
        cash.amount
    from issued_steps
    inner join cash
        on issued_steps.item_id = cash.item_id
        and cash.payment_date >= issued_steps.worklist_date
        and cash.payment_date <= {{ days_after('issued_steps.worklist_date', 14) }}
),

answers as (
    select
        worklist_date,
        item_id,
        step,
        sum(case when days_to_pay <= 7 then amount else 0 end) as paid_7d,
        sum(amount) as paid_14d,
        sum(amount * days_to_pay) as paid_x_days
    from answered
    group by worklist_date, item_id, step
),

-- At the rates of as_of, so that a share is moved by payments and not by the market.
converted_steps as (
    select
        cast({{ dbt.date_trunc('month', 'issued_steps.worklist_date') }} as date) as month,
        issued_steps.step,
        issued_steps.customer_id,
        answers.paid_14d >= issued_steps.open_amount as is_paid,
        reporting.currency as reporting_currency,
        {{ converted('issued_steps.open_amount', 'issued_steps.currency', 'reporting.currency', 'exchange_rates') }} as issued,
        {{ converted('answers.paid_7d', 'issued_steps.currency', 'reporting.currency', 'exchange_rates') }} as paid_7d,
        {{ converted('answers.paid_14d', 'issued_steps.currency', 'reporting.currency', 'exchange_rates') }} as paid_14d,
        {{ converted('answers.paid_x_days', 'issued_steps.currency', 'reporting.currency', 'exchange_rates') }} as paid_x_days
    from issued_steps
    cross join reporting
    left join exchange_rates
        on issued_steps.currency = exchange_rates.from_currency
        and reporting.currency = exchange_rates.to_currency
    left join answers
        on issued_steps.worklist_date = answers.worklist_date
        and issued_steps.item_id = answers.item_id
        and issued_steps.step = answers.step
)

select
    {{ as_of() }} as as_of,
    month,
    cast(step as string) as step,
    cast(reporting_currency as string) as reporting_currency,
    cast(count(*) as integer) as items_issued,
    cast(count(distinct customer_id) as integer) as customers,
    cast(sum(case when is_paid then 1 else 0 end) as integer) as items_paid_14d,
    cast(sum(issued) as decimal(18, 4)) as issued_amount,
    cast(coalesce(sum(paid_7d), 0) as decimal(18, 4)) as paid_7d_amount,
    cast(coalesce(sum(paid_14d), 0) as decimal(18, 4)) as paid_14d_amount,
    {{ ratio('coalesce(sum(paid_7d), 0)', 'sum(issued)') }} as paid_7d_share,
    {{ ratio('coalesce(sum(paid_14d), 0)', 'sum(issued)') }} as paid_14d_share,
    {{ ratio('sum(paid_x_days)', 'sum(paid_14d)') }} as mean_days_to_pay
from converted_steps
group by month, step, reporting_currency
