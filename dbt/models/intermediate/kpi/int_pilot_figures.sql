{{ config(materialized='view') }}
{%- set figures = {
    'dso': ('receivables * window_days', 'billed_window'),
    'dbt_days': ('paid_x_days_late + past_due_x_days', 'paid_with_due_date + past_due_weighed'),
    'on_time_share': ('paid_on_time', 'paid_with_due_date'),
} %}
with arms as (
    select * from {{ ref('int_pilot_arms') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

parts as (
    select
        month,
        customer_id,
        receivables,
        past_due_weighed,
        past_due_x_days,
        0 as billed_window,
        0 as paid_with_due_date,
        0 as paid_on_time,
        0 as paid_x_days_late
    from {{ ref('int_kpi_standing') }}
    union all
    select
        month,
        customer_id,
        0 as receivables,
        0 as past_due_weighed,
        0 as past_due_x_days,
        billed_window,
        0 as paid_with_due_date,
        0 as paid_on_time,
        0 as paid_x_days_late
    from {{ ref('int_kpi_billed') }}
    union all
    select
        month,
        customer_id,
        0 as receivables,
        0 as past_due_weighed,
        0 as past_due_x_days,
        0 as billed_window,
        paid_with_due_date,
        paid_on_time,
        paid_x_days_late
    from {{ ref('int_kpi_collected') }}
),

summed as (
    select
        month,
        customer_id,
        {%- for measure in ['receivables', 'past_due_weighed', 'billed_window', 'paid_with_due_date', 'paid_on_time'] %}
        cast(sum({{ measure }}) as decimal(18, 4)) as {{ measure }},
        {%- endfor %}
        cast(sum(past_due_x_days) as decimal(24, 4)) as past_due_x_days,
        cast(sum(paid_x_days_late) as decimal(24, 4)) as paid_x_days_late
    from parts
    group by month, customer_id
)

{%- for kpi, (numerator, denominator) in figures.items() %}

select
    summed.month,
    summed.customer_id,
    arms.arm,
    {{ policy_name('kpi_definitions', kpi) }} as kpi,
    cast({{ numerator }} as decimal(24, 4)) as numerator,
    cast({{ denominator }} as decimal(24, 4)) as denominator
from summed
inner join arms on summed.customer_id = arms.customer_id
inner join months on summed.month = months.month
where {{ numerator }} <> 0 or {{ denominator }} <> 0
{%- if not loop.last %}

union all
{%- endif %}
{%- endfor %}
