with scoped as (
    select * from {{ ref('int_kpi_by_scope') }}
),

countback as (
    select * from {{ ref('int_dso_countback') }}
),

ratios as (
    {%- for kpi, figure in kpi_catalogue().items() if figure.numerator %}
    select
        month,
        scope,
        scope_value,
        n,
        {{ policy_name('kpi_definitions', kpi) }} as kpi,
        {{ figure.variant }} as variant,
        cast({{ figure.variant_above or 'null' }} as string) as variant_above,
        cast({{ figure.numerator }} as decimal(24, 4)) as numerator,
        cast({{ figure.denominator or 'null' }} as decimal(24, 4)) as denominator,
        cast({{ figure.factor or '1' }} as double) as factor
    from scoped
    {%- if not figure.of_documents %}
    where scope <> 'product_line'
    {%- endif %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

divided as (
    select
        month,
        scope,
        scope_value,
        n,
        kpi,
        case
            when variant = 'before_policy' then variant
            when denominator <= 0 then concat_ws('', variant, '_nothing_to_weigh')
            when variant_above is not null and numerator > denominator then variant_above
            else variant
        end as variant,
        numerator,
        denominator,
        case
            when denominator <= 0 or (variant_above is not null and numerator > denominator) then null
            when kpi = 'carrying_cost' then {{ rounded('cast(cast(numerator as double) * factor as decimal(24, 6))', 'reporting.digits') }}
            else {{ rounded_once('cast(numerator as double) * factor / coalesce(cast(denominator as double), 1)') }}
        end as value
    from ratios
    cross join {{ reporting_digits() }} as reporting
),

differences as (
    {%- for kpi, figure in kpi_catalogue().items() if figure.difference_of %}
    select
        minuend.month,
        minuend.scope,
        minuend.scope_value,
        {{ policy_name('kpi_definitions', kpi) }} as kpi,
        minuend.variant,
        minuend.numerator - subtrahend.numerator as numerator,
        minuend.denominator,
        minuend.n,
        minuend.value - subtrahend.value as value
    from divided as minuend
    inner join divided as subtrahend
        on minuend.month = subtrahend.month
        and minuend.scope = subtrahend.scope
        and coalesce(minuend.scope_value, '') = coalesce(subtrahend.scope_value, '')
    where minuend.kpi = '{{ figure.difference_of[0] }}' and subtrahend.kpi = '{{ figure.difference_of[1] }}'
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

counted_back as (
    select
        scoped.month,
        scoped.scope,
        scoped.scope_value,
        {{ policy_name('kpi_definitions', 'dso_countback') }} as kpi,
        case
            when countback.days is null then 'whole_months_nothing_to_weigh'
            when countback.is_capped then 'whole_months_capped'
            else 'whole_months'
        end as variant,
        scoped.receivables as numerator,
        countback.billed_counted as denominator,
        scoped.n,
        countback.days as value
    from scoped
    left join countback
        on scoped.month = countback.month
        and scoped.scope = countback.scope
        and coalesce(scoped.scope_value, '') = coalesce(countback.scope_value, '')
    where scoped.scope <> 'product_line'
)

{%- for figures in ['divided', 'differences', 'counted_back'] %}

select
    month,
    scope,
    scope_value,
    kpi,
    variant,
    cast(numerator as decimal(24, 4)) as numerator,
    cast(denominator as decimal(24, 4)) as denominator,
    cast(n as integer) as n,
    value
from {{ figures }}
{%- if not loop.last %}

union all
{%- endif %}
{%- endfor %}
