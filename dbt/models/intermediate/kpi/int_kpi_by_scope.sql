{%- set of_documents = kpi_document_measures() -%}
with measures as (
    select * from {{ ref('int_kpi_measures') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

reviews as (
    select * from {{ ref('int_reviews') }}
),

declared_exceptions as (
    select * from {{ ref('int_declared_exceptions') }}
),

adopted as (
    select * from {{ ref('policy_adopted') }}
),

products as (
    select * from {{ ref('int_kpi_products') }}
),

scoped as (
    {%- for scope, member in kpi_scopes().items() %}
    select
        month,
        '{{ scope }}' as scope,
        {{ member or 'cast(null as string)' }} as scope_value,
        sum({{ 'company_customers' if scope == 'company' else 'customers' }}) as n
        {%- for measure in kpi_measures() %},
        sum({{ measure }}) as {{ measure }}
        {%- endfor %}
    from measures
    group by month{{ ', ' ~ member if member }}
    union all
    {%- endfor %}
    select
        month,
        'product_line' as scope,
        product_line as scope_value,
        n
        {%- for measure in kpi_measures() %},
        {{ measure if measure in of_documents else 'null' }} as {{ measure }}
        {%- endfor %}
    from products
)

select
    scoped.month,
    scoped.scope,
    scoped.scope_value,
    scoped.n,
    {%- for measure in kpi_measures() %}
    scoped.{{ measure }},
    {%- endfor %}
    months.days_in_month,
    (select count(*) from reviews) > 0 as has_reviews,
    scoped.month < adopted.adopted_on as began_before_policy,
    months.snapshot_date < adopted.adopted_on as ended_before_policy,
    (select count(*) from declared_exceptions) > 0 as has_declared_exceptions,
    months.window_days,
    {{ policy_value('kpi_policy', 'cost_of_capital_pct', 'decimal(9, 4)') }} as cost_of_capital_pct
from scoped
inner join months on scoped.month = months.month
cross join adopted
