{#- An amount times days needs more digits than an amount, and more room: it has a column of its own. -#}
{%- set parts = {} -%}
{%- for part, known in kpi_parts().items() -%}
    {%- set amounts, weighed = [], [] -%}
    {%- for measure in known -%}
        {%- set _ = (weighed if '_x_days' in measure else amounts).append(measure) -%}
    {%- endfor -%}
    {%- set _ = parts.update({part: {'amounts': amounts, 'weighed': weighed | first}}) -%}
{%- endfor -%}
{%- set _ = parts.update({'counted': {'amounts': ['customers', 'company_customers']}}) -%}
{%- set widest = parts.values() | map(attribute='amounts') | map('length') | max -%}
with months as (
    select * from {{ ref('int_kpi_months') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),
{% for part in kpi_parts() %}
{{ part }} as (
    select * from {{ ref('int_kpi_' ~ part) }}
),
{% endfor %}
accounts as (
    {%- for part in kpi_parts() %}
    select month, company_id, customer_id from {{ part }}
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
),

-- A customer of several companies is one customer of every scope but theirs: it counts with the first of them.
shared as (
    select
        month,
        customer_id,
        min(company_id) as first_company_id
    from accounts
    group by month, customer_id
    having count(*) > 1
),

counted as (
    select
        accounts.month,
        accounts.company_id,
        accounts.customer_id,
        case when shared.customer_id is null or accounts.company_id = shared.first_company_id then 1 else 0 end as customers,
        1 as company_customers
    from accounts
    left join shared
        on accounts.month = shared.month
        and accounts.customer_id = shared.customer_id
),

-- Each part has one row a customer and month and knows its own measures. They are laid one below the other in the same few columns and
-- summed by part: laid side by side, millions of rows would be carried through a join for every part, or be mostly empty.
customer_months as (
    {%- for part, known in parts.items() %}
    select
        month,
        company_id,
        customer_id,
        {{ loop.index }} as part,
        {%- for place in range(widest) %}
        cast({{ known.amounts[place] if place < known.amounts | length else 'null' }} as decimal(18, 4)) as measure_{{ place }},
        {%- endfor %}
        cast({{ known.weighed or 'null' }} as decimal(24, 4)) as amount_x_days
    from {{ part }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

{% set traits = ['region', 'industry', 'collector', 'sales_rep'] -%}
-- Customers alike in what the source keeps no history of are one kind: a number is summed by sooner than four texts.
traits_of as (
    select
        customer_id,
        {%- for trait in traits %}
        coalesce({{ trait }}, 'unknown') as {{ trait }},
        {%- endfor %}
        dense_rank() over (
            order by {% for trait in traits %}coalesce({{ trait }}, 'unknown'){{ ', ' if not loop.last }}{% endfor %}
        ) as kind
    from customers
),

kinds as (
    select distinct
        kind,
        {%- for trait in traits %}
        {{ trait }}{{ ',' if not loop.last }}
        {%- endfor %}
    from traits_of
),

-- The tier is that of the month's end.
summed as (
    select
        customer_months.part,
        customer_months.month,
        customer_months.company_id,
        tier_history.tier_indicated as tier,
        traits_of.kind,
        {%- for place in range(widest) %}
        sum(customer_months.measure_{{ place }}) as measure_{{ place }},
        {%- endfor %}
        sum(customer_months.amount_x_days) as amount_x_days
    from customer_months
    inner join months on customer_months.month = months.month
    left join traits_of on customer_months.customer_id = traits_of.customer_id
    left join tier_history
        on customer_months.customer_id = tier_history.customer_id
        and months.snapshot_date = tier_history.snapshot_date
    group by 1, 2, 3, 4, 5
),

laid_out as (
    select
        month,
        company_id,
        tier,
        kind
        {%- for part, known in parts.items() %}
        {%- set part_number = loop.index %}
        {%- for measure in known.amounts %},
        sum(case when part = {{ part_number }} then measure_{{ loop.index0 }} end) as {{ measure }}
        {%- endfor %}
        {%- if known.weighed %},
        sum(case when part = {{ part_number }} then amount_x_days end) as {{ known.weighed }}
        {%- endif %}
        {%- endfor %}
    from summed
    group by 1, 2, 3, 4
)

select
    laid_out.month,
    laid_out.company_id,
    coalesce(laid_out.tier, 'unknown') as tier
    {%- for trait in traits %},
    coalesce(kinds.{{ trait }}, 'unknown') as {{ trait }}
    {%- endfor %}
    {%- for measure in kpi_measures() %},
    cast(coalesce(laid_out.{{ measure }}, 0) as decimal({{ 24 if '_x_days' in measure else 18 }}, 4)) as {{ measure }}
    {%- endfor %}
from laid_out
left join kinds on laid_out.kind = kinds.kind
