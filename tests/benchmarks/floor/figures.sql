-- What else the marts hold, from the tables that `ledger.sql` and `risk.sql` leave.

-- Months are numbered: 24 is the last complete one, 1 the first of the history.
create temp table month_ends as
select
    cast(range as integer) as month,
    last_day($as_of - to_months(cast(25 - range as integer))) as day,
    cast(day - interval 1 year as date) as year_before,
    last_day(year_before) <> year_before as is_odd
from range(1, 25);

-- Business days are numbered too, in a column for each entity. The ninety days to a month's end hold what a flag says of the month two
-- and three before it; those to the day a year before are the ones to a month's end but for a 28 February.
create temp table days as
with holidays as (
    select unnest(cast([
        '2023-05-01', '2023-05-18', '2023-05-29', '2023-10-03', '2023-12-25', '2023-12-26', '2024-01-01', '2024-03-29', '2024-04-01',
        '2024-05-01', '2024-05-09', '2024-05-20', '2024-10-03', '2024-12-25', '2024-12-26', '2025-01-01', '2025-04-18', '2025-04-21',
        '2025-05-01', '2025-05-29', '2025-06-09', '2025-10-03', '2025-12-25', '2025-12-26', '2026-01-01', '2026-04-03', '2026-04-06',
        '2026-05-01', '2026-05-14', '2026-05-25'
    ] as date[])) as day, '0100' as company_id
    union all
    select unnest(cast([
        '2023-05-29', '2023-06-19', '2023-07-04', '2023-09-04', '2023-10-09', '2023-11-10', '2023-11-23', '2023-12-25', '2024-01-01',
        '2024-01-15', '2024-02-19', '2024-05-27', '2024-06-19', '2024-07-04', '2024-09-02', '2024-10-14', '2024-11-11', '2024-11-28',
        '2024-12-25', '2025-01-01', '2025-01-20', '2025-02-17', '2025-05-26', '2025-06-19', '2025-07-04', '2025-09-01', '2025-10-13',
        '2025-11-11', '2025-11-27', '2025-12-25', '2026-01-01', '2026-01-19', '2026-02-16', '2026-05-25', '2026-06-19', '2026-07-03',
        '2026-09-07'
    ] as date[])), '0200'
),

calendar as (
    select
        cast(range as date) as day,
        isodow(range) < 6 and not exists (from holidays where holidays.day = range and company_id = '0100') as works_0100,
        isodow(range) < 6 and not exists (from holidays where holidays.day = range and company_id = '0200') as works_0200,
        strftime(range, '%m-%d') in ('12-24', '12-25', '12-26', '12-31', '01-01') as is_quiet
    from range($as_of - interval 40 month, $as_of + interval 450 day, interval 1 day)
)

select
    day,
    25 + datediff('month', $as_of, day) as month,
    day > last_day(day + interval 2 month) - 90 as in_window_2,
    day > last_day(day + interval 3 month) - 90 as in_window_3,
    exists (from month_ends where is_odd and calendar.day > year_before - 90 and calendar.day <= year_before) as in_odd_window,
    works_0100,
    works_0200,
    count_if(works_0100) over (order by day) as workday_0100,
    count_if(works_0200) over (order by day) as workday_0200,
    min(day) filter (works_0100 and not is_quiet) over (order by day desc) as opens_0100,
    min(day) filter (works_0200 and not is_quiet) over (order by day desc) as opens_0200,
    rate
from calendar
left join rates on rate_day = day;

-- The tiers of a customer's month ends stand in one number, two bits a month: 0 is unknown.
create temp table accounts as
with tiers as (
    select customer_id, sum(cast(tier_indicated as bigint) << 2 * (25 + datediff('month', $as_of, snapshot_date))) as tiers
    from risk_tier_history
    where snapshot_date <> $as_of
    group by customer_id
),

reviews as (
    select
        customer_id,
        reviewed_on,
        reviewed_on + to_months(case tier when '1' then 12 when '2' then 6 else 3 end) as next_review_due
    from '$folder/credit_reviews.parquet'
    where reviewed_on <= $as_of
)

select
    cast(row_number() over (order by customer_id) as integer) as account,
    cast(dense_rank() over (order by company_id, region, industry, collector, sales_rep) as integer) as combination,
    customers.* exclude (updated_at),
    cast(coalesce(tiers, 0) as bigint) as tiers,
    reviewed_on,
    next_review_due
from '$folder/customers.parquet' as customers
left join tiers using (customer_id)
left join reviews using (customer_id);

-- What was billed stays billed in its month, and is taken back in the month in which it is voided.
create temp table billed_months as
with documents as (
    select
        account, company_id, currency, document_type, invoice_date, voided_on, sent_at, delivered_on,
        if(document_type = 'credit_memo', -amount, amount) as amount
    from '$folder/invoices.parquet'
    inner join (select customer_id, account from accounts) using (customer_id)
    where invoice_date <= $as_of
),

moved as (
    select
        account,
        invoice_date as moved_on,
        currency,
        amount,
        document_type = 'invoice' and voided_on is null as is_issued,
        if(
            is_issued,
            greatest(
                if(company_id = '0100', sent.workday_0100 - delivered.workday_0100, sent.workday_0200 - delivered.workday_0200), 0
            ),
            null
        ) as days_to_invoice
    from documents
    left join days as sent on sent.day = cast(sent_at as date)
    left join days as delivered on delivered.day = delivered_on
    union all
    select account, voided_on, currency, -amount, false, null
    from documents
    where voided_on <= $as_of
)

select
    account,
    days.month,
    cast(sum(billed) as decimal(18, 2)) as billed,
    cast(sum(billed) filter (in_window_2) as decimal(18, 2)) as billed_2,
    cast(sum(billed) filter (in_window_3) as decimal(18, 2)) as billed_3,
    cast(sum(billed) filter (in_odd_window) as decimal(18, 2)) as billed_odd,
    cast(sum(billed) filter (moved_on > $as_of - interval 1 year) as decimal(18, 2)) as billed_last_year,
    count_if(is_issued) as invoices_issued,
    count(days_to_invoice) as deliveries_invoiced,
    sum(days_to_invoice) as days_to_invoice
from (
    select moved.*, days.* exclude (rate), if(currency = 'EUR', amount, cast(round(amount * days.rate, 2) as decimal(18, 2))) as billed
    from moved
    inner join days on days.day = moved_on
) as days
group by all;

-- What is wrong with an invoice of the history. These books have no lines, no instalments and nobody who wants a purchase order number.
create table invoice_errors as
with judged as (
    select
        invoice_id,
        invoices.payment_terms <> customers.payment_terms and coalesce(invoice_date >= reviewed_on, true) as terms_not_agreed,
        due_date <> invoice_date + case invoices.payment_terms when 'N15' then 15 when 'N30' then 30 when 'N45' then 45 else 60 end
            as due_date_off,
        delivered_on > invoice_date as before_delivery,
        customers.email is null as no_email,
        invoices.currency not in ('EUR', 'USD') as currency_unknown
    from '$folder/invoices.parquet' as invoices
    left join (select customer_id, payment_terms, reviewed_on, email from accounts) as customers using (customer_id)
    where
        document_type = 'invoice' and (voided_on is null or voided_on > $as_of)
        and invoice_date between last_day($as_of - interval 25 month) + 1 and $as_of
),

numbers as (
    select company_id, invoice_number
    from '$folder/invoices.parquet'
    where document_type = 'invoice' and (voided_on is null or voided_on > $as_of) and invoice_date <= $as_of
    group by company_id, invoice_number
    having count(*) > 1
),

