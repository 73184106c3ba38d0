with measures as (
    select * from {{ ref('int_kpi_measures') }}
),

months as (
    select
        month,
        snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where not is_as_of
),

review_cycles as (
    select * from {{ ref('int_review_cycles') }}
),

credit_exceptions as (
    select * from {{ ref('int_credit_exceptions') }}
    where declared
),

adopted as (
    select * from {{ ref('policy_adopted') }}
),

scoped as (
    {%- for scope in ['total', 'company', 'tier', 'region', 'industry', 'collector', 'sales_rep'] %}
    select
        month,
        '{{ scope }}' as scope,
        {{ {'total': 'cast(null as varchar)', 'company': 'company_id'}.get(scope, scope) }} as scope_value,
        sum({{ 'company_customers' if scope == 'company' else 'customers' }}) as n
        {%- for measure in kpi_measures() %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from measures
    group by {{ 'month' if scope == 'total' else 'month, ' ~ ('company_id' if scope == 'company' else scope) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    scoped.month,
    scoped.scope,
    scoped.scope_value,
    scoped.n,
    {%- for measure in kpi_measures() %}
    scoped.{{ measure }},
    {%- endfor %}
    cast({{ dbt.datediff('scoped.month', 'months.snapshot_date', 'day') }} + 1 as integer) as days_in_month,
    (select count(*) from review_cycles) > 0 as has_reviews,
    scoped.month < adopted.adopted_on as began_before_policy,
    months.snapshot_date < adopted.adopted_on as ended_before_policy,
    (select count(*) from credit_exceptions) > 0 as has_declared_exceptions,
    {{ policy_value('kpi_policy', 'billed_window_days') }} as window_days,
    {{ policy_value('kpi_policy', 'cost_of_capital_pct', 'decimal(9, 4)') }} as cost_of_capital_pct
from scoped
inner join months on scoped.month = months.month
cross join adopted
