-- The floor, first part: what somebody would write by hand to get the marts of one morning from the same files, for the books of
-- `ledgers.sql` only (no instalments, no versions, no unmatched references, two currencies, one policy pack written out). No tests, no
-- contracts, no policy that can be changed: what a night costs above this buys those. `volumes.py` holds its totals against the marts.

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
    allocations.amount,
    payments.payment_date,
    greatest(allocations.allocated_on, invoices.invoice_date, payments.payment_date) as begins,
    least(allocations.reversed_on, payments.reversed_on, invoices.voided_on) as ends,
    invoices.customer_id,
    invoices.company_id,
    invoices.currency,
    invoices.due_date,
    invoices.invoice_date,
    invoices.file_row_number as item,
    coalesce(-1 - payments.file_row_number, credits.item) as source_item
from '$folder/allocations.parquet' as allocations
inner join read_parquet('$folder/invoices.parquet', file_row_number := true) as invoices using (invoice_id)
left join read_parquet('$folder/payments.parquet', file_row_number := true) as payments
    on allocations.source_type = 'payment' and allocations.source_id = payments.payment_id
left join (
    select invoice_id, file_row_number as item
    from read_parquet('$folder/invoices.parquet', file_row_number := true)
    where document_type = 'credit_memo'
) as credits on allocations.source_type = 'credit_memo' and allocations.source_id = credits.invoice_id
where greatest(allocations.allocated_on, invoices.invoice_date, payments.payment_date) <= $as_of;

create temp table items as
select
    file_row_number as item,
    invoice_id as item_id, document_type as item_type, company_id, customer_id, currency, invoice_date as document_date, due_date, voided_on,
    case document_type when 'credit_memo' then -amount else amount end as amount
from read_parquet('$folder/invoices.parquet', file_row_number := true)
where invoice_date <= $as_of
union all
select -1 - file_row_number, 'payment/' || payment_id, 'payment', company_id, customer_id, currency, payment_date, null, reversed_on, -amount
from read_parquet('$folder/payments.parquet', file_row_number := true)
where payment_date <= $as_of;

create temp table balances as
with sides as (
    select item, begins, ends, -amount as amount from standing
    union all
    select source_item, begins, ends, amount
    from standing
    where source_item is not null
),

moved as (
    select item, document_date as day, amount from items
    union all
    select item, voided_on, -amount from items where voided_on is not null
    union all
    select item, begins, amount from sides
    union all
    select item, ends, -amount from sides where ends is not null
)

select
    item,
    day as valid_from,
    lead(day) over by_day as valid_to,
    cast(sum(amount) over by_day as decimal(18, 2)) as open_amount
from (
    select item, least(last_day(day), $as_of) as day, cast(sum(amount) as decimal(18, 2)) as amount
    from moved
    group by all
    having sum(amount) <> 0
)
window by_day as (partition by item order by day)
qualify open_amount <> 0;

create temp table snapshot as
select
    dates.day,
    items.* exclude (amount, voided_on, item),
    balances.open_amount,
    case when items.currency = 'EUR' then balances.open_amount else cast(round(balances.open_amount * rates.rate, 2) as decimal(18, 2)) end as open_reporting,
    case when items.item_type in ('invoice', 'debit_memo') then dates.day - items.due_date end as days_past_due
from balances
inner join dates on balances.valid_from <= dates.day and (balances.valid_to is null or balances.valid_to > dates.day)
inner join items using (item)
inner join rates on rates.rate_day = dates.day;

-- What a customer owes at each date, in euros. Less than 10.00 past due in all is a trifle, by which nothing is judged, and of less than that
-- in all there is nothing to have a share of.
create temp table owed as
with sums as (
    select
        customer_id,
        day,
        sum(open_reporting) as balance,
        coalesce(sum(open_reporting) filter (days_past_due is not null and open_amount > 0), 0) as owed,
        coalesce(sum(open_reporting) filter (days_past_due > 0 and open_amount > 0), 0) as past_due,
        coalesce(sum(open_reporting) filter (days_past_due > 30 and open_amount > 0), 0) as over_30,
        coalesce(sum(open_reporting) filter (days_past_due > 60 and open_amount > 0), 0) as over_60,
        coalesce(sum(open_reporting * days_past_due) filter (days_past_due > 0 and open_amount > 0), 0) as past_due_x_days,
        max(days_past_due) filter (days_past_due > 0 and open_amount > 0) as oldest
    from snapshot
    group by all
)