errors as (
    select invoice_id, unnest([
        if(terms_not_agreed, 'terms_not_agreed', null), if(due_date_off, 'due_date_off', null),
        if(before_delivery, 'before_delivery', null), if(no_email, 'no_email', null), if(currency_unknown, 'currency_unknown', null)
    ]) as rule
    from judged
    where terms_not_agreed or due_date_off or before_delivery or no_email or currency_unknown
    union all
    select invoice_id, 'duplicate_number'
    from '$folder/invoices.parquet'
    inner join numbers using (company_id, invoice_number)
    where document_type = 'invoice' and (voided_on is null or voided_on > $as_of)
    qualify row_number() over (partition by company_id, invoice_number order by invoice_date, invoice_id) > 1
)

select invoice_id, invoice_number as document_number, company_id, customer_id, invoice_date as document_date, rule
from errors
inner join '$folder/invoices.parquet' using (invoice_id)
where rule is not null;

-- What was open at each month's end, in euros. What is in euros already stands in the history of the aging.
create temp table standing_months as
select
    account, 25 + datediff('month', $as_of, snapshot_date) as month, cast(balance as decimal(18, 2)) as receivables,
    cast(current_amount as decimal(18, 2)) as current_amount, cast(d1_30 as decimal(18, 2)) as d1_30,
    cast(d31_60 as decimal(18, 2)) as d31_60, cast(d61_90 as decimal(18, 2)) as d61_90, cast(d90_plus as decimal(18, 2)) as d90_plus
from aging_history
inner join (select customer_id, account from accounts) using (customer_id)
where snapshot_date <> $as_of and currency = 'EUR'
union all
select
    account,
    25 + datediff('month', $as_of, open_then.day),
    sum(amount),
    sum(if(days_past_due <= 0, amount, 0)),
    sum(if(days_past_due between 1 and 30, amount, 0)),
    sum(if(days_past_due between 31 and 60, amount, 0)),
    sum(if(days_past_due between 61 and 90, amount, 0)),
    sum(if(days_past_due > 90, amount, 0))
from (
    select customer_id, day, days_past_due, cast(open_reporting as decimal(18, 2)) as amount
    from snapshot
    where day <> $as_of and currency <> 'EUR'
) as open_then
inner join (select customer_id, account from accounts) using (customer_id)
group by account, open_then.day;

create temp table paid_months as
select
    account, 25 + datediff('month', $as_of, month_end) as month, cast(paid as decimal(18, 2)) as paid,
    cast(weighed as decimal(18, 2)) as weighed, cast(on_time as decimal(18, 2)) as on_time,
    cast(paid_late as decimal(18, 2)) as paid_late, cast(paid_x_days as decimal(18, 2)) as paid_x_days,
    cast(past_due as decimal(18, 2)) as past_due, cast(past_due_x_days as decimal(18, 2)) as past_due_x_days
from days_beyond_terms_monthly
inner join (select customer_id, account from accounts) using (customer_id)
where month_end > last_day($as_of - interval 25 month) and month_end < date_trunc('month', $as_of);

-- The first month opens with a day that is no month's end of the history.
create temp table first_opening as
with opening as (
    select item, open_amount, last_day($as_of - interval 25 month) as day
    from balances
    where valid_from <= last_day($as_of - interval 25 month) and (valid_to is null or valid_to > last_day($as_of - interval 25 month))
)

select
    account,
    sum(if(items.currency = 'EUR', open_amount, round(open_amount * rate, 2))) as opening_receivables,
    sum(if(items.currency = 'EUR', open_amount, round(open_amount * rate, 2))) filter (due_date < opening.day and open_amount > 0)
        as opening_past_due
from opening
inner join items using (item)
inner join rates on rate_day = opening.day
inner join accounts using (customer_id)
group by account;

create temp table promises as
select
    promise_id, promises.customer_id, invoice_id, made_on, promised_date, promises.amount, invoices.currency, collector, grace_until, month,
    case
        when coalesce(paid.amount, 0) >= promises.amount then 'kept' when grace_until >= $as_of then 'pending' else 'broken'
    end as state
from (
    select promises.*, grace.day as grace_until, grace.month, customers.collector
    from '$folder/promises.parquet' as promises
    inner join accounts as customers using (customer_id)
    inner join days as promised on promised.day = promised_date
    inner join days as grace
        on customers.company_id = '0100' and grace.works_0100 and grace.workday_0100 = promised.workday_0100 + 2
        or customers.company_id = '0200' and grace.works_0200 and grace.workday_0200 = promised.workday_0200 + 2
    where made_on <= $as_of
) as promises
inner join '$folder/invoices.parquet' as invoices using (invoice_id)
left join lateral (
    select sum(amount) as amount
    from standing
    where standing.invoice_id = promises.invoice_id and source_type = 'payment' and ends is null
        and payment_date between made_on and grace_until
) as paid on true;

-- Measures of few records, by customer and month.
create temp table rare_months as
with disputed as (
    select
        customer_id, snapshot.day,
        open_reporting * if(max(disputes.amount is null), 1, least(sum(disputes.amount) / open_amount, 1)) as disputed
    from '$folder/disputes.parquet' as disputes
    inner join snapshot
        on snapshot.item_id = disputes.invoice_id and opened_on <= snapshot.day and (resolved_on is null or resolved_on > snapshot.day)
    where snapshot.day <> $as_of and open_amount > 0
    group by item_id, customer_id, snapshot.day, open_amount, open_reporting
)

select account, 25 + datediff('month', $as_of, disputed.day) as month, round(cast(disputed as decimal(24, 6)), 2) as disputed
from disputed
inner join accounts using (customer_id)
union all by name
select account, 25 + datediff('month', $as_of, resolved_on) as month, 1 as disputes_resolved, resolved_on - opened_on as dispute_days
from '$folder/disputes.parquet' as disputes
inner join items on item_id = invoice_id
inner join accounts using (customer_id)
union all by name
select account, month_ends.month, 1 as overdue_disputes
from '$folder/disputes.parquet' as disputes
inner join items on item_id = invoice_id
inner join accounts using (customer_id)
inner join month_ends
    on opened_on + if(reason in ('price', 'quantity'), 15, 30) < month_ends.day
    and (resolved_on is null or resolved_on > month_ends.day)
union all by name
select
    account, month, if(promises.currency = 'EUR', amount, round(amount * rate, 2)) as promised,
    if(state = 'kept', promised, 0) as promised_and_kept
from promises
inner join rates on rate_day = promised_date
inner join accounts using (customer_id)
union all by name
select
    account, 25 + datediff('month', $as_of, begins) + unnest(range(3)) as month,
    if(standing.currency = 'EUR', amount, round(amount * rate, 2)) as written_off
from standing
inner join rates on rate_day = begins
inner join accounts using (customer_id)
where source_type = 'write_off'
union all by name
select account, 25 + datediff('month', $as_of, dated_on) as month, count(*) as exceptions
from credit_exceptions
inner join accounts using (customer_id)
where is_counted
group by all
union all by name
select account, 25 + datediff('month', $as_of, document_date) as month, count(distinct invoice_id) as in_error
from invoice_errors
inner join accounts using (customer_id)
group by all;

-- In which months a customer had anything open, paid or promised, a bit each.
create temp table busy as
select account, bit_or(bits) as bits
from (
    select account, 3 << month as bits from standing_months
    union all
    select account, 1 << month from paid_months
    union all
    select account, 1 << month from rare_months where month between 1 and 24
    union all
    select account, 2 from first_opening
)
group by account;

