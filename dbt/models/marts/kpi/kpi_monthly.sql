with figures as (
    select * from {{ ref('int_kpi_values') }}
),

definitions as (
    select * from {{ policy_rows('kpi_definitions') }} as kpi_definitions
),

newest as (
    select max(month) as month
    from figures
),

compared as (
    select
        figures.*,
        definitions.title,
        definitions.unit,
        definitions.headline,
        definitions.better,
        definitions.trigger,
        definitions.threshold,
        definitions.target_change_pct,
        definitions.target_months,
        definitions.goal,
        before.value as prior_value,
        baseline.value as baseline_value,
        least(
            {{ dbt.datediff('baseline.month', 'figures.month', 'month') }}, definitions.target_months
        ) as months_into_target
    from figures
    cross join newest
    inner join definitions on figures.kpi = definitions.kpi
    left join figures as before
        on figures.kpi = before.kpi
        and figures.scope = before.scope
        and coalesce(figures.scope_value, '') = coalesce(before.scope_value, '')
        and before.month = {{ dbt.dateadd('month', '-definitions.compare_months', 'figures.month') }}
    left join figures as baseline
        on figures.kpi = baseline.kpi
        and figures.scope = baseline.scope
        and coalesce(figures.scope_value, '') = coalesce(baseline.scope_value, '')
        and baseline.month
        = coalesce(definitions.baseline_month, {{ dbt.dateadd('month', '-definitions.target_months', 'newest.month') }})
        and baseline.month <= figures.month
),

targeted as (
    select
        *,
        cast(
            round(cast(
                cast(baseline_value as double)
                * (1 + cast(target_change_pct as double) / 100 * months_into_target / target_months) as decimal(24, 8)
            ), 4) as decimal(18, 4)
        ) as target
    from compared
)

select
    cast(month as date) as month,
    cast(scope as string) as scope,
    cast(scope_value as string) as scope_value,
    cast(kpi as string) as kpi,
    cast(title as string) as title,
    cast(unit as string) as unit,
    cast(variant as string) as variant,
    cast(numerator as decimal(18, 4)) as numerator,
    cast(denominator as decimal(18, 4)) as denominator,
    cast(n as integer) as n,
    cast(value as decimal(18, 4)) as value,
    cast(prior_value as decimal(18, 4)) as prior_value,
    target,
    {{ ratio('value - baseline_value', 'target - baseline_value') }} as progress,
    cast(goal as decimal(18, 4)) as goal,
    cast(better as string) as better,
    cast(trigger as string) as trigger,
    cast(coalesce(
        case trigger
            when 'rise' then value - prior_value > threshold
            when 'fall' then prior_value - value > threshold
            when 'above' then value > threshold
            when 'below' then value < threshold
        end,
        false
    ) as boolean) as tripped,
    cast(headline as integer) as headline
from targeted
