with open_items as (
    select * from {{ ref('int_cash_of_open_items') }}
),

not_billed as (
    select * from {{ ref('int_cash_not_billed') }}
),

payments as (
    select * from {{ ref('int_payments') }}
    where
        reversed_on is null
        and {{ dbt.datediff('payment_date', as_of(), 'day') }} < 7 * {{ policy_value('forecast_policy', 'naive_weeks') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
    where {{ spans(as_of()) }}
),

naive as (
    select
        company_id,
        currency,
        cast(sum(amount) as double) / {{ policy_value('forecast_policy', 'naive_weeks') }} as naive
    from payments
    group by company_id, currency
),

places as (
    select company_id, currency from open_items
    union
    select company_id, currency from not_billed
    union
    select company_id, currency from naive
),

rated as (
    select
        places.company_id,
        places.currency,
        companies.reporting_currency,
        case when places.currency = companies.reporting_currency then cast(1 as decimal(20, 10)) else exchange_rates.rate end as rate
    from places
    inner join companies on places.company_id = companies.company_id
    left join exchange_rates
        on places.currency = exchange_rates.from_currency
        and companies.reporting_currency = exchange_rates.to_currency
)

select
    rated.company_id,
    rated.currency,
    rated.reporting_currency,
    week.n as week,
    {%- for measure in ['open_items', 'promised', 'overdue_part'] %}
    cast(coalesce(open_items.{{ measure }}, 0) as decimal(28, 8)) as {{ measure }},
    cast(coalesce(open_items.{{ measure }}_reporting, 0) as decimal(28, 8)) as {{ measure }}_reporting,
    {%- endfor %}
    cast(coalesce(not_billed.not_billed, 0) as decimal(28, 8)) as not_billed,
    cast(cast(coalesce(not_billed.not_billed, 0) as double) * cast(rated.rate as double) as decimal(28, 8)) as not_billed_reporting,
    cast(coalesce(naive.naive, 0) as decimal(28, 8)) as naive,
    cast(cast(coalesce(naive.naive, 0) as double) * cast(rated.rate as double) as decimal(28, 8)) as naive_reporting,
    cast(coalesce(open_items.variance, 0) + coalesce(not_billed.variance, 0) as decimal(36, 4)) as variance,
    cast(
        coalesce(open_items.variance_reporting, 0)
        + cast(cast(coalesce(not_billed.variance, 0) as double) * cast(rated.rate as double) * cast(rated.rate as double) as decimal(34, 4))
        as decimal(36, 4)
    ) as variance_reporting
from rated
cross join {{ whole_numbers(1, weeks_ahead()) }} as week
left join open_items
    on rated.company_id = open_items.company_id
    and rated.currency = open_items.currency
    and week.n = open_items.week
left join not_billed
    on rated.company_id = not_billed.company_id
    and rated.currency = not_billed.currency
    and week.n = not_billed.week
left join naive
    on rated.company_id = naive.company_id
    and rated.currency = naive.currency
