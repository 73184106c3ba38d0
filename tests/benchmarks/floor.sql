-- The floor: what somebody would write by hand, in one DuckDB script, to get the same kind of marts from the same files, once, for the
-- books of `ledgers.sql` (no instalments, no versions, no unmatched references, two currencies, fixed policy). No tests, no contracts, no
-- reasons, no tiers: what a night costs above this buys those. `volumes.py` runs it and holds its totals against the marts.

create temp table dates as
select last_day(cast($as_of as date) - to_months(cast(range as integer))) as day from range(1, 25)
union all
select $as_of;

-- A rate for every day: joined by equality, not by a range, which costs a hundred times as much.
create temp table rates as
select cast(unnest(generate_series(rate_date, until - 1, interval 1 day)) as date) as rate_day, rate
from (
    select rate_date, lead(rate_date, 1, $as_of + 1) over (order by rate_date) as until, rate from '$folder/exchange_rates.parquet'
);

create temp table standing as
select
    allocations.invoice_id,
    allocations.source_type,
    allocations.source_id,
    allocations.amount,
    payments.payment_date,
    greatest(allocations.allocated_on, invoices.invoice_date, payments.payment_date) as begins,
    least(allocations.reversed_on, payments.reversed_on, invoices.voided_on) as ends,
    invoices.customer_id,
    invoices.company_id,
    invoices.currency,
    invoices.due_date,
    invoices.invoice_date
from '$folder/allocations.parquet' as allocations
inner join '$folder/invoices.parquet' as invoices using (invoice_id)
left join '$folder/payments.parquet' as payments on allocations.source_type = 'payment' and allocations.source_id = payments.payment_id
where greatest(allocations.allocated_on, invoices.invoice_date, payments.payment_date) <= $as_of;

create temp table items as
select
    invoice_id as item_id, document_type as item_type, company_id, customer_id, currency, invoice_date as document_date, due_date, voided_on,
    case document_type when 'credit_memo' then -amount else amount end as amount
from '$folder/invoices.parquet'
where invoice_date <= $as_of
union all
select 'payment/' || payment_id, 'payment', company_id, customer_id, currency, payment_date, null, reversed_on, -amount
from '$folder/payments.parquet'
where payment_date <= $as_of;

create temp table balances as
with sides as (
    select invoice_id as item_id, begins, ends, -amount as amount from standing
    union all
    select case source_type when 'payment' then 'payment/' || source_id else source_id end, begins, ends, amount
    from standing
    where source_type in ('payment', 'credit_memo')
),

moved as (
    select item_id, document_date as day, amount from items
    union all
    select item_id, voided_on, -amount from items where voided_on is not null
    union all
    select item_id, begins, amount from sides
    union all
    select item_id, ends, -amount from sides where ends is not null
)

select
    item_id,
    day as valid_from,
    lead(day) over by_day as valid_to,
    sum(amount) over by_day as open_amount
from (select item_id, day, sum(amount) as amount from moved group by all)
window by_day as (partition by item_id order by day)
qualify open_amount <> 0;

create temp table snapshot as
select
    dates.day,
    items.* exclude (amount, voided_on),
    balances.open_amount,
    case when items.currency = 'EUR' then balances.open_amount else round(balances.open_amount * rates.rate, 2) end as open_reporting,
    case when items.item_type in ('invoice', 'debit_memo') then dates.day - items.due_date end as days_past_due
from balances
inner join dates on balances.valid_from <= dates.day and (balances.valid_to is null or balances.valid_to > dates.day)
inner join items using (item_id)
inner join rates on rates.rate_day = dates.day;

create table open_items as
select
    *,
    case
        when days_past_due is null then null
        when days_past_due <= 0 then 'current'
        when days_past_due <= 30 then '1-30'
        when days_past_due <= 60 then '31-60'
        when days_past_due <= 90 then '61-90'
        else '90+'
    end as aging_bucket
from snapshot
where day = $as_of;

create table aging_history as
select
    day as snapshot_date,
    company_id,
    customer_id,
    currency,
    coalesce(sum(open_amount) filter (days_past_due <= 0), 0) as current_amount,
    coalesce(sum(open_amount) filter (days_past_due between 1 and 30), 0) as d1_30,
    coalesce(sum(open_amount) filter (days_past_due between 31 and 60), 0) as d31_60,
    coalesce(sum(open_amount) filter (days_past_due between 61 and 90), 0) as d61_90,
    coalesce(sum(open_amount) filter (days_past_due > 90), 0) as d90_plus,
    -coalesce(sum(open_amount) filter (days_past_due is null), 0) as credits,
    sum(open_amount) as balance
from snapshot
group by all;

create table aging_by_customer as
select * from aging_history where snapshot_date = $as_of;

-- Days beyond terms: what was paid in a month and still stood at its end, and what was past due then.
create temp table paid as
select
    standing.*,
    least(last_day(begins), $as_of) as month_end,
    case when currency = 'EUR' then amount else round(amount * rate, 2) end as paid,
    payment_date - due_date as days_late
from standing
inner join rates on rates.rate_day = begins
where source_type = 'payment' and (ends is null or ends > least(last_day(begins), $as_of));

create table days_beyond_terms_monthly as
with months as (
    select
        customer_id, month_end, paid, paid * greatest(days_late, 0) as paid_x_days, if(days_late <= 0, paid, 0) as on_time,
        paid * (payment_date - invoice_date) as paid_x_days_to_pay, 0 as past_due, 0 as past_due_x_days
    from paid
    union all
    select customer_id, day, 0, 0, 0, 0, open_reporting, open_reporting * days_past_due
    from snapshot
    where days_past_due > 0 and open_amount > 0
)