select
    customer_id,
    day,
    balance,
    past_due < 10 as is_trifle,
    if(is_trifle, past_due, 0) as trifle,
    case when owed >= 10 then owed - trifle end as owed,
    if(is_trifle, 0, past_due) as past_due,
    if(is_trifle, 0, over_30) as over_30,
    if(is_trifle, 0, over_60) as over_60,
    if(is_trifle, 0, past_due_x_days) as past_due_x_days,
    if(is_trifle, null, oldest) as oldest
from sums;

create table open_items as
select
    snapshot.*,
    days_past_due > 0 and open_amount > 0 and is_trifle as is_trifle,
    case
        when days_past_due is null then null
        when days_past_due <= 0 then 'current'
        when days_past_due <= 30 then '1-30'
        when days_past_due <= 60 then '31-60'
        when days_past_due <= 90 then '61-90'
        else '90+'
    end as aging_bucket
from snapshot
inner join owed using (customer_id, day)
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

-- Money that stood at its month's end. What came late counts no days where less than 10.00 was past due on the eve of it.
create temp table paid as
with cash as (
    select
        standing.*,
        least(last_day(begins), $as_of) as month_end,
        if(currency = 'EUR', amount, round(amount * rate, 2)) as paid,
        payment_date - due_date as days
    from standing
    inner join rates on rate_day = begins
    where source_type = 'payment' and (ends is null or ends > least(last_day(begins), $as_of))
),

little as (
    select distinct customer_id, payment_date - 1 as eve from cash where days > 0 and paid < 10
),

before as (
    select customer_id, eve, sum(if(currency = 'EUR', open_amount, round(open_amount * rate, 2))) as past_due
    from (
        select customer_id, eve, currency, item, sum(moved) as open_amount
        from (
            select customer_id, eve, currency, item, if(voided_on <= eve, 0, amount) as moved
            from little
            inner join items using (customer_id)
            where due_date <= eve and document_date <= eve
            union all
            select customer_id, eve, currency, item, -amount
            from little
            inner join standing using (customer_id)
            where due_date <= eve and begins <= eve and coalesce(ends > eve, true)
        )
        group by all
        having sum(moved) > 0
    )
    inner join rates on rate_day = eve
    group by all
)

select
    cash.* exclude (days),
    days > 0 as is_late,
    days > 0 and paid < 10 and coalesce(past_due < 10, true) as is_trifle,
    if(is_trifle, 0, paid) as weighed,
    if(is_trifle, 0, paid * greatest(days, 0)) as paid_x_days,
    if(days <= 0, paid, 0) as on_time,
    if(is_trifle, 0, paid * (payment_date - invoice_date)) as paid_x_days_to_pay
from cash
left join before on cash.customer_id = before.customer_id and payment_date - 1 = eve;

-- Days beyond terms: what was paid in a month and still stood at its end, and what was past due then.
create table days_beyond_terms_monthly as
with months as (
    select
        customer_id, month_end, paid, weighed, paid_x_days, on_time, paid_x_days_to_pay, if(is_late, paid, 0) as paid_late,
        0 as past_due, 0 as past_due_x_days
    from paid
    union all
    select customer_id, day, 0, 0, 0, 0, 0, 0, past_due, past_due_x_days
    from owed
    where past_due > 0
)

select
    customer_id,
    month_end,
    sum(paid) as paid,
    sum(weighed) as weighed,
    sum(paid_x_days) as paid_x_days,
    sum(on_time) as on_time,
    sum(paid_late) as paid_late,
    sum(paid_x_days_to_pay) as paid_x_days_to_pay,
    sum(past_due) as past_due,
    sum(past_due_x_days) as past_due_x_days,
    cast(sum(paid_x_days + past_due_x_days) as double) / nullif(cast(sum(weighed + past_due) as double), 0) as dbt_days
from months
group by all;
