with snapshot as (
    select * from {{ ref('int_items_snapshot') }}
),

aging_buckets as (
    select * from {{ ref('aging_buckets') }}
),

placed as (
    select
        snapshot.snapshot_date,
        snapshot.company_id,
        snapshot.customer_id,
        snapshot.currency,
        snapshot.open_amount,
        snapshot.days_past_due,
        case
            when snapshot.item_type not in ('invoice', 'debit_memo') then 'credits'
            when snapshot.aging_bucket = 'no_due_date' then 'no_due_date'
            else aging_buckets.amount_column
        end as amount_column
    from snapshot
    left join aging_buckets on snapshot.aging_bucket = aging_buckets.bucket
)

{%- set columns = ['current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date'] %}

select
    cast({{ as_of() }} as date) as as_of,
    cast(snapshot_date as date) as snapshot_date,
    cast(company_id as varchar) as company_id,
    cast(customer_id as varchar) as customer_id,
    cast(currency as varchar) as currency,
    {%- for column in columns %}
    cast(sum(case when amount_column = '{{ column }}' then open_amount else 0 end) as decimal(18, 4)) as {{ column }},
    {%- endfor %}
    cast(sum(case when amount_column <> 'credits' then open_amount else 0 end) as decimal(18, 4)) as total_open,
    cast(sum(case when amount_column = 'credits' then -open_amount else 0 end) as decimal(18, 4)) as credits,
    cast(sum(open_amount) as decimal(18, 4)) as balance,
    cast(sum(case when days_past_due > 0 then open_amount else 0 end) as decimal(18, 4)) as past_due,
    cast(max(case when days_past_due > 0 and open_amount > 0 then days_past_due end) as integer) as oldest_days_past_due
from placed
group by snapshot_date, company_id, customer_id, currency
