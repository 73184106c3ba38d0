{%- set windows = [3, 6, 12, 24] -%}
{%- set measures = ['paid', 'paid_with_days', 'paid_x_days_to_pay', 'paid_with_due_date', 'paid_x_days_late', 'paid_on_time',
                    'max_days_late', 'paid_invoices'] -%}
with paid_months as (
    select * from {{ ref('int_paid_months') }}
),

passing_cash as (
    select * from {{ ref('int_passing_cash') }}
),

payment_months as (
    select * from {{ ref('int_payment_months') }}
),

customer_snapshots as (
    select * from {{ ref('int_customer_snapshots') }}
),

paid as (
    select
        customer_id,
        month_index,
        cast(null as date) as seen_on,
        {{ measures | join(', ') }}
    from paid_months
    union all
    select
        customer_id,
        month_index,
        snapshot_date as seen_on,
        {{ measures | join(', ') }}
    from passing_cash
),

-- Months against dates, not sums over moving ranges: engines guess how many rows those are, and prepare for all of them.
sums as (
    select
        customer_snapshots.customer_id,
        customer_snapshots.snapshot_date,
        {%- for n in windows %}
        {%- set within = 'case when paid.month_index >= customer_snapshots.month_index - ' ~ n ~ ' then paid.' %}
        sum({{ within }}paid_with_due_date end) as weighed_{{ n }}m,
        sum({{ within }}paid_x_days_late end) as weighed_x_days_{{ n }}m,
        {%- endfor %}
        {%- set within = 'case when paid.month_index >= customer_snapshots.month_index - 12 then paid.' %}
        sum({{ within }}paid_on_time end) as on_time_12m,
        sum(paid.paid_on_time) as on_time_24m,
        sum({{ within }}paid end) as paid_12m,
        sum({{ within }}paid_with_days end) as paid_with_days_12m,
        sum({{ within }}paid_x_days_to_pay end) as paid_x_days_to_pay_12m,
        max({{ within }}max_days_late end) as max_days_late_12m,
        sum(paid.paid_invoices) as paid_invoices_24m
    from customer_snapshots
    inner join paid
        on customer_snapshots.customer_id = paid.customer_id
        and paid.month_index between customer_snapshots.month_index - 24 and customer_snapshots.month_index
        and (paid.seen_on is null or paid.seen_on = customer_snapshots.snapshot_date)
    group by customer_snapshots.customer_id, customer_snapshots.snapshot_date
),

figures as (
    select
        customer_snapshots.customer_id,
        customer_snapshots.snapshot_date,
        customer_snapshots.is_as_of,
        customer_snapshots.customer_since,
        customer_snapshots.first_document_on,
        customer_snapshots.last_complete_month_index,
        {%- for measure in ['weighed_6m', 'weighed_24m', 'weighed_x_days_6m', 'weighed_x_days_24m', 'on_time_24m', 'paid_invoices_24m'] %}
        coalesce(sums.{{ measure }}, 0) as {{ measure }},
        {%- endfor %}
        {%- for measure in ['weighed_3m', 'weighed_12m', 'weighed_x_days_3m', 'weighed_x_days_12m', 'on_time_12m', 'paid_12m',
                            'paid_with_days_12m', 'paid_x_days_to_pay_12m'] %}
        case when customer_snapshots.is_as_of then coalesce(sums.{{ measure }}, 0) end as {{ measure }},
        {%- endfor %}
        sums.max_days_late_12m,
        coalesce(payment_months.past_due_amount, 0) as past_due_amount,
        coalesce(payment_months.past_due_x_days, 0) as past_due_x_days
    from customer_snapshots
    left join sums
        on customer_snapshots.customer_id = sums.customer_id
        and customer_snapshots.snapshot_date = sums.snapshot_date
    left join payment_months
        on customer_snapshots.customer_id = payment_months.customer_id
        and customer_snapshots.snapshot_date = payment_months.month_end
)

select
    customer_id,
    snapshot_date,
    is_as_of,
    customer_since,
    first_document_on,
    last_complete_month_index,
    {%- for n in windows %}
    {{ ratio('weighed_x_days_' ~ n ~ 'm + past_due_x_days', 'weighed_' ~ n ~ 'm + past_due_amount') }} as dbt_days_{{ n }}m,
    {%- endfor %}
    {{ ratio('on_time_12m', 'weighed_12m') }} as on_time_share_12m,
    {{ ratio('on_time_24m', 'weighed_24m') }} as on_time_share_24m,
    {{ ratio('weighed_12m - on_time_12m + past_due_amount', 'weighed_12m + past_due_amount') }} as late_share_12m,
    {{ ratio('paid_x_days_to_pay_12m', 'paid_with_days_12m') }} as days_to_pay_12m,
    cast(paid_12m as decimal(18, 4)) as paid_amount_12m,
    cast(max_days_late_12m as integer) as max_days_late_12m,
    cast(paid_invoices_24m as integer) as paid_invoices_24m,
    cast(past_due_amount as decimal(18, 4)) as past_due_amount
from figures
