{{ config(materialized='view') }}
with promises as (
    select * from {{ ref('int_promises') }}
    where state = 'pending'
),

promises_told as (
    select
        customer_id,
        {{ dbt.listagg(
            "concat_ws('', " ~ amount_for_people('promises.amount', 'coalesce(currencies.digits, 2)') ~ ", ' ', currency, ' on ', cast(promised_date as varchar))",
            "'; '",
            'order by promised_date, promise_id'
        ) }} as told
    from promises
    group by customer_id
),

next_promises as (
    select
        customer_id,
        promised_date,
        amount,
        currency
    from (
        select
            customer_id,
            promised_date,
            amount,
            currency,
            row_number() over (partition by customer_id order by promised_date, promise_id) as nearness
        from promises
    ) as by_date
    where nearness = 1
)

select
    next_promises.customer_id,
    next_promises.promised_date,
    next_promises.amount,
    next_promises.currency,
    promises_told.told
from next_promises
inner join promises_told on next_promises.customer_id = promises_told.customer_id