-- What a customer was billed up to each month's end: in a year, in ninety days, and in the ninety days a year before.
create temp table customer_months as
with windows as (
    select
        account,
        month,
        sum(billed) over (months rows between 11 preceding and current row) as billed_year,
        sum(billed) over (months rows between 1 preceding and current row) as of_two,
        lag(billed_2, 2) over months as of_third,
        lag(billed_3, 3) over months as of_fourth,
        sum(billed) over (months rows between 13 preceding and 12 preceding) as of_two_before,
        lag(billed_2, 14) over months as of_third_before,
        lag(billed_3, 15) over months as of_fourth_before
    from accounts
    cross join (select cast(range as integer) as month from range(-1, 25))
    left join billed_months using (account, month)
    window months as (partition by account order by month)
    qualify month > 0
),

odd as (
    select account, (select month from month_ends where is_odd) as month, sum(billed_odd) as billed
    from billed_months
    where billed_odd is not null
    group by account
)

select
    account,
    month,
    combination,
    tiers >> 2 * month & 3 as tier,
    cast(billed_year as decimal(18, 2)) as billed_year,
    coalesce(of_two, 0) + coalesce(of_third, 0) + coalesce(of_fourth, 0) > 0 as is_billed,
    if(
        is_odd,
        coalesce(billed, 0),
        coalesce(of_two_before, 0) + coalesce(of_third_before, 0) + coalesce(of_fourth_before, 0)
    ) > 0 as was_billed,
    day > if(
        reviewed_on <= day, next_review_due, customer_since + to_months(case tier when 1 then 12 when 2 then 6 when 3 then 3 end)
    ) is true as is_overdue,
    coalesce(billed_year, of_fourth) is not null
    or if(is_odd, billed is not null, coalesce(of_two_before, of_third_before, of_fourth_before) is not null)
    or bits >> month & 1 = 1
    or is_overdue as is_active
from windows
inner join month_ends using (month)
inner join (select account, combination, tiers, reviewed_on, next_review_due, customer_since from accounts) using (account)
left join busy using (account)
left join odd using (account, month);

-- Sums are kept for each combination of what a customer has for good, and (below zero) for each tier: a scope's are made of those.
create temp table members as
select distinct
    combination,
    unnest(['total', 'company', 'region', 'industry', 'collector', 'sales_rep']) as scope,
    unnest(['', company_id, region, industry, collector, sales_rep]) as scope_value
from accounts
union all
select -range, 'tier', if(range = 0, 'unknown', cast(range as varchar)) from range(4);

create temp table scope_sums as
with standing as (
    select
        month, combination, -(tiers >> 2 * month & 3) as tier, -(tiers >> 2 * (month + 1) & 3) as next_tier,
        sum(receivables) as receivables, sum(current_amount) as current_amount, sum(d1_30) as d1_30, sum(d31_60) as d31_60,
        sum(d61_90) as d61_90, sum(d90_plus) as d90_plus, sum(d1_30 + d31_60 + d61_90 + d90_plus) as past_due
    from standing_months
    inner join (select account, combination, tiers from accounts) using (account)
    group by grouping sets ((month, combination), (month, tier, next_tier))
),

paid as (
    select
        month, combination, -(tiers >> 2 * month & 3) as tier,
        sum(weighed) as paid, sum(on_time) as paid_on_time, sum(paid_late) as paid_late, sum(paid_x_days) as paid_x_days_late,
        sum(past_due) as past_due_weighed, sum(past_due_x_days) as past_due_x_days
    from paid_months
    inner join (select account, combination, tiers from accounts) using (account)
    group by grouping sets ((month, combination), (month, tier))
),

issued as (
    select
        month, combination, -(tiers >> 2 * month & 3) as tier, sum(invoices_issued) as invoices_issued,
        sum(deliveries_invoiced) as deliveries_invoiced, sum(days_to_invoice) as days_to_invoice
    from billed_months
    inner join (select account, combination, tiers from accounts) using (account)
    where month between 1 and 24
    group by grouping sets ((month, combination), (month, tier))
),

rare as (
    select
        month, combination, -(tiers >> 2 * month & 3) as tier, sum(disputed) as disputed, sum(disputes_resolved) as disputes_resolved,
        sum(dispute_days) as dispute_days, sum(overdue_disputes) as overdue_disputes, sum(promised) as promised, sum(promised_and_kept) as promised_and_kept,
        sum(written_off) as written_off_quarter, sum(exceptions) as exceptions, sum(in_error) as invoices_in_error
    from rare_months
    inner join (select account, combination, tiers from accounts) using (account)
    where month between 1 and 24
    group by grouping sets ((month, combination), (month, tier))
),

counted as (
    select
        month, combination, -tier as tier, count(*) as n, count_if(was_billed) as customers_year_before,
        count_if(was_billed and is_billed) as customers_kept, count_if(is_overdue) as overdue_reviews
    from customer_months
    where is_active
    group by grouping sets ((month, combination), (month, tier))
),

largest as (
    select
        month, combination, -tier as tier, sum(billed_year) filter (place <= 5) as billed_top5,
        sum(billed_year) filter (place > 5) as billed_next15
    from (
        select
            month, unnest(range(1, 21)) as place,
            unnest(max_by({combination: combination, tier: tier, billed_year: billed_year}, (billed_year, -account), 20), max_depth := 2)
        from customer_months
        where billed_year is not null
        group by month
    )
    group by grouping sets ((month, combination), (month, tier))
),

opening as (
    select
        1 as month, combination, -(tiers >> 2 & 3) as tier, sum(opening_receivables) as opening_receivables,
        sum(opening_past_due) as opening_past_due
    from first_opening
    inner join (select account, combination, tiers from accounts) using (account)
    group by grouping sets (combination, tier)
),

parts as (
    select * exclude (next_tier) from standing
    union all by name
    select
        month + 1 as month, combination, next_tier as tier, receivables as opening_receivables, past_due as opening_past_due
    from standing
    where month < 24
    union all by name
    from paid
    union all by name
    from issued
    union all by name
    from rare
    union all by name
    from counted
    union all by name
    from largest
    union all by name
    from opening
)

select
    month,
    scope,
    scope_value,
    cast(coalesce(sum(n), 0) as decimal(18, 4)) as n,
    cast(coalesce(sum(receivables), 0) as decimal(18, 4)) as receivables,
    cast(coalesce(sum(current_amount), 0) as decimal(18, 4)) as current_amount,
    cast(coalesce(sum(d1_30), 0) as decimal(18, 4)) as d1_30,
    cast(coalesce(sum(d31_60), 0) as decimal(18, 4)) as d31_60,
    cast(coalesce(sum(d61_90), 0) as decimal(18, 4)) as d61_90,
    cast(coalesce(sum(d90_plus), 0) as decimal(18, 4)) as d90_plus,
    cast(coalesce(sum(paid), 0) as decimal(18, 4)) as paid,
    cast(coalesce(sum(paid_on_time), 0) as decimal(18, 4)) as paid_on_time,
    cast(coalesce(sum(paid_x_days_late), 0) as decimal(18, 4)) as paid_x_days_late,
    cast(coalesce(sum(paid_late), 0) as decimal(18, 4)) as paid_late,
    cast(coalesce(sum(past_due), 0) as decimal(18, 4)) as past_due,
    cast(coalesce(sum(past_due_weighed), 0) as decimal(18, 4)) as past_due_weighed,
    cast(coalesce(sum(past_due_x_days), 0) as decimal(18, 4)) as past_due_x_days,
    cast(coalesce(sum(opening_receivables), 0) as decimal(18, 4)) as opening_receivables,
    cast(coalesce(sum(opening_past_due), 0) as decimal(18, 4)) as opening_past_due,
    cast(coalesce(sum(invoices_issued), 0) as decimal(18, 4)) as invoices_issued,
    cast(coalesce(sum(deliveries_invoiced), 0) as decimal(18, 4)) as deliveries_invoiced,
    cast(coalesce(sum(days_to_invoice), 0) as decimal(18, 4)) as days_to_invoice,
    cast(coalesce(sum(disputed), 0) as decimal(18, 4)) as disputed,
    cast(coalesce(sum(disputes_resolved), 0) as decimal(18, 4)) as disputes_resolved,
    cast(coalesce(sum(dispute_days), 0) as decimal(18, 4)) as dispute_days,
    cast(coalesce(sum(overdue_disputes), 0) as decimal(18, 4)) as overdue_disputes,
    cast(coalesce(sum(promised), 0) as decimal(18, 4)) as promised,
    cast(coalesce(sum(promised_and_kept), 0) as decimal(18, 4)) as promised_and_kept,
    cast(coalesce(sum(written_off_quarter), 0) as decimal(18, 4)) as written_off_quarter,
    cast(coalesce(sum(exceptions), 0) as decimal(18, 4)) as exceptions,
    cast(coalesce(sum(invoices_in_error), 0) as decimal(18, 4)) as invoices_in_error,
    cast(coalesce(sum(customers_year_before), 0) as decimal(18, 4)) as customers_year_before,
    cast(coalesce(sum(customers_kept), 0) as decimal(18, 4)) as customers_kept,
    cast(coalesce(sum(overdue_reviews), 0) as decimal(18, 4)) as overdue_reviews,
    cast(coalesce(sum(billed_top5), 0) as decimal(18, 4)) as billed_top5,
    cast(coalesce(sum(billed_next15), 0) as decimal(18, 4)) as billed_next15
