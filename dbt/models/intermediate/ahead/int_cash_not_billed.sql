{%- set days_back = 'cast(7 * ' ~ policy_value('forecast_policy', 'billing_weeks') ~ ' as integer)' -%}
with documents as (
    select
        company_id,
        customer_id,
        currency,
        document_type,
        document_date,
        due_date,
        cast(amount as decimal(24, 4)) as amount
    from {{ ref('int_documents') }}
    where
        voided_on is null
        and {{ dbt.datediff('document_date', as_of(), 'day') }} < {{ days_back }}
),

curves as (
    select * from {{ ref('int_payment_curves') }}
),

-- What is billed on a day, and the days it is given, as over the weeks that count. Credit memos take back what nobody pays.
billing as (
    select
        company_id,
        customer_id,
        currency,
        cast(sum(case when document_type = 'credit_memo' then -amount else amount end) as decimal(24, 4)) as amount,
        sum(case when document_type <> 'credit_memo' then cast(cast(amount as double) * cast(amount as double) as decimal(32, 4)) end) as squares,
        cast(round(
            cast(sum(case when document_type <> 'credit_memo' then amount * {{ dbt.datediff('document_date', 'due_date', 'day') }} end) as double)
            / nullif(cast(sum(case when document_type <> 'credit_memo' and due_date is not null then amount end) as double), 0)
        ) as integer) as credit_days
    from documents
    group by company_id, customer_id, currency
    having sum(case when documents.document_type = 'credit_memo' then -documents.amount else documents.amount end) > 0
),

-- What is billed on one day to come is paid, of its week's last day, so many days after its own.
paid as (
    select
        billing.company_id,
        billing.currency,
        cast(floor((age.n + 6) / 7) as integer) as week,
        billing.amount,
        billing.squares,
        cast(
            case
                when age.n - 1 - billing.credit_days > {{ last_curve_day() }} then 1
                when age.n - 1 - billing.credit_days < {{ first_curve_day() }} then 0
                else 1 - exp(cast(curves.log_still_open as double))
            end as decimal(12, 9)
        ) as chance
    from billing
    cross join {{ whole_numbers(1, '7 * ' ~ weeks_ahead()) }} as age
    left join curves
        on billing.customer_id = curves.customer_id
        and age.n - 1 - billing.credit_days = curves.days_late
    where billing.credit_days is not null
)

select
    company_id,
    currency,
    week,
    cast(cast(sum(amount * cast(coalesce(chance, 0) as decimal(12, 9))) as double) / {{ days_back }} as decimal(28, 8)) as not_billed,
    cast(
        cast(sum(cast(cast(squares as double) * cast(coalesce(chance, 0) as double) as decimal(34, 4))) as double) / {{ days_back }} as decimal(34, 4)
    ) as variance
from paid
group by company_id, currency, week
