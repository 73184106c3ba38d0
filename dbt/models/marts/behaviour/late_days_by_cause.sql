with late_days as (
    select * from {{ ref('int_late_days') }}
),

causes as (
    select * from {{ policy_rows('late_day_causes') }} as late_day_causes
),

put as (
    {%- for cause, days in [
        ('invoiced_late', 'days_invoiced_late'),
        ('invoice_corrected', 'days_corrected'),
        ('dispute_open', 'days_disputed'),
        ('cash_unapplied', 'days_unapplied'),
        ('customer', 'days_of_the_customer'),
    ] %}
    select
        item_id,
        '{{ cause }}' as cause,
        {{ days }} as days
    from late_days
    where {{ days }} > 0
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    cast(late_days.invoice_id as string) as invoice_id,
    cast(late_days.item_id as string) as item_id,
    cast(late_days.company_id as string) as company_id,
    cast(late_days.customer_id as string) as customer_id,
    cast({{ dbt.date_trunc('month', 'late_days.settled_on') }} as date) as month,
    cast(late_days.due_date as date) as due_date,
    cast(late_days.settled_on as date) as settled_on,
    cast(put.cause as string) as cause,
    cast(causes.title as string) as title,
    cast(causes.owner as string) as owner,
    cast(put.days as integer) as days,
    cast(late_days.days_late as integer) as days_late,
    cast(late_days.reporting_currency as string) as reporting_currency,
    cast(late_days.late_amount_reporting as decimal(18, 4)) as amount
from put
inner join late_days on put.item_id = late_days.item_id
left join causes on put.cause = causes.cause
