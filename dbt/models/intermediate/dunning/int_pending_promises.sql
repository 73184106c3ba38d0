{{ config(materialized='view') }}
with promises as (
    select * from {{ ref('int_promises') }}
    where state = 'pending'
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

promises_told as (
    select
        promises.customer_id,
        {{ dbt.listagg(
            "concat_ws('', " ~ amount_for_people('promises.amount', 'coalesce(currencies.digits, 2)') ~ ", ' ', promises.currency, ' on ', cast(promises.promised_date as string))",
            "'; '",
            'order by promises.promised_date, promises.promise_id'
        ) }} as told
    from promises
    left join currencies on promises.currency = currencies.currency
    group by promises.customer_id
),

next_promises as (
    select * from {{ first_of('promises', 'customer_id', 'promised_date, promise_id') }} as nearest
)

select
    next_promises.customer_id,
    next_promises.promised_date,
    next_promises.amount,
    next_promises.currency,
    promises_told.told
from next_promises
inner join promises_told on next_promises.customer_id = promises_told.customer_id
