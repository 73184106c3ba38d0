with credit_exceptions as (
    select * from {{ ref('int_credit_exceptions') }}
    where is_counted and not is_before_policy
),

months as (
    select * from {{ ref('int_kpi_months') }}
)

select
    months.month,
    credit_exceptions.company_id,
    credit_exceptions.customer_id,
    count(*) as exceptions
from credit_exceptions
inner join months on {{ dbt.date_trunc('month', 'credit_exceptions.dated_on') }} = months.month
group by months.month, credit_exceptions.company_id, credit_exceptions.customer_id
