{{ config(meta={'description': 'In every scope the groups add up to the total, above and below the line, and the shares of the buckets less unapplied credits are the whole balance, as the bands of concentration are all that was billed.'}) }}

with figures as (
    select * from {{ ref('kpi_monthly') }}
),

totals as (
    select
        month,
        kpi,
        numerator,
        denominator
    from figures
    where scope = 'total'
),

groups as (
    select
        month,
        kpi,
        scope,
        count(*) as n,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from figures
    where scope <> 'total' and kpi <> 'dso_countback'
    group by month, kpi, scope
),

balances as (
    select
        month,
        scope,
        scope_value,
        max(denominator) as receivables,
        sum(case when kpi = 'unapplied_share' then -numerator else numerator end) as parts
    from figures
    where kpi like 'aging_share_%' or kpi = 'unapplied_share'
    group by month, scope, scope_value
),

bands as (
    select
        month,
        scope,
        scope_value,
        max(denominator) as billed,
        sum(numerator) as parts
    from figures
    where kpi like 'concentration_%'
    group by month, scope, scope_value
)

select
    groups.month,
    groups.scope,
    groups.kpi,
    groups.numerator as found,
    totals.numerator as expected
from groups
inner join totals on groups.month = totals.month and groups.kpi = totals.kpi
where
    -- Half of an amount of four digits has five: each group's is rounded by itself.
    abs(groups.numerator - totals.numerator) > case when groups.kpi = 'carrying_cost' then 0.0001 * groups.n else 0 end
    or coalesce(groups.denominator, 0) <> coalesce(totals.denominator, 0)
union all
select
    month,
    scope,
    scope_value as kpi,
    parts as found,
    receivables as expected
from balances
where parts <> receivables
union all
select
    month,
    scope,
    scope_value as kpi,
    parts as found,
    billed as expected
from bands
where parts <> billed
