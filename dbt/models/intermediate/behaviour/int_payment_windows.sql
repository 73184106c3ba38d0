{%- set windows = [3, 6, 12, 24] -%}
{%- set cash_measures = ['paid_with_due_date', 'paid_x_days_late', 'paid_on_time', 'max_days_late', 'paid_invoices'] -%}
with cash as (
    select * from {{ ref('int_cash_applied') }}
),

months as (
    select * from {{ ref('int_payment_months') }}
),

customer_snapshots as (
    select * from {{ ref('int_customer_snapshots') }}
),

-- Money that has stood since it came is summed by month once; the windows then run over months.
lasting as (
    select
        customer_id,
        month_index,
        amount_reporting as paid,
        case when days_to_pay is not null then amount_reporting end as paid_with_days,
        amount_reporting * days_to_pay as paid_x_days_to_pay,
        case when days_late is not null then amount_reporting end as paid_with_due_date,
        amount_reporting * greatest(days_late, 0) as paid_x_days_late,
        case when days_late <= 0 then amount_reporting end as paid_on_time,
        days_late
    from cash
    where is_lasting
),

-- An invoice counts once, in the month of its first cash that lasted, however many parts it was paid in.
paid_invoices as (
    select
        invoice_id,
        customer_id,
        min(month_index) as month_index,
        min(effective_on) as paid_on
    from cash
    where is_lasting
    group by invoice_id, customer_id
),

counted_invoices as (
    select
        customer_id,
        month_index,
        count(*) as paid_invoices
    from paid_invoices
    group by customer_id, month_index
),

summed as (
    select
        customer_id,
        month_index,
        cast(sum(paid) as decimal(18, 4)) as paid,
        cast(sum(paid_with_days) as decimal(18, 4)) as paid_with_days,
        cast(sum(paid_x_days_to_pay) as decimal(24, 4)) as paid_x_days_to_pay,
        cast(sum(paid_with_due_date) as decimal(18, 4)) as paid_with_due_date,
        cast(sum(paid_x_days_late) as decimal(24, 4)) as paid_x_days_late,
        cast(sum(paid_on_time) as decimal(18, 4)) as paid_on_time,
        max(days_late) as max_days_late
    from lasting
    group by customer_id, month_index
),

cells as (
    select
        summed.*,
        counted_invoices.paid_invoices
    from summed
    left join counted_invoices
        on summed.customer_id = counted_invoices.customer_id
        and summed.month_index = counted_invoices.month_index
),

-- Months of a customer in one row each, whether there was cash, a snapshot date or both: a month has one snapshot date at most.
customer_months as (
    select
        customer_snapshots.customer_id,
        customer_snapshots.month_index,
        customer_snapshots.snapshot_date,
        customer_snapshots.is_as_of,
        customer_snapshots.customer_since,
        customer_snapshots.first_document_on,
        customer_snapshots.last_complete_month_index,
        coalesce(months.past_due_amount, 0) as past_due_amount,
        coalesce(months.past_due_x_days, 0) as past_due_x_days
        {%- for measure in cash_measures %},
        cells.{{ measure }}
        {%- endfor %}
    from customer_snapshots
    left join cells
        on customer_snapshots.customer_id = cells.customer_id
        and customer_snapshots.month_index = cells.month_index
    left join months
        on customer_snapshots.customer_id = months.customer_id
        and customer_snapshots.snapshot_date = months.month_end
    union all
    select
        cells.customer_id,
        cells.month_index,
        cast(null as date) as snapshot_date,
        null as is_as_of,
        null as customer_since,
        null as first_document_on,
        null as last_complete_month_index,
        null as past_due_amount,
        null as past_due_x_days
        {%- for measure in cash_measures %},
        cells.{{ measure }}
        {%- endfor %}
    from cells
    left join customer_snapshots
        on cells.customer_id = customer_snapshots.customer_id
        and cells.month_index = customer_snapshots.month_index
    where customer_snapshots.customer_id is null
),

lasting_windows as (
    select
        customer_id,
        snapshot_date,
        is_as_of,
        customer_since,
        first_document_on,
        last_complete_month_index,
        past_due_amount,
        past_due_x_days,
        {%- for n in [6, 24] %}
        sum(paid_with_due_date) over last_{{ n }} as weighed_{{ n }}m,
        sum(paid_x_days_late) over last_{{ n }} as weighed_x_days_{{ n }}m,
        {%- endfor %}
        sum(paid_on_time) over last_24 as on_time_24m,
        max(max_days_late) over last_12 as max_days_late_12m,
        sum(paid_invoices) over last_24 as paid_invoices_24m
    from customer_months
    window
        {%- for n in [6, 12, 24] %}
        last_{{ n }} as (
            partition by customer_id
            order by month_index
            range between {{ n }} preceding and current row
        ){{ ',' if not loop.last }}
        {%- endfor %}
),

