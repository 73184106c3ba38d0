with forecasts as (
    select * from {{ ref('stg_delivery__issued_forecasts') }}
    where
        made_on < {{ as_of() }}
        and {{ days_after('week_start', 6) }} <= {{ as_of() }}
        and {{ dbt.datediff('made_on', as_of(), 'day') }} <= 7 * {{ policy_value('forecast_policy', 'accuracy_weeks') }}
),

payments as (
    select * from {{ ref('int_payments') }}
    where reversed_on is null and payment_date >= (select min(week_start) from forecasts)
),

allocations as (
    select * from {{ ref('int_item_allocations') }}
    where source_type = 'payment' and ended_on is null and payment_date >= (select min(week_start) from forecasts)
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

-- All that came in, and of it what was put against documents by their date.
received as (
    select
        company_id,
        currency,
        payment_date,
        cast(null as date) as document_date,
        sum(amount) as amount
    from payments
    group by company_id, currency, payment_date
    union all
    select
        company_id,
        currency,
        payment_date,
        document_date,
        sum(amount) as amount
    from allocations
    group by company_id, currency, payment_date, document_date
),

converted as (
    select
        received.*,
        companies.reporting_currency,
        {{ converted('received.amount', 'received.currency', 'companies.reporting_currency', 'exchange_rates') }} as amount_reporting
    from received
    inner join companies on received.company_id = companies.company_id
    left join exchange_rates
        on received.currency = exchange_rates.from_currency
        and companies.reporting_currency = exchange_rates.to_currency
        and {{ spans('received.payment_date', 'exchange_rates') }}
),

scoped as (
    select 'currency' as scope, company_id, currency, payment_date, document_date, amount from converted
    union all
    select 'company' as scope, company_id, reporting_currency as currency, payment_date, document_date, amount_reporting as amount from converted
    union all
    select 'total' as scope, '*' as company_id, reporting_currency as currency, payment_date, document_date, amount_reporting as amount from converted
),

held as (
    select
        forecasts.made_on,
        forecasts.week_start,
        forecasts.week,
        forecasts.scope,
        forecasts.company_id,
        forecasts.currency,
        forecasts.expected,
        forecasts.not_billed,
        forecasts.p20,
        forecasts.p80,
        forecasts.naive,
        coalesce(sum(case when scoped.document_date is null then scoped.amount end), 0) as came,
        coalesce(sum(case when scoped.document_date > forecasts.made_on then scoped.amount end), 0) as came_not_billed
    from forecasts
    left join scoped
        on forecasts.scope = scoped.scope
        and forecasts.company_id = scoped.company_id
        and forecasts.currency = scoped.currency
        and scoped.payment_date between forecasts.week_start and {{ days_after('forecasts.week_start', 6) }}
    group by
        forecasts.made_on, forecasts.week_start, forecasts.week, forecasts.scope, forecasts.company_id, forecasts.currency, forecasts.expected,
        forecasts.not_billed, forecasts.p20, forecasts.p80, forecasts.naive
)

select
    cast(made_on as date) as made_on,
    cast(week_start as date) as week_start,
    cast(week as integer) as week,
    cast(scope as string) as scope,
    cast(case when scope <> 'total' then company_id end as string) as company_id,
    cast(currency as string) as currency,
    cast(expected as decimal(18, 4)) as forecast,
    cast(p20 as decimal(18, 4)) as p20,
    cast(p80 as decimal(18, 4)) as p80,
    cast(came as decimal(18, 4)) as came,
    cast(naive as decimal(18, 4)) as naive,
    cast(expected - came as decimal(18, 4)) as error,
    cast(naive - came as decimal(18, 4)) as naive_error,
    cast(not_billed as decimal(18, 4)) as forecast_not_billed,
    cast(came_not_billed as decimal(18, 4)) as came_not_billed,
    cast(came between p20 and p80 as boolean) as in_band
from held
