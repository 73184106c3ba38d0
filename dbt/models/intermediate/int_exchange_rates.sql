with quotes as (
    select * from {{ ref('stg_erp__exchange_rates') }}
),

-- The other direction serves where nobody quotes the pair itself.
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
        cast(1 / cast(rate as double) as decimal(20, 10)) as rate,
        1 as preference
    from quotes
    where rate > 0
),

preferred as (
    select
        rate_date,
        from_currency,
        to_currency,
        rate,
        preference,
        min(preference) over (partition by from_currency, to_currency) as best_preference
    from pairs
    where from_currency <> to_currency
)

select
    from_currency,
    to_currency,
    rate_date as valid_from,
    lead(rate_date) over (partition by from_currency, to_currency order by rate_date) as valid_to,
    rate
from preferred
where preference = best_preference
