with balances as (
    select * from {{ ref('int_customer_balances') }}
)

{%- set columns = ['current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date'] %}

select
    cast({{ as_of() }} as date) as as_of,
    cast(snapshot_date as date) as snapshot_date,
    cast(company_id as string) as company_id,
    cast(customer_id as string) as customer_id,
    cast(currency as string) as currency,
    {%- for column in columns %}
    cast({{ column }} as decimal(18, 4)) as {{ column }},
    {%- endfor %}
    cast(balance + credits as decimal(18, 4)) as total_open,
    cast(credits as decimal(18, 4)) as credits,
    cast(balance as decimal(18, 4)) as balance,
    cast(past_due as decimal(18, 4)) as past_due,
    cast(oldest_days_past_due as integer) as oldest_days_past_due
from balances