from parts
inner join members on members.combination = coalesce(parts.combination, parts.tier)
group by month, scope, scope_value;

-- Billed in each month, by the scopes of each later month's end: by tier those differ from month to month.
create temp table scope_billed as
with billed as (
    select month as billed_month, combination, tiers, sum(billed) as billed, sum(billed_2) as billed_2, sum(billed_3) as billed_3
    from billed_months
    inner join (select account, combination, tiers from accounts) using (account)
    where month < 25
    group by grouping sets ((month, combination), (month, tiers))
),

by_scope as (
    select scope, scope_value, billed_month, sum(billed) as billed, sum(billed_2) as billed_2, sum(billed_3) as billed_3
    from billed
    inner join members using (combination)
    group by all
),

by_tier as (
    select tiers >> 2 * month & 3 as tier, month, billed_month, sum(billed) as billed, sum(billed_2) as billed_2, sum(billed_3) as billed_3
    from billed
    inner join month_ends on billed_month <= month
    where combination is null
    group by all
)

select
    scope, scope_value, month, month - billed_month as months_ago, billed,
    case months_ago when 0 then billed when 1 then billed when 2 then billed_2 when 3 then billed_3 end as in_window
from (
    select * from by_scope inner join month_ends on billed_month <= month
    union all by name
    select 'tier' as scope, if(tier = 0, 'unknown', cast(tier as varchar)) as scope_value, * exclude (tier) from by_tier
);

create table kpi_monthly as
with definitions as (
    from (values
        ('dso', 'Days sales outstanding', 'days', 'down', 'rise', 0.00, 1, -15),
        ('dso_countback', 'Days sales outstanding (count-back)', 'days', 'down', null, null, 1, null),
        ('best_possible_dso', 'Best possible DSO', 'days', 'down', null, null, 1, null),
        ('average_days_delinquent', 'Average days delinquent', 'days', 'down', null, null, 1, null),
        ('aging_share_current', 'Share not due', 'share', 'up', null, null, 1, null),
        ('aging_share_1_30', 'Share 1-30 days past due', 'share', 'down', null, null, 1, null),
        ('aging_share_31_60', 'Share 31-60 days past due', 'share', 'down', null, null, 1, null),
        ('aging_share_61_90', 'Share 61-90 days past due', 'share', 'down', 'rise', 0.00, 1, null),
        ('aging_share_90_plus', 'Share over 90 days past due', 'share', 'down', 'rise', 0.00, 1, null),
        ('aging_share_no_due_date', 'Share without a due date', 'share', 'down', null, null, 1, null),
        ('unapplied_share', 'Unapplied cash and credits', 'share', 'down', null, null, 1, null),
        ('disputed_share', 'Share in dispute', 'share', 'down', null, null, 1, null),
        ('cei', 'Collection effectiveness index', 'percent', 'up', 'below', 90.00, 1, null),
        ('write_off_rate', 'Written off of billed', 'share', 'down', 'rise', 0.00, 3, -25),
        ('dbt_days', 'Days beyond terms', 'days', 'down', null, null, 1, null),
        ('on_time_share', 'Share of cash on time', 'share', 'up', null, null, 1, null),
        ('dispute_days', 'Days to resolve a dispute', 'days', 'down', null, null, 1, null),
        ('overdue_disputes', 'Disputes past their day', 'disputes', 'down', 'rise', 0.00, 1, null),
        ('promise_kept_share', 'Promised amounts paid by the date', 'share', 'up', null, null, 1, null),
        ('days_to_invoice', 'Business days from delivery to invoice', 'days', 'down', 'rise', 0.00, 1, null),
        ('exception_rate', 'Exceptions per invoice', 'share', 'down', 'rise', 0.00, 1, null),
        ('invoice_error_rate', 'Invoices in error', 'share', 'down', 'above', 0.02, 1, null),
        ('overdue_reviews', 'Accounts past their review date', 'accounts', 'down', 'above', 0.00, 1, null),
        ('concentration_top5', 'Billed to the five largest', 'share', 'down', null, null, 1, null),
        ('concentration_next15', 'Billed to the next fifteen', 'share', 'down', null, null, 1, null),
        ('concentration_rest', 'Billed to the rest', 'share', 'up', null, null, 1, null),
        ('customer_retention', 'Customers still billed a year later', 'share', 'up', 'fall', 0.05, 1, null),
        ('recovered_past_due', 'Cash against past-due items', 'money', 'up', null, null, 1, null),
        ('carrying_cost', 'Cost of carrying what is past due', 'money', 'down', null, null, 1, null)
    ) as definitions (kpi, title, unit, better, trigger, threshold, compare_months, target_change_pct)
),

countback as (
    select
        month,
        scope,
        scope_value,
        cast(sum(case
            when so_far - billed >= receivables then 0
            when so_far <= receivables then days_in_month
            else cast(cast(receivables - (so_far - billed) as double) / cast(billed as double) * days_in_month as decimal(18, 8))
        end) as decimal(18, 4)) as countback_days,
        cast(sum(least(billed, greatest(receivables - (so_far - billed), 0))) as decimal(18, 4)) as billed_counted
    from (
        select
            month,
            scope,
            scope_value,
            receivables,
            greatest(coalesce(billed, 0), 0) as billed,
            sum(greatest(coalesce(billed, 0), 0)) over (partition by month, scope, scope_value order by months_ago) as so_far,
            day(last_day($as_of - to_months(cast(25 - month + months_ago as integer)))) as days_in_month
        from scope_sums
        cross join (select range as months_ago from range(24))
        left join scope_billed using (month, months_ago, scope, scope_value)
    )
    group by month, scope, scope_value
),

billed as (
    select
        month,
        scope,
        scope_value,
        cast(coalesce(sum(billed) filter (months_ago = 0), 0) as decimal(18, 4)) as billed_month,
        cast(coalesce(sum(billed) filter (months_ago < 3), 0) as decimal(18, 4)) as billed_quarter,
        cast(coalesce(sum(billed) filter (months_ago < 12), 0) as decimal(18, 4)) as billed_year,
        cast(coalesce(sum(in_window), 0) as decimal(18, 4)) as billed_window
    from scope_billed
    group by month, scope, scope_value
),

