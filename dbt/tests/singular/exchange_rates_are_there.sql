{{ config(meta={'dagster': {'ref': {'name': 'int_exchange_rates'}}, 'description': 'Every balance has a rate on its snapshot date, and every movement since the first of them on its own day, to base and to reporting currency. What is missing is named once a pair, with the first and the last day.'}) }}

with balances as (
    select * from {{ ref('int_customer_balances') }}
),

movements as (
    select * from {{ ref('int_movements_daily') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

history as (
    select min(snapshot_date) as starts_on
    from snapshot_dates
),

movement_days as (
    select distinct
        movements.currency,
        companies.currency as base_currency,
        companies.reporting_currency,
        movements.moved_on
    from movements
    inner join history on movements.moved_on >= history.starts_on
    left join companies on movements.company_id = companies.company_id
),

movement_needs as (
    select currency, base_currency as to_currency, moved_on as needed_on from movement_days
    union
    select currency, reporting_currency as to_currency, moved_on as needed_on from movement_days
),

missing_for_movements as (
    select
        movement_needs.currency,
        movement_needs.to_currency,
        movement_needs.needed_on
    from movement_needs
    left join exchange_rates
        on {{ rate_on('movement_needs.needed_on', 'movement_needs.currency', 'movement_needs.to_currency') }}
    where
        exchange_rates.rate is null
        and (movement_needs.to_currency is null or movement_needs.currency <> movement_needs.to_currency)
),

missing as (
    select
        balances.currency,
        companies.currency as to_currency,
        balances.snapshot_date as needed_on
    from balances
    left join companies on balances.company_id = companies.company_id
    where balances.balance_base is null
    union
    select
        balances.currency,
        companies.reporting_currency as to_currency,
        balances.snapshot_date as needed_on
    from balances
    left join companies on balances.company_id = companies.company_id
    where balances.balance_reporting is null
    union
    select
        currency,
        to_currency,
        needed_on
    from missing_for_movements
),

pairs as (
    select
        currency,
        to_currency,
        min(needed_on) as needed_from,
        max(needed_on) as needed_to
    from missing
    group by currency, to_currency
)

select
    currency,
    to_currency,
    needed_from,
    needed_to,
    case
        when to_currency is null and (select count(*) from companies) > 1
            then concat_ws('', 'documents in ', currency, ' name no entity that the companies have: give each its company_id')
        when to_currency is null
            then 'say which currency the books are kept in: a companies file, or ARREARS_REPORTING_CURRENCY'
        else concat_ws('', 'deliver exchange_rates with ', currency, ' as currency, ', to_currency, ' as base_currency and a rate_date of ',
            cast(needed_from as string), ' or shortly before, and those that changed since; or set ARREARS_RATES=ecb')
    end as what_to_do
from pairs
order by currency, to_currency nulls last
