with figures as (
    select * from {{ ref('kpi_monthly') }}
    where tripped
),

definitions as (
    select * from {{ policy_rows('kpi_definitions') }} as kpi_definitions
),

amounts as (
    select * from {{ ref('int_kpi_movers') }}
),

measures as (
    select * from {{ ref('int_kpi_measures') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
    where not is_as_of
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

newest as (
    select max(month) as month
    from measures
),

tripped_now as (
    select distinct
        figures.kpi,
        definitions.compare_months
    from figures
    inner join newest on figures.month = newest.month
    inner join definitions on figures.kpi = definitions.kpi
),

-- The newest month and the one each figure is compared with.
compared_months as (
    select
        tripped_now.kpi,
        newest.month,
        1 as sign
    from tripped_now
    cross join newest
    union all
    select
        tripped_now.kpi,
        cast({{ dbt.dateadd('month', '-tripped_now.compare_months', 'newest.month') }} as date) as month,
        -1 as sign
    from tripped_now
    cross join newest
),

moved as (
    select
        amounts.kpi,
        amounts.customer_id,
        amounts.company_id,
        sum(compared_months.sign * amounts.amount) as moved
    from amounts
    inner join compared_months
        on amounts.kpi = compared_months.kpi
        and amounts.month = compared_months.month
    group by amounts.kpi, amounts.customer_id, amounts.company_id
    having sum(compared_months.sign * amounts.amount) <> 0
),

tiers as (
    select
        tier_history.customer_id,
        tier_history.tier_indicated
    from tier_history
    inner join snapshot_dates on tier_history.snapshot_date = snapshot_dates.snapshot_date
    inner join newest on snapshot_dates.month = newest.month
),

compared as (
    select
        moved.kpi,
        moved.customer_id,
        moved.company_id,
        coalesce(tiers.tier_indicated, 'unknown') as tier,
        coalesce(customers.region, 'unknown') as region,
        coalesce(customers.industry, 'unknown') as industry,
        coalesce(customers.collector, 'unknown') as collector,
        coalesce(customers.sales_rep, 'unknown') as sales_rep,
        moved.moved
    from moved
    left join tiers on moved.customer_id = tiers.customer_id
    left join customers on moved.customer_id = customers.customer_id
),

members as (
    {%- for scope, member in kpi_scopes().items() %}
    select
        kpi,
        '{{ scope }}' as scope,
        {{ member or "''" }} as scope_value,
        customer_id,
        sum(moved) as moved
    from compared
    group by kpi, customer_id{{ ', ' ~ member if member }}
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
            concat_ws('', coalesce(customers.name, members.customer_id), ' +', {{ amount_for_people('members.moved', 'reporting.digits') }}) as mover,
            row_number() over (
                partition by members.kpi, members.scope, members.scope_value order by members.moved desc, members.customer_id
            ) as place
        from members
        left join customers on members.customer_id = customers.customer_id
        cross join {{ reporting_digits() }} as reporting
        where members.moved > 0
    ) as ranked
    where place <= 3
    group by kpi, scope, scope_value
)

select
    cast(figures.month as date) as month,
    cast(figures.scope as string) as scope,
    cast(figures.scope_value as string) as scope_value,
    cast(figures.kpi as string) as kpi,
    cast(figures.title as string) as title,
    cast(figures.unit as string) as unit,
    cast(figures.value as decimal(18, 4)) as value,
    cast(figures.prior_value as decimal(18, 4)) as prior_value,
    cast(figures.trigger as string) as trigger,
    cast(definitions.threshold as decimal(18, 4)) as threshold,
    cast(figures.month = newest.month as boolean) as is_newest,
    cast(movers.moved_most as string) as moved_most
from figures
cross join newest
inner join definitions on figures.kpi = definitions.kpi
left join movers
    on figures.month = newest.month
    and figures.kpi = movers.kpi
    and figures.scope = movers.scope
    and coalesce(figures.scope_value, '') = movers.scope_value