figures as (
    select
        month,
        scope,
        scope_value,
        n,
        receivables,
        current_amount,
        billed_window,
        countback_days,
        unnest([
            {kpi: 'dso', numerator: receivables, denominator: billed_window, factor: cast(90 as double)},
            {kpi: 'best_possible_dso', numerator: current_amount, denominator: billed_window, factor: 90},
            {kpi: 'average_days_delinquent', numerator: receivables - current_amount, denominator: billed_window, factor: 90},
            {kpi: 'dso_countback', numerator: receivables, denominator: billed_counted, factor: 1},
            {kpi: 'aging_share_current', numerator: current_amount, denominator: receivables, factor: 1},
            {kpi: 'aging_share_1_30', numerator: d1_30, denominator: receivables, factor: 1},
            {kpi: 'aging_share_31_60', numerator: d31_60, denominator: receivables, factor: 1},
            {kpi: 'aging_share_61_90', numerator: d61_90, denominator: receivables, factor: 1},
            {kpi: 'aging_share_90_plus', numerator: d90_plus, denominator: receivables, factor: 1},
            {kpi: 'aging_share_no_due_date', numerator: 0, denominator: receivables, factor: 1},
            {
                kpi: 'unapplied_share',
                numerator: current_amount + d1_30 + d31_60 + d61_90 + d90_plus - receivables,
                denominator: receivables,
                factor: 1
            },
            {kpi: 'disputed_share', numerator: disputed, denominator: receivables, factor: 1},
            {kpi: 'write_off_rate', numerator: written_off_quarter, denominator: billed_quarter, factor: 1},
            {
                kpi: 'cei',
                numerator: opening_receivables + billed_month - receivables,
                denominator: opening_receivables + billed_month - current_amount,
                factor: 100
            },
            {kpi: 'dbt_days', numerator: paid_x_days_late + past_due_x_days, denominator: paid + past_due_weighed, factor: 1},
            {kpi: 'on_time_share', numerator: paid_on_time, denominator: paid, factor: 1},
            {kpi: 'dispute_days', numerator: dispute_days, denominator: disputes_resolved, factor: 1},
            {kpi: 'overdue_disputes', numerator: overdue_disputes, denominator: null, factor: 1},
            {kpi: 'promise_kept_share', numerator: promised_and_kept, denominator: promised, factor: 1},
            {kpi: 'days_to_invoice', numerator: days_to_invoice, denominator: deliveries_invoiced, factor: 1},
            {kpi: 'invoice_error_rate', numerator: invoices_in_error, denominator: invoices_issued, factor: 1},
            {kpi: 'exception_rate', numerator: exceptions, denominator: invoices_issued, factor: 1},
            {kpi: 'overdue_reviews', numerator: overdue_reviews, denominator: null, factor: 1},
            {kpi: 'concentration_top5', numerator: billed_top5, denominator: billed_year, factor: 1},
            {kpi: 'concentration_next15', numerator: billed_next15, denominator: billed_year, factor: 1},
            {kpi: 'concentration_rest', numerator: billed_year - billed_top5 - billed_next15, denominator: billed_year, factor: 1},
            {kpi: 'customer_retention', numerator: customers_kept, denominator: customers_year_before, factor: 1},
            {kpi: 'recovered_past_due', numerator: paid_late, denominator: null, factor: 1},
            {
                kpi: 'carrying_cost',
                numerator: cast(cast(opening_past_due + past_due as double) / 2 as decimal(18, 4)),
                denominator: null,
                factor: 9 * day(last_day($as_of - to_months(cast(25 - month as integer)))) / 36500
            }
        ], recursive := true)
    from scope_sums
    inner join countback using (month, scope, scope_value)
    left join billed using (month, scope, scope_value)
),

valued as (
    select
        month,
        scope,
        scope_value,
        kpi,
        numerator,
        denominator,
        n,
        case
            when kpi = 'dso_countback' then countback_days
            when denominator <= 0 or kpi = 'cei' and numerator > denominator then null
            when kpi = 'carrying_cost' then round(cast(cast(numerator as double) * factor as decimal(24, 6)), 2)
            when kpi = 'average_days_delinquent'
                then once(cast(receivables as double) * 90 / billed_window) - once(cast(current_amount as double) * 90 / billed_window)
            else once(cast(numerator as double) * factor / coalesce(cast(denominator as double), 1))
        end as value
    from figures
)
select
    cast(date_trunc('month', $as_of) - to_months(cast(25 - valued.month as integer)) as date) as month,
    valued.scope,
    nullif(valued.scope_value, '') as scope_value,
    kpi,
    title,
    unit,
    cast(valued.numerator as decimal(18, 4)) as numerator,
    cast(valued.denominator as decimal(18, 4)) as denominator,
    cast(valued.n as integer) as n,
    valued.value,
    before.value as prior_value,
    round(cast(
        baseline.value * (1 + target_change_pct / 100 * least(valued.month - baseline.month, 12) / 12) as decimal(24, 8)
    ), 4) as target,
    ratio(valued.value - baseline.value, target - baseline.value) as progress,
    if(kpi = 'dso', 45, null) as goal,
    better,
    trigger,
    threshold,
    coalesce(
        case trigger
            when 'rise' then valued.value - before.value > threshold
            when 'fall' then before.value - valued.value > threshold
            when 'above' then valued.value > threshold
            when 'below' then valued.value < threshold
        end,
        false
    ) as tripped
from valued
inner join definitions using (kpi)
left join valued as before
    on valued.kpi = before.kpi and valued.scope = before.scope and valued.scope_value = before.scope_value
    and valued.month - compare_months = before.month
left join valued as baseline
    on valued.kpi = baseline.kpi and valued.scope = baseline.scope and valued.scope_value = baseline.scope_value
    and target_change_pct is not null and baseline.month = 12 and baseline.month <= valued.month;

-- Who moved what tripped in the newest month: by how much a customer's part of it grew since the month it is compared with.
create table kpi_alerts as
with alerts as (
    select
        month, scope, scope_value, kpi, title, unit, value, prior_value, trigger, threshold,
        month = date_trunc('month', $as_of - interval 1 month) as is_newest
    from kpi_monthly
    where tripped
),

parts as (
    select 'dso' as kpi, account, receivables as amount, month from standing_months where month > 22
    union all
    select 'aging_share_61_90', account, d61_90, month from standing_months where month > 22
    union all
    select 'aging_share_90_plus', account, d90_plus, month from standing_months where month > 22
    union all
    select 'cei', account, receivables - current_amount, month from standing_months where month > 22
    union all
    select 'write_off_rate', account, written_off, month from rare_months where month in (21, 24) and written_off <> 0
    union all
    select 'exception_rate', account, exceptions, month from rare_months where month in (23, 24) and exceptions <> 0
    union all
    select 'invoice_error_rate', account, in_error, month from rare_months where month in (23, 24) and in_error <> 0
    union all
    select 'days_to_invoice', account, days_to_invoice, month from billed_months where month in (23, 24) and days_to_invoice <> 0
    union all
    select 'overdue_disputes', account, overdue_disputes, month from rare_months where month in (23, 24) and overdue_disputes <> 0
    union all
    select 'overdue_reviews', account, 1, month from customer_months where month > 22 and is_overdue
    union all
    select 'customer_retention', account, 1, month from customer_months where month > 22 and was_billed and not is_billed
),

grown as (
    select kpi, account, combination, name, -(tiers >> 48 & 3) as tier, sum(if(month = 24, amount, -amount)) as amount
    from parts
    inner join (select account, combination, name, tiers from accounts) using (account)
    where kpi in (select kpi from alerts where is_newest)
    group by all
    having sum(if(month = 24, amount, -amount)) > 0
),

