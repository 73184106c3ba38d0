with disputes as (
    select * from {{ ref('int_dispute_clock') }}
    where opened_on > {{ dbt.dateadd('month', -12, as_of()) }}
)

select
    cast(lower(reason) as string) as reason,
    cast(coalesce(product_line, 'unknown') as string) as product_line,
    cast(coalesce(sales_rep, 'unknown') as string) as sales_rep,
    cast(reporting_currency as string) as reporting_currency,
    cast(count(*) as integer) as disputes,
    cast(count(distinct customer_id) as integer) as customers,
    cast(sum(amount_reporting) as decimal(18, 4)) as disputed_amount,
    cast(sum(given_reporting) as decimal(18, 4)) as given_amount,
    cast(sum({{ dbt.datediff('opened_on', 'coalesce(resolved_on, ' ~ as_of() ~ ')', 'day') }}) as integer) as days_in_dispute,
    cast(count(*) - count(resolved_on) as integer) as still_open,
    cast(sum(case when coalesce(resolved_on, {{ as_of() }}) > resolve_by then 1 else 0 end) as integer) as past_their_day
from disputes
group by lower(reason), coalesce(product_line, 'unknown'), coalesce(sales_rep, 'unknown'), reporting_currency
