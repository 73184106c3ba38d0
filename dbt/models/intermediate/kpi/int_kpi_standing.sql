with customer_balances as (
    select * from {{ ref('int_customer_balances') }}
    where not is_as_of
),

months as (
    select * from {{ ref('int_kpi_months') }}
)

{%- set columns = ['current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date', 'credits'] %}

select
    months.month,
    customer_balances.company_id,
    customer_balances.customer_id,
    cast(sum(customer_balances.balance_reporting) as decimal(18, 4)) as receivables,
    {%- for column in columns %}
    cast(sum(customer_balances.{{ column }}_reporting) as decimal(18, 4)) as {{ column }},
    {%- endfor %}
    cast(sum(customer_balances.late_reporting + customer_balances.trifle_reporting) as decimal(18, 4)) as past_due,
    cast(sum(customer_balances.late_reporting) as decimal(18, 4)) as past_due_weighed,
    cast(sum(customer_balances.late_x_days_reporting) as decimal(24, 4)) as past_due_x_days
from customer_balances
inner join months on customer_balances.snapshot_date = months.snapshot_date
group by months.month, customer_balances.company_id, customer_balances.customer_id
