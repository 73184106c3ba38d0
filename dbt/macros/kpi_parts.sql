{#-
    What the monthly key figures and who moved them are both made of, as CTEs: the days of each complete month, and one part for each kind of
    record, with a row a month, entity and customer. `among` names a CTE before these whose months alone are wanted.
-#}
{% macro kpi_parts(among=none) -%}
billed_window as (
    select {{ policy_value('kpi_policy', 'billed_window_days') }} as days
),

months as (
    select
        month,
        snapshot_date,
        {{ days_after('snapshot_date', '-billed_window.days') }} as before_window,
        cast({{ dbt.dateadd('month', -2, 'month') }} as date) as quarter_start,
        cast({{ dbt.dateadd('year', -1, 'snapshot_date') }} as date) as year_before,
        {{ days_after(dbt.dateadd('year', -1, 'snapshot_date'), '-billed_window.days') }} as before_year_before
    from {{ ref('int_snapshot_dates') }}
    cross join billed_window
    where
        not is_as_of
        {%- if among %}
        and month in (select month from {{ among }})
        {%- endif %}
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
    where not is_as_of
),

billed_daily as (
    select * from {{ ref('int_billed_daily') }}
),

movements as (
    select * from {{ ref('int_item_movements') }}
    where kind = 'write_off'
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

business_days as (
    select * from {{ ref('int_business_days') }}
),

invoice_errors as (
    select * from {{ ref('int_invoice_errors') }}
),

credit_exceptions as (
    select * from {{ ref('int_credit_exceptions') }}
    where is_counted
),

review_cycles as (
    select * from {{ ref('int_review_cycles') }}
),

adopted as (
    select * from {{ ref('policy_adopted') }}
),

review_plan as (
    select * from {{ ref('int_review_plan') }}
),

customer_snapshots as (
    select * from {{ ref('int_customer_snapshots') }}
    where not is_as_of
),

tier_terms as (
    select * from {{ policy_history('risk_tier_terms') }} as risk_tier_terms
),

standing as (
    select
        months.month,
        customer_balances.company_id,
        customer_balances.customer_id,
        sum(customer_balances.balance_reporting) as receivables,
        {%- for column in ['current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date', 'credits'] %}
        sum(customer_balances.{{ column }}_reporting) as {{ column }},
        {%- endfor %}
        sum(customer_balances.late_reporting) as past_due,
        sum(customer_balances.late_x_days_reporting) as past_due_x_days
    from customer_balances
    inner join months on customer_balances.snapshot_date = months.snapshot_date
    group by months.month, customer_balances.company_id, customer_balances.customer_id
),

-- Which days count towards which month is found once a day, not once a customer and day.
billed_days as (
    select
        days.moved_on,
        months.month,
        days.month = months.month as is_month,
        days.moved_on > months.before_window and days.moved_on <= months.snapshot_date as is_window,
        days.moved_on >= months.quarter_start and days.moved_on <= months.snapshot_date as is_quarter,
        days.moved_on > months.before_year_before and days.moved_on <= months.year_before as is_year_before
    from (select distinct moved_on, month from billed_daily) as days
    inner join months
        on (days.moved_on <= months.snapshot_date and days.moved_on > months.before_window)
        or (days.moved_on <= months.snapshot_date and days.moved_on >= months.quarter_start)
        or (days.moved_on <= months.year_before and days.moved_on > months.before_year_before)
),

billed_sums as (
    select
        billed_days.month,
        billed_daily.company_id,
        billed_daily.customer_id,
        sum(case when billed_days.is_month then billed_daily.billed else 0 end) as billed_month,
        sum(case when billed_days.is_window then billed_daily.billed else 0 end) as billed_window,
        sum(case when billed_days.is_quarter then billed_daily.billed else 0 end) as billed_quarter,
        sum(case when billed_days.is_year_before then billed_daily.billed else 0 end) as billed_year_before
    from billed_daily
    inner join billed_days on billed_daily.moved_on = billed_days.moved_on
    group by billed_days.month, billed_daily.company_id, billed_daily.customer_id
),

billed as (
    select
        month,
        company_id,
        customer_id,
        billed_month,
        billed_window,
        billed_quarter,
        billed_year_before,
        case when billed_year_before > 0 then 1 else 0 end as customers_year_before,
        case when billed_year_before > 0 and billed_window > 0 then 1 else 0 end as customers_kept
    from billed_sums
),

written_off as (
    select
        months.month,
        movements.company_id,
        movements.customer_id,
        -sum({{ converted('movements.amount', 'movements.currency', 'companies.reporting_currency', 'exchange_rates') }})
            as written_off_quarter
    from movements
    inner join months
        on movements.moved_on <= months.snapshot_date
        and movements.moved_on >= months.quarter_start
    left join companies on movements.company_id = companies.company_id
    left join exchange_rates
        on movements.currency = exchange_rates.from_currency
        and companies.reporting_currency = exchange_rates.to_currency
        and exchange_rates.valid_from <= movements.moved_on
        and (exchange_rates.valid_to is null or exchange_rates.valid_to > movements.moved_on)
    group by months.month, movements.company_id, movements.customer_id
),

invoiced as (
    select
        months.month,
        documents.company_id,
        documents.customer_id,
        count(*) as deliveries_invoiced,
        sum(greatest(sent_day.business_day_number - delivered_day.business_day_number, 0)) as days_to_invoice
    from documents
    inner join months on {{ dbt.date_trunc('month', 'documents.sent_on') }} = months.month
    inner join companies on documents.company_id = companies.company_id
    inner join business_days as sent_day
        on companies.calendar = sent_day.calendar
        and documents.sent_on = sent_day.date_day
    inner join business_days as delivered_day
        on companies.calendar = delivered_day.calendar
        and documents.delivered_on = delivered_day.date_day
    where documents.document_type = 'invoice' and documents.voided_on is null
    group by months.month, documents.company_id, documents.customer_id
),

issued as (
    select
        cast({{ dbt.date_trunc('month', 'documents.document_date') }} as date) as month,
        documents.company_id,
        documents.customer_id,
        count(*) as invoices_issued,
        count(in_error.invoice_id) as invoices_in_error
    from documents
    left join (select distinct invoice_id from invoice_errors) as in_error on documents.invoice_id = in_error.invoice_id
    where documents.document_type = 'invoice' and documents.voided_on is null
    group by 1, documents.company_id, documents.customer_id
),

excepted as (
    select
        cast({{ dbt.date_trunc('month', 'dated_on') }} as date) as month,
        company_id,
        customer_id,
        count(*) as exceptions
    from credit_exceptions
    group by 1, company_id, customer_id
),

-- Past the end of the last review's cycle; who never had one is given a cycle of its tier's length from its first day, or its day of the
-- plan where it was there before policy bound. Nothing was due before that.
reviews_missed as (
    select
        months.month,
        customers.company_id,
        customer_snapshots.customer_id,
        1 as overdue_reviews
    from customer_snapshots
    inner join months on customer_snapshots.snapshot_date = months.snapshot_date
    inner join customers on customer_snapshots.customer_id = customers.customer_id
    left join review_cycles
        on customer_snapshots.customer_id = review_cycles.customer_id
        and customer_snapshots.snapshot_date >= review_cycles.reviewed_on
        and (review_cycles.next_reviewed_on is null or review_cycles.next_reviewed_on > customer_snapshots.snapshot_date)
    left join tier_history
        on customer_snapshots.customer_id = tier_history.customer_id
        and customer_snapshots.snapshot_date = tier_history.snapshot_date
    left join tier_terms
        on tier_history.tier_indicated = tier_terms.tier
        and {{ valid_on('customer_snapshots.snapshot_date', 'tier_terms') }}
    left join review_plan on customer_snapshots.customer_id = review_plan.customer_id
    cross join adopted
    where
        customers.status <> 'closed'
        and customer_snapshots.snapshot_date > adopted.adopted_on
        and customer_snapshots.snapshot_date > coalesce(
            review_cycles.next_review_due,
            review_plan.planned_on,
            {{ dbt.dateadd('month', 'tier_terms.review_months', 'customer_snapshots.customer_since') }}
        )
)
{%- endmacro %}
