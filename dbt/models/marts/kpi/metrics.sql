with figures as (
    select * from {{ ref('kpi_monthly') }}
),

drawn as (
    select
        *,
        value - prior_value as change,
        case when better = 'up' then 1 else -1 end as upwards
    from figures
    where value is not null
)

select
    month,
    cast(scope as string) as scope,
    cast(coalesce(scope_value, 'all') as string) as scope_value,
    cast(kpi as string) as kpi,
    cast(title as string) as title,
    cast(unit as string) as unit,
    headline,
    cast(value as decimal(18, 4)) as value,
    cast(prior_value as decimal(18, 4)) as prior_value,
    cast(change as decimal(18, 4)) as change,
    cast(case
        when change * upwards > 0 then 'better'
        when change * upwards < 0 then 'worse'
        when change = 0 then 'same'
    end as string) as turn,
    cast(target as decimal(18, 4)) as target,
    (value - target) * upwards >= 0 as is_on_target,
    cast(goal as decimal(18, 4)) as goal,
    cast(better as string) as better,
    tripped
from drawn