-- What only the morning itself is asked for needs no window over all months.
lasting_now as (
    select
        cells.customer_id,
        customer_snapshots.snapshot_date,
        sum(case when cells.month_index >= customer_snapshots.month_index - 3 then cells.paid_with_due_date end) as weighed_3m,
        sum(case when cells.month_index >= customer_snapshots.month_index - 3 then cells.paid_x_days_late end) as weighed_x_days_3m,
        sum(cells.paid_with_due_date) as weighed_12m,
        sum(cells.paid_x_days_late) as weighed_x_days_12m,
        sum(cells.paid_on_time) as on_time_12m,
        sum(cells.paid) as paid_12m,
        sum(cells.paid_with_days) as paid_with_days_12m,
        sum(cells.paid_x_days_to_pay) as paid_x_days_to_pay_12m
    from cells
    inner join customer_snapshots
        on cells.customer_id = customer_snapshots.customer_id
        and cells.month_index between customer_snapshots.month_index - 12 and customer_snapshots.month_index
    where customer_snapshots.is_as_of
    group by cells.customer_id, customer_snapshots.snapshot_date
),

-- Money that was taken back, or moved between instalments, counts at the snapshot dates on which it lay there: few rows, each by itself.
passing as (
    select
        customer_snapshots.customer_id,
        customer_snapshots.snapshot_date,
        {%- for n in windows %}
        {%- set within = 'cash.month_index >= customer_snapshots.month_index - ' ~ n %}
        sum(case when {{ within }} and cash.days_late is not null then cash.amount_reporting end) as weighed_{{ n }}m,
        sum(case when {{ within }} then cash.amount_reporting * greatest(cash.days_late, 0) end) as weighed_x_days_{{ n }}m,
        {%- endfor %}
        {%- set within = 'cash.month_index >= customer_snapshots.month_index - 12' %}
        sum(case when {{ within }} and cash.days_late <= 0 then cash.amount_reporting end) as on_time_12m,
        sum(case when cash.days_late <= 0 then cash.amount_reporting end) as on_time_24m,
        sum(case when {{ within }} then cash.amount_reporting end) as paid_12m,
        sum(case when {{ within }} and cash.days_to_pay is not null then cash.amount_reporting end) as paid_with_days_12m,
        sum(case when {{ within }} then cash.amount_reporting * cash.days_to_pay end) as paid_x_days_to_pay_12m,
        max(case when {{ within }} then cash.days_late end) as max_days_late_12m,
        count(
            distinct case
                when paid_invoices.paid_on is null or paid_invoices.paid_on > customer_snapshots.snapshot_date then cash.invoice_id
            end
        ) as paid_invoices_24m
    from cash
    inner join customer_snapshots
        on cash.customer_id = customer_snapshots.customer_id
        and cash.effective_on <= customer_snapshots.snapshot_date
        and (cash.ended_on is null or cash.ended_on > customer_snapshots.snapshot_date)
        and cash.month_index >= customer_snapshots.month_index - 24
    left join paid_invoices on cash.invoice_id = paid_invoices.invoice_id
    where not cash.is_lasting
    group by customer_snapshots.customer_id, customer_snapshots.snapshot_date
),

sums as (
    select
        lasting_windows.customer_id,
        lasting_windows.snapshot_date,
        lasting_windows.is_as_of,
        lasting_windows.customer_since,
        lasting_windows.first_document_on,
        lasting_windows.last_complete_month_index,
        {%- for measure in ['weighed_6m', 'weighed_24m', 'weighed_x_days_6m', 'weighed_x_days_24m', 'on_time_24m', 'paid_invoices_24m'] %}
        coalesce(lasting_windows.{{ measure }}, 0) + coalesce(passing.{{ measure }}, 0) as {{ measure }},
        {%- endfor %}
        {%- for measure in ['weighed_3m', 'weighed_12m', 'weighed_x_days_3m', 'weighed_x_days_12m', 'on_time_12m', 'paid_12m',
                            'paid_with_days_12m', 'paid_x_days_to_pay_12m'] %}
        case when lasting_windows.is_as_of then coalesce(lasting_now.{{ measure }}, 0) + coalesce(passing.{{ measure }}, 0) end as {{ measure }},
        {%- endfor %}
        greatest(
            coalesce(lasting_windows.max_days_late_12m, passing.max_days_late_12m),
            coalesce(passing.max_days_late_12m, lasting_windows.max_days_late_12m)
        ) as max_days_late_12m,
        lasting_windows.past_due_amount,
        lasting_windows.past_due_x_days
    from lasting_windows
    left join lasting_now
        on lasting_windows.customer_id = lasting_now.customer_id
        and lasting_windows.snapshot_date = lasting_now.snapshot_date
    left join passing
        on lasting_windows.customer_id = passing.customer_id
        and lasting_windows.snapshot_date = passing.snapshot_date
    where lasting_windows.snapshot_date is not null
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
from sums
