{#- What no document has a part in stays out: such key figures are told of customers alone. -#}
{%- set measures = kpi_document_parts().values() | sum(start=[]) -%}
with documents as (
    select * from {{ ref('int_documents') }}
),

months as (
    select * from {{ ref('int_kpi_months') }}
),

snapshot as (
    select * from {{ ref('int_items_snapshot') }}
    where not is_as_of
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
    where not is_as_of
),

billed_daily as (
    select * from {{ ref('int_billed_daily') }}
),

cash_applied as (
    select * from {{ ref('int_cash_applied') }}
    where stands_at_month_end
),

disputed_items as (
    select * from {{ ref('int_disputed_items') }}
),

disputes as (
    select * from {{ ref('int_dispute_clock') }}
),

in_error as (
    select distinct invoice_id from {{ ref('int_invoice_errors') }}
),

-- Cash and refunds that are nobody's yet have no product line.
standing as (
    select
        months.month,
        snapshot.customer_id,
        documents.product_line,
        sum(snapshot.open_amount_reporting) as receivables,
        {%- for column in ['current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date'] %}
        sum(case when snapshot.aging_column = '{{ column }}' then snapshot.open_amount_reporting else 0 end) as {{ column }},
        {%- endfor %}
        sum(case when snapshot.aging_column = 'credits' then -snapshot.open_amount_reporting else 0 end) as credits,
        sum(case when late.is_late then snapshot.open_amount_reporting else 0 end) as past_due_weighed,
        sum(case when late.is_late then cast(snapshot.open_amount_reporting as decimal(24, 4)) * snapshot.days_past_due else 0 end) as past_due_x_days
    from snapshot
    inner join months on snapshot.snapshot_date = months.snapshot_date
    left join documents on snapshot.invoice_id = documents.invoice_id
    left join (
        select
            snapshot_date,
            company_id,
            customer_id,
            currency,
            true as is_late
        from customer_balances
        where not is_trifle
    ) as late
        on snapshot.days_past_due > 0
        and snapshot.open_amount > 0
        and snapshot.snapshot_date = late.snapshot_date
        and snapshot.company_id = late.company_id
        and snapshot.customer_id = late.customer_id
        and snapshot.currency = late.currency
    group by months.month, snapshot.customer_id, documents.product_line
),

-- Which days count towards which month is found once a day, not once a document.
billed_days as (
    select
        days.moved_on,
        months.month
    from (select distinct moved_on from billed_daily) as days
    inner join months
        on days.moved_on <= months.snapshot_date
        and days.moved_on > months.before_window
),

billed as (
    select
        billed_days.month,
        billed_daily.customer_id,
        billed_daily.product_line,
        sum(billed_daily.billed) as billed_window
    from billed_daily
    inner join billed_days on billed_daily.moved_on = billed_days.moved_on
    group by billed_days.month, billed_daily.customer_id, billed_daily.product_line
),

collected as (
    select
        months.month,
        cash_applied.customer_id,
        documents.product_line,
        sum(case when cash_applied.days_late is not null then cash_applied.amount_reporting else 0 end) as paid_with_due_date,
        sum(case when cash_applied.days_late <= 0 then cash_applied.amount_reporting else 0 end) as paid_on_time,
        sum(cash_applied.amount_reporting * greatest(coalesce(cash_applied.days_late, 0), 0)) as paid_x_days_late,
        sum(case when cash_applied.is_late then cash_applied.amount_reporting else 0 end) as paid_past_due
    from cash_applied
    inner join months on cash_applied.month_end = months.snapshot_date
    left join documents on cash_applied.invoice_id = documents.invoice_id
    group by months.month, cash_applied.customer_id, documents.product_line
),

disputed as (
    select
        months.month,
        disputed_items.customer_id,
        documents.product_line,
        sum(
            {{ share_of(
                'disputed_items.open_amount_reporting',
                'disputed_items.disputed_amount',
                'disputed_items.invoice_open_amount',
                reporting_digits()
            ) }}
        ) as disputed
    from disputed_items
    inner join months on disputed_items.snapshot_date = months.snapshot_date
    left join documents on disputed_items.invoice_id = documents.invoice_id
    group by months.month, disputed_items.customer_id, documents.product_line
),

disputes_ended as (
    select
        months.month,
        disputes.customer_id,
        disputes.product_line,
        count(*) as disputes_resolved,
        sum({{ dbt.datediff('disputes.opened_on', 'disputes.resolved_on', 'day') }}) as dispute_days
    from disputes
    inner join months on {{ dbt.date_trunc('month', 'disputes.resolved_on') }} = months.month
    group by months.month, disputes.customer_id, disputes.product_line
),

disputes_overdue as (
    select
        months.month,
        disputes.customer_id,
        disputes.product_line,
        count(*) as overdue_disputes
    from disputes
    inner join months
        on disputes.resolve_by < months.snapshot_date
        and (disputes.resolved_on is null or disputes.resolved_on > months.snapshot_date)
    group by months.month, disputes.customer_id, disputes.product_line
),

issued as (
    select
        months.month,
        documents.customer_id,
        documents.product_line,
        count(*) as invoices_issued,
        count(in_error.invoice_id) as invoices_in_error
    from documents
    inner join months on {{ dbt.date_trunc('month', 'documents.document_date') }} = months.month
    left join in_error on documents.invoice_id = in_error.invoice_id
    where documents.document_type = 'invoice' and documents.voided_on is null
    group by months.month, documents.customer_id, documents.product_line
),

parts as (
    {%- for part, known in kpi_document_parts().items() %}
    select
        month,
        customer_id,
        coalesce(product_line, 'unknown') as product_line
        {%- for measure in measures %},
        cast({{ measure if measure in known else 'null' }} as decimal({{ 24 if '_x_days' in measure else 18 }}, 4)) as {{ measure }}
        {%- endfor %}
    from {{ part }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    month,
    product_line,
    count(distinct customer_id) as n
    {%- for measure in measures %},
    cast(coalesce(sum({{ measure }}), 0) as decimal({{ 24 if '_x_days' in measure else 18 }}, 4)) as {{ measure }}
    {%- endfor %}
from parts
group by month, product_line
