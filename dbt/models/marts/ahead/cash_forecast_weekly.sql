{%- set measures = ['open_items', 'promised', 'overdue_part', 'not_billed', 'naive', 'variance'] -%}
with weeks as (
    select * from {{ ref('int_cash_weeks') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

scoped as (
    select
        'currency' as scope,
        company_id,
        currency,
        week
        {%- for measure in measures %},
        {{ measure }}
        {%- endfor %}
    from weeks
    union all
    select
        'company' as scope,
        company_id,
        reporting_currency as currency,
        week
        {%- for measure in measures %},
        sum({{ measure }}_reporting) as {{ measure }}
        {%- endfor %}
    from weeks
    group by company_id, reporting_currency, week
    union all
    select
        'total' as scope,
        cast(null as string) as company_id,
        reporting_currency as currency,
        week
        {%- for measure in measures %},
        sum({{ measure }}_reporting) as {{ measure }}
        {%- endfor %}
    from weeks
    group by reporting_currency, week
),

-- Beside chance, which items have each for itself, what all of them have in common.
spread as (
    select
        scoped.*,
        currencies.digits,
        cast(open_items + promised + not_billed as double) as mean,
        cast(variance as double)
        + power({{ policy_value('forecast_policy', 'common_error_share', 'double') }} * cast(open_items + promised + not_billed as double), 2) as whole_variance
    from scoped
    left join currencies on scoped.currency = currencies.currency
)

select
    {{ as_of() }} as as_of,
    cast(scope as string) as scope,
    {{ days_after(as_of(), '7 * week - 6') }} as week_start,
    cast(week as integer) as week,
    cast(company_id as string) as company_id,
    cast(currency as string) as currency,
    {{ rounded('open_items', 'digits') }} as open_items,
    {{ rounded('not_billed', 'digits') }} as not_billed,
    {{ rounded('promised', 'digits') }} as promised,
    cast(
        {{ rounded('open_items', 'digits') }} + {{ rounded('not_billed', 'digits') }} + {{ rounded('promised', 'digits') }} as decimal(18, 4)
    ) as expected,
    {%- for name, z in [('p20', '-0.8416212'), ('p50', '0'), ('p80', '0.8416212')] %}
    {{ rounded('cast(' ~ quantile_of_sum('mean', 'whole_variance', z) ~ ' as decimal(28, 10))', 'digits') }} as {{ name }},
    {%- endfor %}
    {{ rounded('overdue_part', 'digits') }} as overdue_part,
    {{ rounded('naive', 'digits') }} as naive
from spread