movers as (
    select kpi, scope, scope_value, string_agg(name || format(' +{:,.2f}', amount), '; ' order by amount desc, account) as moved_most
    from (
        select kpi, scope, scope_value, account, name, cast(amount as double) as amount
        from (select unnest([combination, tier]) as combination, grown.* exclude (combination, tier) from grown)
        inner join members using (combination)
        inner join (select kpi, scope, coalesce(scope_value, '') as scope_value from alerts where is_newest) using (kpi, scope, scope_value)
        qualify row_number() over (partition by kpi, scope, scope_value order by amount desc, account) <= 3
    )
    group by kpi, scope, scope_value
)

select alerts.*, moved_most
from alerts
left join movers
    on is_newest and alerts.kpi = movers.kpi and alerts.scope = movers.scope and coalesce(alerts.scope_value, '') = movers.scope_value;

create table concentration as
with billed as (
    select account, sum(billed_last_year) as billed, row_number() over (order by sum(billed_last_year) desc, account) as place
    from billed_months
    where billed_last_year is not null
    group by account
)

select
    case when place <= 5 then 'top5' when place <= 20 then 'next15' else 'rest' end as band,
    count(*) as customers,
    sum(billed) as billed,
    sum(billed) / sum(sum(billed)) over () as billed_share,
    sum(paid_amount_12m * days_to_pay_12m) / sum(paid_amount_12m) as days_to_pay,
    sum(billed * risk_score) filter (billed > 0) / sum(billed) filter (billed > 0 and risk_score is not null) as risk
from billed
inner join (select account, customer_id from accounts) using (account)
left join (select customer_id, payer_pattern, direction, days_to_pay_12m, paid_amount_12m from payment_behaviour) as payment_behaviour using (customer_id)
left join (select customer_id, tier_in_force, tier_indicated, risk_score from risk_tiers) as risk_tiers using (customer_id)
group by all;

create table control_reconciliation as
with subledger as (
    select company_id, sum(if(company_id = '0200', open_amount, open_reporting)) as balance
    from open_items
    group by company_id
)

select
    company_id,
    if(company_id = '0200', 'USD', 'EUR') as currency,
    subledger.balance as subledger_balance,
    control.balance as control_balance,
    subledger.balance - control.balance as difference,
    case when control.balance is null then 'unverified' when subledger.balance = control.balance then 'tied' else 'untied' end as state
from subledger
left join (select company_id, balance from '$folder/control_balances.parquet' where as_of = $as_of) as control using (company_id);

-- From what the one month closed with to what the next does, each day's movements at that day's rate. What dollars are worth in the books
-- of the entity in euros is the only exchange.
create table roll_forward as
with moved as (
    select company_id, currency, document_date as day, item_type, sum(amount) as amount
    from items
    where document_date > last_day($as_of - interval 24 month)
    group by all
    union all
    select company_id, currency, voided_on, item_type, -sum(amount)
    from items
    where voided_on > last_day($as_of - interval 24 month)
    group by all
    union all
    select company_id, currency, begins, source_type, -sum(amount)
    from standing
    where source_type not in ('payment', 'credit_memo') and begins > last_day($as_of - interval 24 month)
    group by all
),

balances_then as (
    select snapshot_date as day, company_id, currency, sum(balance) as amount, sum(balance) as base
    from aging_history
    where company_id = '0200' or currency = 'EUR'
    group by all
    union all
    select day, company_id, currency, sum(open_amount), sum(open_reporting)
    from snapshot
    where company_id = '0100' and currency = 'USD'
    group by all
),

entries as (
    select
        company_id, currency, 25 + datediff('month', $as_of, moved.day) as month,
        case item_type when 'payment' then 'cash' when 'invoice' then 'billed' else item_type end as line,
        amount, if(company_id = '0100' and currency = 'USD', round(amount * rate, 2), amount) as base
    from (
        select company_id, currency, day, if(item_type = 'debit_memo', 'invoice', item_type) as item_type, sum(amount) as amount
        from moved
        group by all
    ) as moved
    inner join rates on rate_day = moved.day
    union all
    select company_id, currency, 26 + datediff('month', $as_of, day), 'opening', amount, base from balances_then where day <> $as_of
    union all
    select company_id, currency, 25 + datediff('month', $as_of, day), 'closing', amount, base
    from balances_then
    where day > last_day($as_of - interval 24 month)
),

by_currency as (
    select
        company_id,
        currency,
        month,
        coalesce(sum(base) filter (line = 'opening'), 0) as opening,
        coalesce(sum(base) filter (line = 'billed'), 0) as billed,
        -coalesce(sum(base) filter (line = 'cash'), 0) as cash,
        -coalesce(sum(base) filter (line = 'credit_memo'), 0) as credits,
        -coalesce(sum(base) filter (line = 'write_off'), 0) as write_offs,
        coalesce(sum(base) filter (line = 'closing'), 0) as closing,
        sum(if(line = 'closing', amount, -amount)) as unexplained
    from entries
    group by all
)

select
    company_id,
    cast(date_trunc('month', $as_of) - to_months(cast(25 - by_currency.month as integer)) as date) as month,
    sum(opening) as opening,
    sum(billed) as billed,
    sum(cash) as cash,
    sum(credits) as credits,
    sum(write_offs) as write_offs,
    sum(closing) as closing,
    sum(if(company_id = '0100' and currency = 'USD', round(unexplained * rate, 2), unexplained)) as difference,
    sum(closing - opening - billed + cash + credits + write_offs) - difference as fx
from by_currency
inner join dates on 25 + datediff('month', $as_of, day) = by_currency.month
inner join rates on rate_day = day
group by all;

create temp table contacts_made as
select customer_id, cast(occurred_at as date) as contacted_on, outcome
from '$folder/activities.parquet'
where occurred_at < $as_of;

-- What to ask for: what is open, less what is disputed, less what credits of the same customer cover, oldest first. Nothing was sent yet,
-- and the morning is an open day: the firmest step whose day has come is due. The two that lapse do so five days after the first open day.
-- Whoever was never spoken to begins with the first notice, or with the second where anything is more than thirty days late.
create temp table asked_for as
with lapsing as (
    select min(day) filter (opens_0100 >= $as_of - 5) as from_0100, min(day) filter (opens_0200 >= $as_of - 5) as from_0200
    from days
),

disputed as (
    select invoice_id as item_id, if(count(amount) < count(*), null, sum(amount)) as amount
    from '$folder/disputes.parquet'
    where opened_on <= $as_of and (resolved_on is null or resolved_on > $as_of)
    group by invoice_id
),

claims as (
    select
        open_items.*,
        cast(if(disputed.item_id is null, 0, least(disputed.amount, open_amount)) as decimal(18, 2)) as disputed_amount,
        cast(open_amount - disputed_amount as decimal(18, 2)) as claim
    from open_items
    left join disputed using (item_id)
    where days_past_due is not null
),

-- Few customers have a credit.
covered as (
    select
        item_id,
        least(claim, greatest(
            credit - coalesce(sum(claim) over (
                partition by customer_id, company_id, currency order by due_date, document_date, item_id
                rows between unbounded preceding and 1 preceding
            ), 0),
            0
        )) as covered_amount
    from claims
    inner join (
        select customer_id, company_id, currency, -sum(open_amount) as credit
        from open_items
        where days_past_due is null
        group by all
    ) using (customer_id, company_id, currency)
),

first_words as (
    select
        customer_id,
        case when days_late > 30 then 40 when days_late > 0 then 30 end as firmest
    from (
        select customer_id, coalesce(max(days_past_due) filter (not is_trifle), max(days_past_due)) as days_late
        from claims
        where customer_id not in (select customer_id from contacts_made)
        group by customer_id
    )
),

