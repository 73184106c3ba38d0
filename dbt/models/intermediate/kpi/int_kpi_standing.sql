{%- set columns = ['current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date'] -%}
with snapshot as (
    select * from {{ ref('int_items_snapshot') }}
    where not is_as_of
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
    where not is_as_of
),

-- Days late are of what is owed only.
judged as (
    select
        months.month,
        snapshot.company_id,
        snapshot.customer_id,
        coalesce(snapshot.product_line, 'unknown') as product_line,
        snapshot.aging_column,
        snapshot.open_amount_reporting,
        case when snapshot.days_past_due > 0 and snapshot.open_amount > 0 then snapshot.days_past_due end as days_late,
        customer_balances.is_trifle
    from snapshot
    inner join months on snapshot.snapshot_date = months.snapshot_date
    left join customer_balances
        on snapshot.snapshot_date = customer_balances.snapshot_date
        and snapshot.company_id = customer_balances.company_id
        and snapshot.customer_id = customer_balances.customer_id
        and snapshot.currency = customer_balances.currency
)

select
    month,
    company_id,
    customer_id,
    product_line,
    cast(sum(open_amount_reporting) as decimal(18, 4)) as receivables,
    {%- for column in columns %}
    cast(sum(case when aging_column = '{{ column }}' then open_amount_reporting else 0 end) as decimal(18, 4)) as {{ column }},
    {%- endfor %}
    cast(sum(case when aging_column = 'credits' then -open_amount_reporting else 0 end) as decimal(18, 4)) as credits,
    cast(sum(case when days_late > 0 then open_amount_reporting else 0 end) as decimal(18, 4)) as past_due,
    cast(sum(case when days_late > 0 and not is_trifle then open_amount_reporting else 0 end) as decimal(18, 4)) as past_due_weighed,
    cast(
        sum(case when days_late > 0 and not is_trifle then cast(open_amount_reporting as decimal(24, 4)) * days_late else 0 end) as decimal(24, 4)
    ) as past_due_x_days
from judged
group by month, company_id, customer_id, product_line
