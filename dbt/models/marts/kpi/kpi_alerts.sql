{#- What moved a figure that tripped: the sum per customer that makes it worse where it grows. -#}
{%- set moved_by = [
    ('dso', 'receivables'),
    ('aging_share_61_90', 'd61_90'),
    ('aging_share_90_plus', 'd90_plus'),
    ('cei', 'receivables - current_amount'),
    ('write_off_rate', 'written_off_quarter'),
    ('days_to_invoice', 'days_to_invoice'),
    ('invoice_error_rate', 'invoices_in_error'),
    ('exception_rate', 'exceptions'),
    ('overdue_reviews', 'overdue_reviews'),
    ('customer_retention', 'customers_year_before - customers_kept'),
] -%}
with figures as (
    select * from {{ ref('kpi_monthly') }}
    where tripped
),

definitions as (
    select * from {{ ref('kpi_definitions') }}
    where {{ in_force() }}
),

measures as (
    select * from {{ ref('int_kpi_measures') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

newest as (
    select max(month) as month
    from measures
),

-- The newest month and the one each figure is compared with: what is older was in the alerts of its own time.
compared_months as (
    select
        definitions.kpi,
        newest.month,
        1 as sign
    from definitions
    cross join newest
    union all
    select
        definitions.kpi,
        cast({{ dbt.dateadd('month', '-definitions.compare_months', 'newest.month') }} as date) as month,
        -1 as sign
    from definitions
    cross join newest
),

recent as (
    select
        month,
        customer_id,
        company_id,
        tier,
        region,
        industry,
        collector,
        sales_rep
        {%- for kpi, measure in moved_by %},
        sum({{ measure }}) as {{ kpi }}
        {%- endfor %}
    from measures
    where month in (select month from compared_months)
    group by month, customer_id, company_id, tier, region, industry, collector, sales_rep
),

compared as (
    {%- for kpi, _ in moved_by %}
    select
        '{{ kpi }}' as kpi,
        recent.customer_id,
        recent.company_id,
        max(case when recent.month = newest.month then recent.tier end) as tier,
        recent.region,
        recent.industry,
        recent.collector,
        recent.sales_rep,
        sum(compared_months.sign * recent.{{ kpi }}) as moved
    from recent
    cross join newest
    inner join compared_months
        on recent.month = compared_months.month
        and compared_months.kpi = '{{ kpi }}'
    group by
        recent.customer_id, recent.company_id, recent.region, recent.industry, recent.collector, recent.sales_rep
    having sum(compared_months.sign * recent.{{ kpi }}) <> 0
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

members as (
    {%- for scope in ['total', 'company', 'tier', 'region', 'industry', 'collector', 'sales_rep'] %}
    select
        kpi,
        '{{ scope }}' as scope,
        {{ {'total': "''", 'company': 'company_id'}.get(scope, scope) }} as scope_value,
        customer_id,
        sum(moved) as moved
    from compared
    group by kpi, customer_id{{ '' if scope == 'total' else ', ' ~ ('company_id' if scope == 'company' else scope) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

movers as (
    select
        kpi,
        scope,
        scope_value,
        {{ dbt.listagg('mover', "'; '", 'order by place') }} as moved_most
    from (
        select
            members.kpi,
            members.scope,
            members.scope_value,
            concat(coalesce(customers.name, members.customer_id), ' +', {{ amount_for_people('members.moved') }}) as mover,
            row_number() over (
                partition by members.kpi, members.scope, members.scope_value order by members.moved desc, members.customer_id
            ) as place
        from members
        left join customers on members.customer_id = customers.customer_id
        where members.moved > 0
    ) as ranked
    where place <= 3
    group by kpi, scope, scope_value
)

select
    cast(figures.month as date) as month,
    cast(figures.scope as varchar) as scope,
    cast(figures.scope_value as varchar) as scope_value,
    cast(figures.kpi as varchar) as kpi,
    cast(figures.title as varchar) as title,
    cast(figures.unit as varchar) as unit,
    cast(figures.value as decimal(18, 4)) as value,
    cast(figures.prior_value as decimal(18, 4)) as prior_value,
    cast(figures.trigger as varchar) as trigger,
    cast(definitions.threshold as decimal(18, 4)) as threshold,
    cast(figures.month = newest.month as boolean) as is_newest,
    cast(movers.moved_most as varchar) as moved_most
from figures
cross join newest
inner join definitions on figures.kpi = definitions.kpi
left join movers
    on figures.month = newest.month
    and figures.kpi = movers.kpi
    and figures.scope = movers.scope
    and coalesce(figures.scope_value, '') = movers.scope_value