steps as (
    select
        claims.* exclude (claim),
        cast(coalesce(covered_amount, 0) as decimal(18, 2)) as covered_amount,
        cast(claim - coalesce(covered_amount, 0) as decimal(18, 2)) as dunnable_amount,
        case
            when dunnable_amount = open_amount then open_reporting
            else round(cast(cast(open_reporting as double) * dunnable_amount / open_amount as decimal(24, 6)), 2)
        end as dunnable_reporting,
        case
            when disputed_amount = open_amount then open_reporting
            else round(cast(cast(open_reporting as double) * disputed_amount / open_amount as decimal(24, 6)), 2)
        end as disputed_reporting,
        case
            when days_past_due >= 15 and firmest is null then 50
            when days_past_due >= 7 and coalesce(firmest = 40, true) then 40
            when days_past_due >= 1 then 30
            when days_past_due >= -7 and due_date - 7 >= if(company_id = '0100', from_0100, from_0200) then 20
            when document_date >= if(company_id = '0100', from_0100, from_0200) then 10
        end as severity
    from claims
    cross join lapsing
    left join first_words using (customer_id)
    left join covered using (item_id)
),

promised as (
    select invoice_id as item_id, max(grace_until) as promise_until from promises where state = 'pending' group by invoice_id
),

left_alone as (
    select
        customer_id,
        greatest(max(contacted_on) + 5, max(contacted_on) filter (recency = 5) + 30) as contact_allowed_on
    from (
        select customer_id, contacted_on, row_number() over (partition by customer_id order by contacted_on desc) as recency
        from (select distinct customer_id, contacted_on from contacts_made where contacted_on > $as_of - 30)
    )
    group by customer_id
    having contact_allowed_on > $as_of
),

judged as (
    select
        steps.*,
        name,
        collector,
        promise_until,
        if(severity > 10, contact_allowed_on, null) as contact_allowed_on,
        if(severity is null, if(days_past_due < -7, 'pre_due_reminder', 'first_notice'), null) as next_step,
        -- Who cannot pay on a day off has the next open day for it.
        case
            when severity is null and days_past_due < -7 then due_date - 7
            when severity is null and company_id = '0100' then greatest(due_date, due_day.opens_0100) + 1
            when severity is null then greatest(due_date, due_day.opens_0200) + 1
        end as next_step_planned_on,
        if(status = 'insolvent', 'insolvent', null) as insolvent,
        if(disputed_amount > 0 and disputed_amount >= open_amount, 'disputed', null) as disputed,
        if(promise_until is not null, 'promise_pending', null) as promise_pending,
        if(dunnable_amount <= 0 and disputed is null, 'covered_by_credit', null) as covered_by_credit,
        if(
            severity is not null and dunnable_amount > 0
            and sum(dunnable_reporting) filter (severity is not null and promise_until is null) over (partition by customer_id) < 10,
            'below_minimum',
            null
        ) as below_minimum,
        if(severity > 10 and contact_allowed_on is not null, 'contacted_recently', null) as contacted_recently,
        if(severity is null, 'waiting_next_step', null) as waiting_next_step
    from steps
    inner join (select customer_id, name, collector, status from accounts) using (customer_id)
    left join promised using (item_id)
    left join left_alone using (customer_id)
    left join days as due_day on due_day.day = due_date
)

select
    customer_id,
    name as customer_name,
    company_id,
    collector,
    item_id,
    item_type,
    document_date,
    due_date,
    currency,
    open_amount,
    disputed_amount,
    covered_amount,
    dunnable_amount,
    open_reporting,
    disputed_reporting,
    dunnable_reporting,
    days_past_due,
    aging_bucket,
    case severity
        when 50 then 'third_notice' when 40 then 'second_notice' when 30 then 'first_notice' when 20 then 'pre_due_reminder'
        when 10 then 'invoice_sent'
    end as step,
    severity,
    coalesce(insolvent, disputed, promise_pending, covered_by_credit, below_minimum, contacted_recently, waiting_next_step) as held_reason,
    nullif(concat_ws(
        ',', insolvent, disputed, promise_pending, covered_by_credit, below_minimum, contacted_recently, waiting_next_step
    ), '') as all_held_reasons,
    case held_reason
        when 'insolvent' then 'legal'
        when 'disputed' then 'disputes'
        when 'promise_pending' then 'promises'
        when 'covered_by_credit' then 'cash_application'
        when 'below_minimum' then 'none'
        when 'contacted_recently' then 'waiting'
        when 'waiting_next_step' then 'waiting'
    end as held_list,
    if(company_id = '0100', opens_0100, opens_0200) as next_step_on,
    case held_reason
        when 'promise_pending' then promise_until
        when 'contacted_recently' then contact_allowed_on
        when 'waiting_next_step' then next_step_on
    end as held_until,
    next_step,
    if(days_past_due > 0, cast(dunnable_amount as double) * days_past_due * 1.5 / 3000, 0) as late_fee,
    if(days_past_due > 0, cast(dunnable_reporting as double) * days_past_due * 1.5 / 3000, 0) as late_fee_reporting
from judged
left join days on days.day = next_step_planned_on;

-- A collector's day has 360 minutes, filled by money at risk: who does not fit waits for the day on which the minutes before are used up.
create temp table turns as
with acted as (
    select
        asked_for.*,
        tier_in_force,
        if(days_past_due > 0, dunnable_reporting, 0) as past_due,
        case aging_bucket when '1-30' then 1.50 when '31-60' then 4.00 when '61-90' then 10.00 when '90+' then 30.00 else 0.50 end
        * case tier_in_force when '1' then 0.5 when '3' then 2.5 else 1 end as loss_pct
    from asked_for
    left join (select customer_id, tier_in_force from risk_tiers) as risk_tiers using (customer_id)
    where held_reason is null
),

priced as (
    select
        customer_id,
        any_value(company_id) as company_id,
        any_value(collector) as collector,
        any_value(tier_in_force) as tier_in_force,
        max(severity) as severity,
        sum(past_due) as past_due_amount,
        round(sum(past_due * loss_pct) * 0.01, 2) as expected_loss,
        round(cast(cast(sum(past_due * days_past_due) as double) * 9 / 36500 as decimal(24, 6)), 2) as carrying_cost
    from acted
    group by customer_id
),

queued as (
    select
        *,
        cast(ceil(sum(case severity when 50 then 10 when 40 then 3 when 30 then 2 else 1 end) over (
            partition by collector order by expected_loss + carrying_cost desc, past_due_amount desc, severity desc, customer_id
            rows unbounded preceding
        ) / 360.0) as integer) - 1 as days_ahead
    from priced
),

open_days as (
    select company_id, opens_on, row_number() over (partition by company_id order by opens_on) as days_ahead
    from (
        select distinct unnest(['0100', '0200']) as company_id, unnest([opens_0100, opens_0200]) as opens_on
        from days
        where day > $as_of
    )
)

select queued.*, opens_on as planned_on
from queued
left join open_days using (company_id, days_ahead);

create table dunning_items as
select
    asked_for.* exclude (held_reason, all_held_reasons, held_list, held_until),
    if(planned_on is null, held_reason, 'waiting_its_turn') as held_reason,
    if(planned_on is null, all_held_reasons, 'waiting_its_turn') as all_held_reasons,
    if(planned_on is null, held_list, 'waiting') as held_list,
    coalesce(planned_on, held_until) as held_until
from asked_for
left join turns on asked_for.customer_id = turns.customer_id and held_reason is null;

