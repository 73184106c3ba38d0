with receivables as (
    select * from {{ ref('int_kpi_by_scope') }}
),

billed as (
    select * from {{ ref('int_billed_by_scope') }}
),

-- A month in which credit memos outweigh the invoices takes nothing off the balance, but its days have passed.
running as (
    select
        receivables.month,
        receivables.scope,
        receivables.scope_value,
        receivables.receivables,
        billed.days_in_month,
        greatest(billed.billed, 0) as billed,
        sum(greatest(billed.billed, 0)) over (
            partition by receivables.month, receivables.scope, receivables.scope_value
            order by billed.months_ago
            rows between unbounded preceding and current row
        ) as billed_so_far
    from receivables
    inner join billed
        on receivables.month = billed.month
        and receivables.scope = billed.scope
        and coalesce(receivables.scope_value, '') = coalesce(billed.scope_value, '')
),

counted as (
    select
        *,
        case
            when billed_so_far - billed >= receivables then 0
            when billed_so_far <= receivables then days_in_month
            else cast(
                cast(receivables - (billed_so_far - billed) as double) / cast(billed as double) * days_in_month as decimal(18, 8)
            )
        end as days
    from running
)

select
    month,
    scope,
    scope_value,
    cast(sum(days) as decimal(18, 4)) as days,
    cast(sum(least(billed, greatest(receivables - (billed_so_far - billed), 0))) as decimal(24, 4)) as billed_counted,
    max(billed_so_far) < max(receivables) as is_capped
from counted
group by month, scope, scope_value
