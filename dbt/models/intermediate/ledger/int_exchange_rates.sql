with quotes as (
    select * from {{ ref('stg_erp__exchange_rates') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

-- A quote says as much about the other direction, unless that is quoted itself on the same day.
pairs as (
    select
        rate_date,
        currency as from_currency,
        base_currency as to_currency,
        rate,
        0 as preference
    from quotes
    union all
    select
        rate_date,
        base_currency as from_currency,
        currency as to_currency,
        cast(cast(1 / cast(rate as double) as decimal(28, 14)) as decimal(20, 10)) as rate,
        1 as preference
    from quotes
    where rate > 0
),

preferred as (
    select
        rate_date,
        from_currency,
        to_currency,
        rate
    from {{ first_of('pairs', 'from_currency, to_currency, rate_date', 'preference') }} as by_preference
    where from_currency <> to_currency
)

select
    preferred.from_currency,
    preferred.to_currency,
    preferred.rate_date as valid_from,
    lead(preferred.rate_date) over (
        partition by preferred.from_currency, preferred.to_currency
        order by preferred.rate_date
    ) as valid_to,
    preferred.rate,
    coalesce(currencies.digits, 2) as to_digits
from preferred
left join currencies on preferred.to_currency = currencies.currency