create table dunning_worklist as
with actions as (
    select
        customer_id,
        any_value(customer_name) as customer_name,
        sum(if(days_past_due > 0, 0, dunnable_reporting)) as not_due_amount,
        string_agg(distinct currency, ',' order by currency) as document_currencies,
        count(*) as item_count,
        count_if(days_past_due > 0) as past_due_item_count,
        max(days_past_due) filter (days_past_due > 0) as oldest_days_past_due,
        round(cast(sum(late_fee_reporting) as decimal(24, 6)), 2) as late_fee_preview
    from dunning_items
    where held_reason is null
    group by customer_id
),

held as (
    select customer_id, count(held_reason) as held_item_count, sum(disputed_reporting) as disputed_amount
    from dunning_items
    group by customer_id
),

credits as (
    select customer_id, -sum(if(days_past_due is null, open_reporting, 0)) as credit_available
    from open_items
    group by customer_id
),

recent as (
    select
        customer_id,
        max(contacted_on) as last_contact_on,
        arg_max(outcome, contacted_on) as last_contact_outcome,
        string_agg(contacted_on || ' ' || outcome, '; ' order by contacted_on desc) as recent_contacts
    from (
        select distinct customer_id, contacted_on, outcome
        from contacts_made
        qualify dense_rank() over (partition by customer_id order by contacted_on desc, outcome) <= 3
    )
    group by customer_id
),

promised as (
    select
        customer_id, min(promised_date) as promised_on, arg_min(amount, promised_date) as promised_amount,
        arg_min(currency, promised_date) as promised_currency
    from promises
    where state = 'pending'
    group by customer_id
)

select
    row_number() over (order by expected_loss + carrying_cost desc, past_due_amount desc, severity desc, customer_id) as rank,
    actions.*,
    turns.* exclude (customer_id, days_ahead, planned_on),
    case severity
        when 50 then 'third_notice' when 40 then 'second_notice' when 30 then 'first_notice' when 20 then 'pre_due_reminder'
        else 'invoice_sent'
    end as step,
    if(severity = 50, 'call', 'email') as channel,
    case payer_pattern
        when 'chronic' then case when severity >= 40 then 'urgent' when severity = 30 then 'firm' else 'neutral' end
        when 'one_off' then case when severity >= 40 then 'neutral' else 'friendly' end
        else case when severity >= 40 then 'firm' when severity = 30 then 'neutral' else 'friendly' end
    end as tone,
    'new' as change,
    expected_loss + carrying_cost as priority,
    held_item_count,
    disputed_amount,
    credit_available,
    credit_limit,
    balance as credit_used,
    credit_used_share,
    payer_pattern,
    direction,
    contacts.name as contact_name,
    contacts.email as contact_email,
    contacts.phone as contact_phone,
    last_contact_on,
    last_contact_outcome,
    recent_contacts,
    promised_on,
    promised_amount,
    promised_currency,
    format(
        '{}: {} items, the oldest {} days past due, {:,.2f} EUR', step, item_count, coalesce(oldest_days_past_due, 0),
        cast(past_due_amount as double)
    ) as why
from actions
inner join turns using (customer_id)
inner join held using (customer_id)
left join credits using (customer_id)
left join (select customer_id, credit_limit, balance, credit_used_share from credit_limit_use) as credit_limit_use using (customer_id)
left join (select customer_id, payer_pattern, direction, days_to_pay_12m, paid_amount_12m from payment_behaviour) as payment_behaviour using (customer_id)
left join recent using (customer_id)
left join promised using (customer_id)
left join (
    select customer_id, name, email, phone from '$folder/contacts.parquet' where role = 'accounts_payable'
) as contacts using (customer_id);

create table dunning_changes as
select customer_id, customer_name, collector, item_id, 'new' as change, step, currency, open_amount
from dunning_items
where held_reason is null;

-- One open item of the very amount, else all that is due.
create table cash_application_suggestions as
with pairs as (
    select
        substr(payments.item_id, 9) as payment_id,
        -payments.open_amount as amount,
        debits.item_id as invoice_id,
        debits.customer_id,
        debits.open_amount,
        debits.days_past_due >= 0 as is_due,
        count_if(debits.open_amount = -payments.open_amount) over (partition by payments.item_id) as alike,
        sum(if(debits.days_past_due >= 0, debits.open_amount, 0)) over (partition by payments.item_id) as due
    from open_items as payments
    inner join open_items as debits using (customer_id, company_id, currency)
    where payments.item_type = 'payment' and payments.open_amount < 0 and debits.days_past_due is not null and debits.open_amount > 0
)

select
    payment_id, invoice_id, customer_id, if(alike = 1, amount, open_amount) as amount, if(alike = 1, 'one_item', 'all_due') as rule,
    if(alike = 1, 0.90, 0.85) as confidence
from pairs
where if(alike = 1, open_amount = amount, due = amount and is_due);

create table collector_activity as
with taken as (
    select
        collector, cast(date_trunc('month', made_on) as date) as month, state,
        if(currency = 'EUR', amount, round(amount * rate, 2)) as amount
    from promises
    inner join rates on rate_day = made_on
    where made_on >= date_trunc('month', $as_of) - interval 24 month
)

select
    collector,
    month,
    count(*) as promises_taken,
    sum(amount) as promised_amount,
    sum(if(state = 'kept', amount, 0)) as kept_amount,
    sum(if(state = 'broken', amount, 0)) as broken_amount,
    cast(kept_amount as double) / nullif(cast(kept_amount + broken_amount as double), 0) as kept_share
from taken
group by collector, month;

-- Records of customers that look like one, and what makes a customer hard to reach or to bill.
create table customer_data_issues as
with keys as (
    select
        customer_id,
        unnest(['same_number', 'same_registration', 'same_email', 'same_name']) as issue,
        unnest([
            ltrim(translate(upper(customer_id), ' .-/_', ''), '0'),
            company_id || '/' || translate(upper(registration_number), ' .-/_', ''),
            lower(trim(email)),
            company_id || '/' || country || '/'
            || regexp_replace(translate(lower(name), ' .,-/&', ''), '(gmbh|ag|kg|ltd|llc|inc|corp|sa|bv)$', '')
        ]) as key
    from accounts
    where status <> 'closed'
),

addresses as (
    select customer_id, email, phone from accounts where status <> 'closed'
    union all
    select customer_id, email, phone from '$folder/contacts.parquet'
),

reached as (
    select
        customer_id, count(email) + count(phone) as ways,
        bool_or(email not like '%_@_%.__%' or email like '% %' or email like '%@%@%') as is_malformed
    from addresses
    group by customer_id
)

select unnest(list(customer_id)) as customer_id, issue
from keys
where key is not null
group by issue, key
having count(*) > 1
union all
select customer_id, if(ways = 0, 'no_contact', 'malformed_email') from reached where ways = 0 or is_malformed
union all
select customer_id, 'unknown_terms' from accounts where payment_terms not in ('N15', 'N30', 'N45', 'N60')
union all
select customer_id, 'unknown_company' from accounts where company_id not in ('0100', '0200')
union all
select distinct customer_id, 'unknown_customer' from items where customer_id not in (select customer_id from accounts)
union all
select customer_id, 'closed_with_balance'
from accounts
inner join (select customer_id, credit_limit, balance, credit_used_share from credit_limit_use) as credit_limit_use using (customer_id)
where status = 'closed' and balance <> 0
union all
select customer_id, 'wrong_contact'
from (select *, outcome in ('wrong contact', 'wrong number', 'bounced', 'unknown recipient') as is_wrong from contacts_made)
group by customer_id
having max(contacted_on) filter (is_wrong) > coalesce(max(contacted_on) filter (not is_wrong), date '1900-01-01');
