{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'stg_erp__invoices'}}, 'description': 'Every currency in use is in currencies.csv, which says how many digits its amounts have. Those listed are taken to have two: add them there, or mend the code in the source.'}) }}

with currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

used as (
    select currency from {{ ref('int_companies') }}
    union
    select currency from {{ ref('stg_erp__invoices') }}
    union
    select currency from {{ ref('stg_erp__payments') }}
)

select used.currency
from used
left join currencies on used.currency = currencies.currency
where used.currency is not null and currencies.currency is null
order by used.currency
