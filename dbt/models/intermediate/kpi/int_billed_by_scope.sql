with billed_daily as (
    select * from {{ ref('int_billed_daily') }}
),

months as (
    select
        month,
        snapshot_date
    from {{ ref('int_snapshot_dates') }}
    where not is_as_of
),

customers as (
    select * from {{ ref('int_customers') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

numbers as (
    {{ dbt.generate_series(99) }}
),

months_back as (
    select cast(generated_number as integer) - 1 as n
    from numbers
    where generated_number <= {{ policy_value('kpi_policy', 'countback_months') }}
),

-- For every month, the months its balance may be counted back over, itself first.
counted_months as (
    select
        months.month,
        months.snapshot_date,
        months_back.n as months_ago,
        cast({{ dbt.dateadd('month', '-months_back.n', 'months.month') }} as date) as billed_month
    from months
    cross join months_back
),

billed_monthly as (
    select
        customer_id,
        company_id,
        month as billed_month,
        sum(billed) as billed
    from billed_daily
    where month >= (select min(billed_month) from counted_months)
    group by customer_id, company_id, month
),

attributed as (
    select
        billed_monthly.*,
        coalesce(customers.region, 'unknown') as region,
        coalesce(customers.industry, 'unknown') as industry,
        coalesce(customers.collector, 'unknown') as collector,
        coalesce(customers.sales_rep, 'unknown') as sales_rep
    from billed_monthly
    left join customers on billed_monthly.customer_id = customers.customer_id
),

-- A customer's tier differs from month end to month end, so the months before it are added up anew for each; the rest once.
lasting_scopes as (
    {%- for scope, member in kpi_scopes().items() if scope != 'tier' %}
    select
        '{{ scope }}' as scope,
        {{ member or 'cast(null as string)' }} as scope_value,
        billed_month,
        sum(billed) as billed
    from attributed
    group by billed_month{{ ', ' ~ member if member }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

scoped as (
    select
        counted_months.month,
        counted_months.months_ago,
        lasting_scopes.scope,
        lasting_scopes.scope_value,
        lasting_scopes.billed
    from lasting_scopes
    inner join counted_months on lasting_scopes.billed_month = counted_months.billed_month
    union all
    select
        counted_months.month,
        counted_months.months_ago,
        'tier' as scope,
        coalesce(tier_history.tier_indicated, 'unknown') as scope_value,
        sum(billed_monthly.billed) as billed
    from billed_monthly
    inner join counted_months on billed_monthly.billed_month = counted_months.billed_month
    left join tier_history
        on billed_monthly.customer_id = tier_history.customer_id
        and counted_months.snapshot_date = tier_history.snapshot_date
    group by counted_months.month, counted_months.months_ago, coalesce(tier_history.tier_indicated, 'unknown')
),

groups as (
    select distinct
        month,
        scope,
        scope_value
    from scoped
)

select
    counted_months.month,
    groups.scope,
    groups.scope_value,
    counted_months.months_ago,
    counted_months.billed_month,
    cast({{ dbt.datediff(
        'counted_months.billed_month', dbt.dateadd('month', 1, 'counted_months.billed_month'), 'day'
    ) }} as integer) as days_in_month,
    cast(coalesce(scoped.billed, 0) as decimal(24, 4)) as billed
from groups
inner join counted_months on groups.month = counted_months.month
left join scoped
    on groups.month = scoped.month
    and groups.scope = scoped.scope
    and coalesce(groups.scope_value, '') = coalesce(scoped.scope_value, '')
    and counted_months.months_ago = scoped.months_ago