select
    customer_id,
    month_end,
    sum(paid) as paid,
    sum(paid_x_days) as paid_x_days,
    sum(on_time) as on_time,
    sum(paid_x_days_to_pay) as paid_x_days_to_pay,
    sum(past_due) as past_due,
    sum(past_due_x_days) as past_due_x_days,
    cast(sum(paid_x_days + past_due_x_days) as double) / nullif(cast(sum(paid + past_due) as double), 0) as dbt_days
from months
group by all;

-- The windows and the trend of every customer at every date: the history of tiers needs them all.
create table payment_windows as
with months as (
    select *, year(month_end) * 12 + month(month_end) as month_number from days_beyond_terms_monthly
)

select
    customer_id,
    month_end,
    (sum(paid_x_days) over last_3 + past_due_x_days) / nullif(cast(sum(paid) over last_3 + past_due as double), 0) as dbt_days_3m,
    (sum(paid_x_days) over last_6 + past_due_x_days) / nullif(cast(sum(paid) over last_6 + past_due as double), 0) as dbt_days_6m,
    (sum(paid_x_days) over last_12 + past_due_x_days) / nullif(cast(sum(paid) over last_12 + past_due as double), 0) as dbt_days_12m,
    (sum(paid_x_days) over last_24 + past_due_x_days) / nullif(cast(sum(paid) over last_24 + past_due as double), 0) as dbt_days_24m,
    sum(on_time) over last_24 / nullif(cast(sum(paid) over last_24 as double), 0) as on_time_share_24m,
    regr_slope(dbt_days, month_number) over last_12 as dbt_slope,
    stddev_samp(dbt_days) over last_12 as dbt_stddev
from months
window
    last_3 as (partition by customer_id order by month_number range between 3 preceding and current row),
    last_6 as (partition by customer_id order by month_number range between 6 preceding and current row),
    last_12 as (partition by customer_id order by month_number range between 12 preceding and current row),
    last_24 as (partition by customer_id order by month_number range between 24 preceding and current row);

-- The sums that monthly key figures are ratios of, by customer and then by each grouping.
create temp table measures as
with months as (
    select day, date_trunc('month', day) as month from dates where day <> $as_of
),

billed as (
    select
        customer_id,
        invoice_date,
        sum(if(document_type = 'credit_memo', -1, 1) * if(currency = 'EUR', amount, round(amount * rate, 2))) as billed
    from '$folder/invoices.parquet'
    inner join rates on rates.rate_day = invoice_date
    where (voided_on is null or voided_on > $as_of) and invoice_date <= $as_of
    group by all
),

parts as (
    select
        day, customer_id, sum(open_reporting) as receivables, coalesce(sum(open_reporting) filter (days_past_due <= 0), 0) as current_amount,
        coalesce(sum(open_reporting) filter (days_past_due > 0 and open_amount > 0), 0) as past_due, 0 as billed_month, 0 as billed_window,
        0 as paid, 0 as paid_on_time, 0 as written_off
    from snapshot
    group by all
    union all
    select day, customer_id, 0, 0, 0, sum(if(invoice_date >= month, billed, 0)), sum(billed), 0, 0, 0
    from billed
    inner join months on invoice_date <= day and invoice_date > day - 90
    group by all
    union all
    select month_end, customer_id, 0, 0, 0, 0, 0, sum(paid), sum(on_time), 0
    from days_beyond_terms_monthly
    where month_end in (select day from months)
    group by all
    union all
    select day, customer_id, 0, 0, 0, 0, 0, 0, 0, sum(if(currency = 'EUR', amount, round(amount * rate, 2)))
    from standing
    inner join rates on rates.rate_day = begins
    inner join months on begins <= day and begins >= month - interval 2 month
    where source_type = 'write_off'
    group by all
)

select
    day, customer_id, company_id, region, industry, collector, sales_rep,
    sum(receivables) as receivables, sum(current_amount) as current_amount, sum(past_due) as past_due, sum(billed_month) as billed_month,
    sum(billed_window) as billed_window, sum(paid) as paid, sum(paid_on_time) as paid_on_time, sum(written_off) as written_off
from parts
inner join '$folder/customers.parquet' using (customer_id)
where day <> $as_of
group by all;

create table kpi_sums as
select
    day, company_id, region, industry, collector, sales_rep,
    sum(receivables) as receivables, sum(current_amount) as current_amount, sum(past_due) as past_due, sum(billed_month) as billed_month,
    sum(billed_window) as billed_window, sum(paid) as paid, sum(paid_on_time) as paid_on_time, sum(written_off) as written_off
from measures
group by grouping sets (
    (day), (day, company_id), (day, region), (day, industry), (day, collector), (day, sales_rep)
);

create table dunning_candidates as
select
    item_id,
    customer_id,
    customers.collector,
    open_items.currency,
    open_amount,
    open_reporting,
    days_past_due,
    case
        when days_past_due >= 30 then 'escalation'
        when days_past_due >= 15 then 'third_notice'
        when days_past_due >= 7 then 'second_notice'
        else 'first_notice'
    end as step
from open_items
inner join '$folder/customers.parquet' as customers using (customer_id)
where days_past_due > 0;
