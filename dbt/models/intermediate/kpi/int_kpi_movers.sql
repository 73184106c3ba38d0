{#- Figure, and what of a customer makes it worse where it grows: a part of the figures and a sum in it. -#}
{%- set moved_by = [
    ('dso', 'standing', 'receivables'),
    ('aging_share_61_90', 'standing', 'd61_90'),
    ('aging_share_90_plus', 'standing', 'd90_plus'),
    ('cei', 'standing', 'receivables - current_amount'),
    ('write_off_rate', 'written_off', 'written_off_quarter'),
    ('days_to_invoice', 'invoiced', 'days_to_invoice'),
    ('invoice_error_rate', 'issued', 'invoices_in_error'),
    ('exception_rate', 'excepted', 'exceptions'),
    ('overdue_reviews', 'reviews_missed', 'overdue_reviews'),
    ('customer_retention', 'billed', 'customers_year_before - customers_kept'),
] -%}
with kpi_definitions as (
    select * from {{ policy_rows('kpi_definitions') }} as kpi_definitions
),

measures as (
    select * from {{ ref('int_kpi_measures') }}
),

newest as (
    select max(month) as month
    from measures
),

-- The newest month and those figures are compared with: what is older was in the alerts of its own time.
compared_months as (
    select month from newest
    union
    select cast({{ dbt.dateadd('month', '-kpi_definitions.compare_months', 'newest.month') }} as date) as month
    from newest
    cross join kpi_definitions
),

{{ kpi_parts(among='compared_months') }},

amounts as (
    {%- for kpi, part, amount in moved_by %}
    select
        '{{ kpi }}' as kpi,
        month,
        company_id,
        customer_id,
        {{ amount }} as amount
    from {{ part }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    amounts.kpi,
    amounts.month,
    amounts.company_id,
    amounts.customer_id,
    cast(amounts.amount as decimal(18, 4)) as amount
from amounts
inner join months on amounts.month = months.month
where amounts.amount <> 0
